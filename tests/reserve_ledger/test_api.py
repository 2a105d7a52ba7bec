"""The books over HTTP: as of any moment, for one tenant alone, and whether they are whole."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis import problems
from chassis.application import describe
from chassis.auth import Caller, TokenMint, TokenReader
from invoiceos_contracts import encode
from messaging import Tx
from reserve_ledger.app import service
from testkit.service import ServiceUnderTest

TEN = 10_000_000
SEED = base64.b64encode(b"k" * 32).decode()
PUBLIC = Ed25519PrivateKey.from_private_bytes(b"k" * 32).public_key().public_bytes_raw()


class Reader:
    """Asks on behalf of one tenant."""

    def __init__(self, client: httpx.AsyncClient, mint: TokenMint, tenant_id: UUID) -> None:
        self._client, self._mint, self._tenant_id = client, mint, tenant_id

    async def ask(
        self, path: str, *, scopes: tuple[str, ...] = ("ledger:read",), **query: Any
    ) -> Any:
        token = self._mint.mint(Caller(self._tenant_id, "tests", frozenset(scopes)))
        return await self._client.get(
            f"/api/v1/{path}",
            params={name.rstrip("_"): value for name, value in query.items()} or None,
            headers={"Authorization": f"Bearer {token}"},
        )

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.ask(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def reader_of(ledger: ServiceUnderTest) -> AsyncIterator[Callable[[UUID], Reader]]:
    app = describe(service)
    problems.install(app)
    app.state.api_database = ledger.api
    app.state.token_reader = TokenReader(base64.b64encode(PUBLIC).decode())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ledger") as client:
        mint = TokenMint(SEED)
        yield lambda tenant_id: Reader(client, mint, tenant_id)


async def now_of(ledger: ServiceUnderTest) -> datetime:
    """The database's clock, after what is committed and before what is to come."""
    moment: datetime = await ledger.worker.fetchval("select clock_timestamp()")
    return moment


def by_account(answer: Any) -> dict[tuple[str, str], int]:
    return {(b["account"], b["asset"]): b["balance_minor"] for b in answer["balances"]}


async def test_the_books_as_of_any_moment_are_what_they_were_then(
    ledger: ServiceUnderTest, payer: Any, auditor: Any, reader_of: Callable[[UUID], Reader]
) -> None:
    reader, chance = reader_of(payer.tenant_id), random.Random(11)
    invoices, paid, snapshots = [Tx.new_id() for _ in range(3)], [], []
    for step in range(14):
        if step % 4 == 3:
            fact = payer.reverted(paid.pop(chance.randrange(len(paid))))
        elif step == 9:
            fact = payer.voided(invoices[0])
        else:
            asset = chance.choice(["PATHUSD", "USDC", "EURC"])
            fact = payer.succeeded(chance.choice(invoices), 4_444_444, asset=asset)
            paid.append(fact)
        await ledger.receives(fact)
        snapshots.append((await now_of(ledger), await auditor.balances(payer.tenant_id)))
    for moment, balances in chance.sample(snapshots, len(snapshots)):
        answer = await reader.get("ledger/balances", as_of=moment.isoformat())
        assert {k: v for k, v in by_account(answer).items() if v} == balances
        only = await reader.get("ledger/balances", as_of=moment.isoformat(), asset="USDC")
        assert {k: v for k, v in by_account(only).items() if v} == {
            key: net for key, net in balances.items() if key[1] == "USDC"
        }
        trial = await reader.get("ledger/trial-balance", as_of=moment.isoformat())
        assert trial["sequence"] == answer["sequence"]
        assert all(total["balanced"] for total in trial["totals"])
        assert {
            (line["account"], line["asset"]): line["debit_minor"] - line["credit_minor"]
            for line in trial["lines"]
        } == by_account(answer)
    latest = await reader.get("ledger/balances")
    assert {k: v for k, v in by_account(latest).items() if v} == snapshots[-1][1]
    before = await reader.get("ledger/balances", as_of="2020-01-01T00:00:00Z")
    assert (before["sequence"], before["balances"]) == (0, [])


async def test_an_account_statement_runs_from_opening_to_closing(
    ledger: ServiceUnderTest, payer: Any, reader_of: Callable[[UUID], Reader]
) -> None:
    reader, moments = reader_of(payer.tenant_id), []
    for amount in (1_000, 2_000, 3_000):
        moments.append(await now_of(ledger))
        await ledger.receives(*[payer.succeeded(Tx.new_id(), amount) for _ in range(3)])
    path = "ledger/accounts/1200/statement"
    whole = await reader.get(path, asset="PATHUSD")
    assert (whole["opening_balance_minor"], whole["closing_balance_minor"]) == (0, 18_000)
    middle = await reader.get(
        path, asset="PATHUSD", from_=moments[1].isoformat(), to=moments[2].isoformat()
    )
    assert (middle["opening_balance_minor"], middle["closing_balance_minor"]) == (3_000, 9_000)
    assert [e["balance_minor"] for e in middle["items"]] == [5_000, 7_000, 9_000]
    assert {e["amount_minor"] for e in middle["items"]} == {2_000}
    seen, cursor = [], {}
    while True:
        part = await reader.get(path, asset="PATHUSD", limit=2, **cursor)
        seen += part["items"]
        if part["next_cursor"] is None:
            break
        cursor = {"cursor": part["next_cursor"]}
    assert seen == whole["items"]
    assert len(seen) == 9
    never = await reader.get("ledger/accounts/5300/statement", asset="USDC")
    assert (never["items"], never["closing_balance_minor"]) == ([], 0)
    backwards = await reader.ask(
        path, asset="PATHUSD", from_=moments[2].isoformat(), to=moments[1].isoformat()
    )
    assert (backwards.status_code, backwards.json()["code"]) == (422, "period_reversed")
    unknown = await reader.ask("ledger/accounts/9999/statement", asset="USDC")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "account_not_found")


