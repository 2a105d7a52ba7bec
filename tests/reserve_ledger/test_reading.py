"""Balances by address at both kinds of moment, statements as files, and the log made again."""

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from lxml import etree
from tests.reserve_ledger.desks import ESCROW, MINE, NET, SHOP, TEN, Desk, moving

from audit.ledger_log import OWN_ADDRESSES, BadLog, export_lines, import_lines
from audit.ledger_verifier import verify
from messaging import Tx
from reserve_ledger.domain.chart import CHART
from reserve_ledger.queries import exports
from testkit.service import ServiceUnderTest


def by_address(answer: Any) -> dict[str, int]:
    return {one["address"]: one["balance_minor"] for one in answer["items"]}


async def now(ledger: ServiceUnderTest) -> str:
    moment = await ledger.worker.fetchval("select clock_timestamp()")
    found: str = moment.isoformat().replace("+", "%2B")
    return found


async def test_balances_by_prefix_now_as_booked_and_as_they_count(
    ledger: ServiceUnderTest, desk: Desk
) -> None:
    before = await now(ledger)
    dated = moving("late", 500, effective_at="2026-01-31T00:00:00Z")
    await desk.post("transactions", dated)
    between = await now(ledger)
    await desk.post("transactions", moving("ahead", 70, effective_at="2199-01-01T00:00:00Z"))
    await desk.post("transactions", moving("plain", 9, to=ESCROW))
    held = {"reference": "h", "address": SHOP, "asset": "PATHUSD", "amount_minor": 20}
    await desk.post("holds", held)
    latest = await desk.get("accounts?prefix=merchant:available")
    assert by_address(latest) == {MINE: 579 - NET, SHOP: -570}
    assert latest["items"][1]["available_minor"] == 550
    assert latest["totals"] == [{"asset": "PATHUSD", "balance_minor": 9 - NET}]
    booked = await desk.get(f"accounts?prefix=merchant:available&as_of={between}")
    assert by_address(booked) == {MINE: 500 - NET, SHOP: -500}
    assert booked["items"][0]["available_minor"] is None
    early = await desk.get("accounts?prefix=merchant&effective_at=2026-06-30T00:00:00Z")
    assert by_address(early) == {MINE: 500, SHOP: -500}
    counting = await desk.get(f"accounts?effective_at={await now(ledger)}")
    assert by_address(counting)[SHOP] == -500
    assert by_address(counting)[ESCROW] == -9
    assert sum(by_address(counting).values()) == 0
    both = await desk.get(f"accounts?prefix={SHOP}&as_of={before}&effective_at={between}")
    assert by_address(both) == {SHOP: 0}
    first = await desk.get("accounts?limit=2")
    rest = await desk.get(f"accounts?limit=200&cursor={first['next_cursor']}")
    everything = await desk.get("accounts?limit=200")
    assert first["items"] + rest["items"] == everything["items"]
    bad = await desk.call("GET", "accounts?cursor=AAAA", scope="ledger:read")
    assert bad.json()["code"] == "invalid_cursor"


