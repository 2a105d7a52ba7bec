"""Statements by file: three formats say the same, bad ones name the line, each is taken once."""

import base64
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reserve_ledger.test_reconciliation import Desk
from tests.reserve_ledger.test_settling import at_provider, payout

from audit.invariants.reserves import RESERVES
from invoiceos_contracts.base import Amount
from invoiceos_contracts.provider_v1 import ProviderPayoutArrived
from messaging import Tx
from money.decimal_text import join_decimal
from reserve_ledger.domain import camt053, csv_statement, mt940_file
from reserve_ledger.domain.bank_files import BadFile
from reserve_ledger.domain.csv_statement import CsvMapping
from reserve_ledger.workers import advance
from testkit.service import ServiceUnderTest

DAY = date(2026, 11, 28)
IBAN = "DE89370400440532013000"
ENTRIES = [(25_000, "BANK1", "po_1"), (-4_950, "BANK2", "fee-7"), (-1_000, None, None)]


def camt(entries: Any = ENTRIES, *, opening: int = 100_000, name: str = "2026-331/1") -> bytes:
    def amount(minor: int) -> str:
        side = "CRDT" if minor >= 0 else "DBIT"
        text = join_decimal(abs(minor), 2)
        return f'<Amt Ccy="EUR">{text}</Amt><CdtDbtInd>{side}</CdtDbtInd>'

    def balance(kind: str, minor: int) -> str:
        code = f"<Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
        return f"<Bal>{code}{amount(minor)}<Dt><Dt>{DAY}</Dt></Dt></Bal>"

    closing = opening + sum(minor for minor, _, _ in entries)
    booked = "\n".join(
        f"<Ntry>{amount(minor)}<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{DAY}</Dt></BookgDt>"
        + (f"<AcctSvcrRef>{own}</AcctSvcrRef>" if own else "")
        + "<NtryDtls><TxDtls><Refs><EndToEndId>"
        + (related or "NOTPROVIDED")
        + "</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>"
        for minor, own, related in entries
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>\n'
        f"<Stmt><Id>{name}</Id><Acct><Id><IBAN>{IBAN}</IBAN></Id></Acct>\n"
        f"{balance('OPBD', opening)}\n{balance('CLBD', closing)}\n{booked}\n"
        "</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def mt940(entries: Any = ENTRIES, *, opening: int = 100_000, number: str = "331/1") -> bytes:
    def amount(minor: int) -> str:
        return join_decimal(abs(minor), 2).replace(".", ",")

    def balance(tag: str, minor: int) -> str:
        return f":{tag}:{'C' if minor >= 0 else 'D'}261128EUR{amount(minor)}"

    lines = [":20:FILE1", f":25:{IBAN}", f":28C:{number}", balance("60F", opening)]
    for minor, own, related in entries:
        mark = "C" if minor >= 0 else "D"
        back = f"//{own}" if own else ""
        lines.append(f":61:2611281128{mark}{amount(minor)}NTRF{related or 'NONREF'}{back}")
    lines += [balance("62F", opening + sum(minor for minor, _, _ in entries)), "-", ""]
    return "\r\n".join(lines).encode()


def table(entries: Any = ENTRIES) -> bytes:
    head = "Buchungstag;Betrag;Referenz;Zweck"
    rows = [
        f"{DAY:%d.%m.%Y};{join_decimal(minor, 2).replace('.', ',')};{own or ''};{related or ''}"
        for minor, own, related in entries
    ]
    return "\n".join([head, *rows, ""]).encode()


def mapping(entries: Any = ENTRIES, *, opening: int = 100_000, name: str = "2026-331/1") -> Any:
    return {
        "name": name,
        "account": IBAN,
        "asset": "EUR",
        "opening_minor": opening,
        "closing_minor": opening + sum(minor for minor, _, _ in entries),
        "date_column": "Buchungstag",
        "amount_column": "Betrag",
        "reference_column": "Referenz",
        "related_column": "Zweck",
        "date_format": "%d.%m.%Y",
        "delimiter": ";",
        "decimal_comma": True,
    }


def said(statement: Any) -> Any:
    entries = [(e.amount_minor, e.reference, e.related) for e in statement.entries]
    balances = (statement.opening_minor, statement.closing_minor)
    return statement.name, statement.account, statement.asset, balances, entries


NAMES = st.one_of(st.none(), st.text("ABCXYZ0123456789", min_size=1, max_size=12))
MOVES = st.lists(
    st.tuples(st.integers(-99_999_999, 99_999_999).filter(bool), NAMES, NAMES), max_size=8
)


@settings(max_examples=25, deadline=None)
@given(MOVES.filter(bool), st.integers(-10_000_000, 10_000_000))
def test_three_formats_of_one_statement_say_the_same(entries: Any, opening: int) -> None:
    (one,) = camt053.read(camt(entries, opening=opening))
    (other,) = mt940_file.read(mt940(entries, opening=opening))
    (third,) = csv_statement.read(table(entries), CsvMapping(**mapping(entries, opening=opening)))
    assert said(one) == said(other) == said(third)
    assert one.entries[0].booked_on == other.entries[0].booked_on == DAY
    assert one.closing_minor == opening + sum(minor for minor, _, _ in entries)


@settings(max_examples=25, deadline=None)
@given(MOVES.filter(bool), st.data())
def test_one_unit_more_or_an_entry_less_is_never_taken(entries: Any, data: Any) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    minor, own, related = entries[place]
    changed = data.draw(st.sampled_from([[], [(minor + 1, own, related)]]))
    changed = [one for one in changed if one[0]]
    wrong = [*entries[:place], *changed, *entries[place + 1 :]]
    whole, cut = camt(entries), camt(wrong)
    balances, booked = whole.partition(b"<Ntry>")[0], cut.partition(b"<Ntry>")
    with pytest.raises(BadFile, match="are not the closing"):
        camt053.read(balances + booked[1] + booked[2] if booked[1] else balances + END)
    if wrong:
        with pytest.raises(BadFile, match="are not the closing"):
            csv_statement.read(table(wrong), CsvMapping(**mapping(entries)))


END = b"</Stmt></BkToCstmrStmt></Document>"
LAUGHS = (
    b'<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>\n'
    b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">&b;</Document>'
)
OUTSIDE = (
    b'<?xml version="1.0"?>\n\n<!DOCTYPE x SYSTEM "file:///etc/passwd">\n'
    b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"/>'
)
BAD_CAMT = [
    (b"not XML", 1),
    (b"<a>\n<b>\n</a>", 3),
    (LAUGHS, 2),
    (OUTSIDE, 3),
    (b"<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.054.001.08'/>", 1),
    (camt().replace(b"OPBD", b"XXXX"), 3),
    (camt().replace(b"250.00", b"250.001"), 6),
    (camt().replace(b'Ccy="EUR">49.50', b'Ccy="USD">49.50'), 7),
    (camt().replace(b"49.50</Amt><CdtDbtInd>DBIT", b"49.50</Amt><CdtDbtInd>LEFT"), 7),
    (camt().replace(b"1000.00", b"1000.01"), 3),
    (camt().replace(b"<BookgDt><Dt>2026-11-28", b"<BookgDt><Dt>2026-13-28"), 6),
    (camt().replace(IBAN.encode(), b""), 3),
]
BAD_MT940 = [
    (b"nothing", 1),
    (b"\x00\x01", 1),
    (mt940().replace(b":61:2611281128D49,50", b":61:garbage"), 6),
    (mt940().replace(b":60F:", b":XX:"), 3),
    (mt940().replace(b"D49,50", b"D49,51"), 1),
    (b"head\r\n" + mt940().replace(b"C261128EUR1000,00", b"C261128EUR1000,01"), 2),
    (mt940().replace(b":28C:331/1\r\n", b""), 1),
]
BAD_CSV = [
    (b"", 1),
    (table().replace(b"Betrag", b"Summe"), 1),
    (table().replace(b"-49,50", b"-49,5x"), 3),
    (table().replace(b"28.11.2026;-49", b"11/28/2026;-49"), 3),
    (table().replace(b";BANK2;fee-7", b""), 3),
    (b"\xff\xfe" + table(), 1),
    (table() + b'28.11.2026;"1', 5),
    (table().replace(b"250,00", b"250,01"), 4),
]


@pytest.mark.parametrize(
    ("form", "data", "line"),
    [
        *[("camt053", data, line) for data, line in BAD_CAMT],
        *[("mt940", data, line) for data, line in BAD_MT940],
        *[("csv", data, line) for data, line in BAD_CSV],
    ],
)
def test_a_bad_file_is_refused_and_the_line_is_named(form: str, data: bytes, line: int) -> None:
    readers = {"camt053": camt053.read, "mt940": mt940_file.read}
    with pytest.raises(BadFile) as refused:
        if form == "csv":
            csv_statement.read(data, CsvMapping(**mapping()))
        else:
            readers[form](data)
    assert refused.value.line == line, refused.value


def test_parts_of_a_batch_are_entries_of_their_own_where_they_make_its_amount() -> None:
    part = (
        "<TxDtls><Refs><EndToEndId>{0}</EndToEndId></Refs>"
        '<Amt Ccy="EUR">{1}</Amt><CdtDbtInd>CRDT</CdtDbtInd></TxDtls>'
    )
    batch = "<NtryDtls><Btch><MsgId>run-9</MsgId></Btch>" + part.format("a", "100.00")
    whole = b"<NtryDtls><TxDtls><Refs><EndToEndId>po_1</EndToEndId></Refs></TxDtls></NtryDtls>"

    def with_parts(second: str) -> bytes:
        return camt().replace(whole, (batch + part.format("b", second) + "</NtryDtls>").encode())

    (split,) = camt053.read(with_parts("150.00"))
    assert [(e.amount_minor, e.related, e.group) for e in split.entries[:2]] == [
        (10_000, "a", "run-9"),
        (15_000, "b", "run-9"),
    ]
    (kept,) = camt053.read(with_parts("149.00"))
    assert [e.amount_minor for e in kept.entries] == [25_000, -4_950, -1_000]


def test_what_is_not_booked_yet_does_not_count() -> None:
    pending = camt().replace(b"<Cd>BOOK</Cd>", b"<Cd>PDNG</Cd>", 1)
    with pytest.raises(BadFile, match="are not the closing"):
        camt053.read(pending)


@pytest.fixture
def desk(served: httpx.AsyncClient) -> Desk:
    return Desk(served)


def sent(form: str, data: bytes, source: str = "bank:main", **more: Any) -> Any:
    return {
        "source": source,
        "format": form,
        "content": base64.b64encode(data).decode(),
        **more,
    }


async def sound(ledger: ServiceUnderTest) -> None:
    for one in RESERVES:
        sql = one.sql.replace("reserve_ledger.", "").replace("%%", "%")
        assert not await ledger.worker.fetch(sql), one.name


async def filed(desk: Desk, body: Any) -> Any:
    answer = await desk.ask("POST", "bank-statements", **body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_file_is_taken_once_and_its_name_means_one_statement(
    ledger: ServiceUnderTest, desk: Desk
) -> None:
    first = await filed(desk, sent("camt053", camt()))
    assert [(one["name"], one["entries"], one["already"]) for one in first["items"]] == [
        ("2026-331/1", 3, False)
    ]
    again = await filed(desk, sent("camt053", camt()))
    assert again["file_hash"] == first["file_hash"]
    assert again["items"] == [first["items"][0] | {"already": True}]
    same = await filed(desk, sent("mt940", mt940()))
    assert same["items"][0]["id"] == first["items"][0]["id"]
    other = sent("csv", table(ENTRIES[:2]), mapping=mapping(ENTRIES[:2]))
    assert await desk.code("bank-statements", **other) == "statement_name_reused"
    theirs = sent("camt053", camt(name="x").replace(b"DE89", b"DE90"))
    assert await desk.code("bank-statements", **theirs) == "statement_of_another_account"
    assert (
        await desk.code("bank-statements", "stranger", **sent("mt940", mt940())) == "operators_only"
    )
    broken = await desk.ask("POST", "bank-statements", **sent("mt940", b":20:x\n:61:y\n"))
    assert (broken.status_code, broken.json()["code"]) == (422, "statement_unreadable")
    assert broken.json()["data"]["line"] == 2
    wrong = await desk.ask("POST", "bank-statements", **sent("csv", table()))
    assert wrong.status_code == 422
    listed = (await desk.get("bank-statements"))["items"]
    assert [(one["name"], one["closing_minor"]) for one in listed] == [("2026-331/1", 119_050)]
    assert await ledger.worker.fetchval("select count(*) from external_line") == 3
    await sound(ledger)


async def test_a_movement_that_two_statements_list_counts_once_and_a_reference_may_come_again(
    ledger: ServiceUnderTest, desk: Desk
) -> None:
    await filed(desk, sent("camt053", camt()))
    week = [*ENTRIES[:2], (70, "BANK1", None), (70, "BANK1", None)]
    await filed(desk, sent("camt053", camt(week, name="week")))
    lines = await ledger.worker.fetch(
        "select reference, ordinal, amount_minor from external_line order by reference, ordinal"
    )
    assert [tuple(line) for line in lines] == [
        ("2026-331/1#3", 1, -1_000),
        ("BANK1", 1, 25_000),
        ("BANK1", 2, 70),
        ("BANK1", 3, 70),
        ("BANK2", 1, -4_950),
    ]
    await sound(ledger)


async def test_a_bank_is_a_source_of_the_reserve_and_is_reconciled_to_the_end(
    ledger: ServiceUnderTest, desk: Desk, payer: Any
) -> None:
    paid = at_provider(payer, 25_000)
    euros = Amount(amount_minor=25_000, asset="EUR")
    paid = paid.model_copy(update={"amount": euros, "invoice_due": euros})
    arrived = payout(payer.tenant_id, ProviderPayoutArrived, Tx.new_id())
    await ledger.receives(paid, arrived.model_copy(update={"amount": euros}))
    today = date.today()
    entries = [(25_000, "BANK1", "po_1"), (-300, "BANK2", "fees")]
    data = camt(entries, opening=0).replace(str(DAY).encode(), str(today).encode())
    await filed(desk, sent("camt053", data))
    source = await ledger.worker.fetch("select kind, asset, balance_minor::int from reserve_source")
    assert [tuple(row) for row in source] == [("bank", "EUR", 24_700)]
    cut_off = f"{today + timedelta(days=1)}T00:00:00Z"
    (job,) = (await desk.post("reconcile", source="bank:main", cut_off=cut_off))["items"]
    while await advance(ledger.worker):
        pass
    view = await desk.get(f"reconciliations/{job['id']}")
    assert view["proved"], view["proof"]
    assert view["proof"]["external"] == {
        "opening_minor": 0,
        "movements_minor": 24_700,
        "closing_minor": 24_700,
        "off_minor": 0,
    }
    breaks = (await desk.get("breaks"))["items"]
    assert [(b["amount_minor"], b["external_key"]) for b in breaks] == [(-300, "BANK2#1")]
    await desk.post(f"reconciliations/{job['id']}/sign-off", who="checker")
    await sound(ledger)


async def test_a_death_while_a_file_is_kept_leaves_nothing_of_it(
    ledger: ServiceUnderTest, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reserve_ledger.commands import file_statements

    def die(name: str) -> None:
        raise RuntimeError(name)

    with monkeypatch.context() as patched:
        patched.setattr(file_statements, "failpoint", die)
        assert (
            await desk.ask("POST", "bank-statements", **sent("mt940", mt940()))
        ).status_code >= 500
    assert await ledger.worker.fetchval("select count(*) from external_statement") == 0
    assert (await filed(desk, sent("mt940", mt940())))["items"][0]["already"] is False