async def test_transactions_can_be_found_by_invoice_and_payment(
    ledger: ServiceUnderTest, payer: Any, reader_of: Callable[[UUID], Reader]
) -> None:
    reader, invoice = reader_of(payer.tenant_id), Tx.new_id()
    paid, other = payer.succeeded(invoice, TEN), payer.succeeded(invoice, 5)
    await ledger.receives(paid, other, payer.succeeded(Tx.new_id(), TEN), payer.reverted(paid))
    everything = (await reader.get("ledger/transactions"))["items"]
    assert [t["sequence"] for t in everything] == [4, 3, 2, 1]
    of_invoice = await reader.get("ledger/transactions", invoice_id=encode("inv", invoice))
    assert [t["sequence"] for t in of_invoice["items"]] == [4, 2, 1]
    of_payment = await reader.get(
        "ledger/transactions", payment_id=encode("pay", paid.payment_id), limit=1
    )
    assert [t["template"] for t in of_payment["items"]] == ["payment_reverted.v1"]
    rest = await reader.get(
        "ledger/transactions",
        payment_id=encode("pay", paid.payment_id),
        cursor=of_payment["next_cursor"],
    )
    assert [t["template"] for t in rest["items"]] == ["invoice_paid.v1"]
    assert rest["next_cursor"] is None
    assert of_payment["items"][0]["reverses"] == rest["items"][0]["id"]
    one = await reader.get(f"ledger/transactions/{everything[0]['id']}")
    assert one == everything[0]
    assert one["previous_hash"] == everything[1]["hash"]
    nobody = await reader.get("ledger/transactions", payment_id=encode("pay", Tx.new_id()))
    assert nobody["items"] == []


async def test_an_altered_row_is_found(
    ledger: ServiceUnderTest, payer: Any, reader_of: Callable[[UUID], Reader]
) -> None:
    reader = reader_of(payer.tenant_id)
    assert (await reader.get("ledger/verification"))["ok"]
    for _ in range(3):
        await ledger.receives(*[payer.succeeded(Tx.new_id(), TEN) for _ in range(100)])
    sound = await reader.get("ledger/verification")
    assert (sound["ok"], sound["to_sequence"], sound["next_from_sequence"]) == (True, 300, None)
    part = await reader.get("ledger/verification", from_sequence=11, limit=20)
    assert (part["ok"], part["to_sequence"], part["next_from_sequence"]) == (True, 30, 31)
    beyond = await reader.get("ledger/verification", from_sequence=10**12)
    assert beyond["ok"]
    for tampering, sequence, reason in (
        (
            "update posting set amount_minor = amount_minor + 1 where sequence = 7 and line = 1",
            7,
            "altered",
        ),
        ("update posting set account = '1100' where sequence = 9 and line = 1", 9, "altered"),
        (
            "update posting set balance_minor = 0 where sequence = 5 and line = 2",
            5,
            "balance_altered",
        ),
        (
            "update ledger_transaction set posted_at = posted_at - interval '1 us' where sequence = 280",
            280,
            "altered",
        ),
        ("update ledger_transaction set invoice_id = id where sequence = 2", 2, "altered"),
        ("update ledger_transaction set hash = sha256('x') where sequence = 300", 300, "altered"),
        ("delete from ledger_transaction where sequence = 100", 100, "missing"),
        ("delete from ledger_transaction where sequence = 300", 300, "missing"),
        ("delete from posting where sequence = 44", 44, "altered"),
        ("update ledger_head set hash = sha256('x')", 300, "head_altered"),
        ("update ledger_head set sequence = 299", 300, "head_altered"),
        ("delete from ledger_head", 300, "head_altered"),
        (
            "update account_balance set debit_minor = debit_minor + 1 where account = '1200'",
            300,
            "balance_altered",
        ),
        ("delete from account_balance where account = '4100'", 300, "balance_altered"),
    ):
        with psycopg.connect(ledger.place.admin_url) as admin:
            admin.execute("set search_path = reserve_ledger")
            kept = {
                table: admin.execute(f"select * from {table}").fetchall()
                for table in ("posting", "ledger_transaction", "ledger_head", "account_balance")
            }
            admin.execute(tampering)
        found = await reader.get("ledger/verification")
        assert (found["ok"], found["first_bad_sequence"], found["reason"]) == (
            False,
            sequence,
            reason,
        ), tampering
        with psycopg.connect(ledger.place.admin_url) as admin:
            admin.execute("set search_path = reserve_ledger")
            admin.execute("set session_replication_role = replica")
            for table, rows in kept.items():
                admin.execute(f"delete from {table}")
                marks = ", ".join(["%s"] * len(rows[0]))
                admin.cursor().executemany(f"insert into {table} values ({marks})", rows)
    assert (await reader.get("ledger/verification"))["ok"]