async def test_a_statement_is_the_same_as_a_file_and_begins_no_formula(
    ledger: ServiceUnderTest, desk: Desk
) -> None:
    for number in range(4):
        await desk.post("transactions", moving(f"=cmd/{number}", 5 + number))
    answer = await desk.call(
        "GET", "accounts/2100/statement.csv?asset=PATHUSD", scope="ledger:read"
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    shown = await desk.get("accounts/2100/statement?asset=PATHUSD&limit=200")
    assert [(row["sequence"], row["balance_minor"]) for row in rows] == [
        (str(one["sequence"]), str(one["balance_minor"])) for one in shown["items"]
    ]
    assert [row["transaction_id"] for row in rows] == [
        one["transaction_id"] for one in shown["items"]
    ]
    assert rows[-1]["reference"] == "'=cmd/3"
    assert {row["address"] for row in rows} == {MINE, SHOP}
    wrong = await desk.call("GET", "accounts/9999/statement.csv?asset=PATHUSD", scope="ledger:read")
    assert wrong.json()["code"] == "account_not_found"


def cells_of(data: bytes) -> list[list[list[str]]]:
    """Every sheet's rows as text, read from the XML as whoever opens the file reads it."""
    name = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    sheets = []
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert not any("sharedStrings" in part for part in book.namelist())
        for part in sorted(p for p in book.namelist() if p.startswith("xl/worksheets/sheet")):
            tree = etree.fromstring(book.read(part))
            assert not tree.findall(f".//{name}f"), "nothing is a formula"
            sheets.append(
                [["".join(cell.itertext()) for cell in row] for row in tree.iter(f"{name}row")]
            )
    return sheets


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("accounts/2100/statement.{}?asset=PATHUSD", exports.STATEMENT),
        ("transactions.{}", exports.TRANSACTIONS),
        ("balances.{}", exports.BALANCES),
    ],
)
async def test_a_workbook_has_the_rows_of_the_csv_and_no_formula(
    ledger: ServiceUnderTest,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    head: tuple[str, ...],
) -> None:
    monkeypatch.setattr(exports, "ROWS_AT_ONCE", 3)
    for number in range(4):
        await desk.post("transactions", moving(f"=cmd/{number}", 5 + number))
    text = await desk.call("GET", path.format("csv"), scope="ledger:read")
    book = await desk.call("GET", path.format("xlsx"), scope="ledger:read")
    assert book.headers["content-disposition"].endswith('.xlsx"')
    rows = list(csv.reader(io.StringIO(text.text)))
    assert tuple(rows[0]) == head
    assert len(rows) > 4
    (sheet,) = cells_of(book.content)
    assert sheet == [[cell.removeprefix("'") for cell in row] for row in rows]
    stranger = await desk.call("GET", path.format("xlsx"), scope="ledger:write")
    assert stranger.status_code == 403


async def test_a_workbook_is_exact_beyond_what_a_sheet_can_count_and_goes_on_in_a_next_sheet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exports, "SHEET_ROWS_MAX", 2)
    numbers = [2**53, 2**53 + 1, -(10**18), 7, 0]

    async def pages() -> AsyncIterator[list[list[object]]]:
        yield [[number] for number in numbers]

    data = b"".join([part async for part in exports.as_xlsx(["amount_minor"], pages())])
    sheets = cells_of(data)
    assert [row[0] for sheet in sheets for row in sheet[1:]] == [str(number) for number in numbers]
    assert [len(sheet) for sheet in sheets] == [3, 3, 2]


async def test_a_log_makes_the_same_ledger_again_in_an_empty_place(
    ledger: ServiceUnderTest, make_database: Any, desk: Desk, payer: Any
) -> None:
    paid = payer.succeeded(Tx.new_id(), TEN + 5)
    await ledger.receives(paid, payer.conflicted(Tx.new_id(), 7))
    dated = moving("dated", 500, effective_at="2026-01-31T00:00:00Z", metadata={"a": "é", "b": '"'})
    made = await desk.post("transactions", dated)
    await desk.post(f"transactions/{made['id']}/reverse")
    with psycopg.connect(ledger.place.admin_url, autocommit=True) as connection:
        log = list(export_lines(connection, desk.tenant_id))
        head = connection.execute(
            "select sequence, encode(hash, 'hex') from reserve_ledger.ledger_head"
        ).fetchone()
    assert len(log) == 5
    place = make_database("reserve_ledger")
    with psycopg.connect(place.url("worker"), autocommit=True) as connection:
        told = [json.loads(line) for line in log]
        told[3]["transaction"]["postings"][0][2] += 1
        with pytest.raises(BadLog, match="transaction 4"):
            import_lines(connection, [json.dumps(one) for one in told], OWN_ADDRESSES)
        assert import_lines(connection, log, OWN_ADDRESSES)[1:] == head
        with pytest.raises(BadLog, match="already"):
            import_lines(connection, log, OWN_ADDRESSES)
    with psycopg.connect(place.admin_url, autocommit=True) as connection:
        found = verify(connection, {})
        assert (found.transactions, found.broken) == (5, [])
        assert list(export_lines(connection, desk.tenant_id)) == log
    await asyncio.to_thread(place.drop)


def test_the_log_knows_the_same_addresses_as_the_chart() -> None:
    assert {code: account.address for code, account in CHART.items()} == OWN_ADDRESSES