async def test_verification_is_right_while_others_post(
    ledger: ServiceUnderTest, payer: Any, reader_of: Callable[[UUID], Reader]
) -> None:
    reader = reader_of(payer.tenant_id)

    async def post() -> None:
        for _ in range(30):
            await ledger.receives(payer.succeeded(Tx.new_id(), TEN))

    posting = asyncio.create_task(post())
    while not posting.done():
        found = await reader.get("ledger/verification")
        assert found["ok"], found
    await posting


async def test_any_tenant_sees_the_reserve_of_the_platform_and_no_other_tenant(
    ledger: ServiceUnderTest, new_payer: Callable[[], Any], reader_of: Callable[[UUID], Reader]
) -> None:
    one, other = new_payer(), new_payer()
    reader = reader_of(one.tenant_id)
    nothing = await reader.ask("reserves")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "reserve_not_stated")
    for _ in range(3):
        await ledger.receives(other.succeeded(Tx.new_id(), TEN))
    latest = await reader.get("reserves")
    assert (latest["sequence"], latest["covered"]) == (3, True)
    assert latest["positions"][0]["reserve_minor"] == 3 * TEN
    assert latest["public_key"]
    assert encode("ten", other.tenant_id) not in str(latest)
    first = await reader.get("reserves/statements", limit=2)
    rest = await reader.get("reserves/statements", limit=2, cursor=first["next_cursor"])
    assert [s["sequence"] for s in [*first["items"], *rest["items"]]] == [3, 2, 1]
    assert first["items"][0] == latest
    assert rest["next_cursor"] is None
    foreign = await reader_of(other.tenant_id).get("ledger/transactions")
    transaction_id = foreign["items"][0]["id"]
    hidden = await reader.ask(f"ledger/transactions/{transaction_id}")
    absent = await reader.ask(f"ledger/transactions/{encode('txn', Tx.new_id())}")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json() == absent.json()
    assert (await reader.get("ledger/transactions"))["items"] == []
    assert (await reader.get("ledger/balances"))["balances"] == []
    assert (await reader.get("ledger/verification"))["head_sequence"] == 0


PATHS = [
    *("ledger/balances", "ledger/trial-balance", "ledger/accounts/1200/statement"),
    *("ledger/transactions", "ledger/verification", "reserves", "reserves/statements"),
    f"ledger/transactions/{encode('txn', UUID(int=5))}",
]


@pytest.mark.parametrize("path", PATHS)
async def test_the_scope_is_needed(
    reader_of: Callable[[UUID], Reader], payer: Any, path: str
) -> None:
    answer = await reader_of(payer.tenant_id).ask(path, scopes=("invoices:read",), asset="USDC")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


@pytest.mark.parametrize(
    "path",
    [
        *("ledger/balances?as_of=yesterday", "ledger/balances?as_of=0", "ledger/balances?as_of="),
        "ledger/balances?as_of=2026-11-20T12:00:00",
        "ledger/balances?as_of=0001-01-01T00:00:00%2B14:00",
        "ledger/balances?as_of=9999-12-31T23:59:59-14:00",
        *(
            "ledger/balances?asset=usd",
            "ledger/balances?asset=%EF%BB%BF",
        ),
        "ledger/accounts/1200/statement",
        "ledger/accounts/12/statement?asset=USDC",
        "ledger/accounts/%D9%A1%D9%A2%D9%A0%D9%A0/statement?asset=USDC",
        "ledger/accounts/1200/statement?asset=USDC&cursor=x",
        "ledger/accounts/1200/statement?asset=USDC&limit=0",
        "ledger/transactions?invoice_id=inv_1",
        "ledger/transactions?cursor=cur_80000000000000000000000000",
        "ledger/transactions/pay_00000000000000000000000000",
        *("ledger/verification?from_sequence=0", "ledger/verification?from_sequence=1e3"),
        "ledger/verification?limit=5001",
        "ledger/verification?from_sequence=9223372036854775808",
    ],
)
async def test_a_question_that_is_no_question_is_refused(
    reader_of: Callable[[UUID], Reader], payer: Any, path: str
) -> None:
    answer = await reader_of(payer.tenant_id).ask(path)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("place", [0, 2**63, 2**127, 2**128 - 1])
async def test_a_made_up_cursor_is_harmless(
    reader_of: Callable[[UUID], Reader], payer: Any, place: int
) -> None:
    reader, cursor = reader_of(payer.tenant_id), encode("cur", UUID(int=place))
    for path in ("ledger/transactions", "reserves/statements"):
        assert (await reader.get(path, cursor=cursor))["items"] == []
    statement = await reader.get("ledger/accounts/1200/statement", asset="USDC", cursor=cursor)
    assert statement["items"] == []
