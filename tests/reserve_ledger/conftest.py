import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.reserve_ledger.desks import PUBLIC, TEN, Desk

from chassis import problems
from chassis.application import describe
from chassis.auth import TokenReader
from chassis.settings import load
from invoiceos_contracts.base import Amount
from invoiceos_contracts.invoice_v1 import InvoiceStatus, InvoiceVoided
from invoiceos_contracts.payment_v1 import PaymentConflicted, PaymentReverted, PaymentSucceeded
from invoiceos_contracts.samples import sample
from messaging import Tx, Writer
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

SEED = base64.b64encode(b"reserve-ledger-tests-seed-000032").decode()
ENVIRONMENT = {
    "INVOICEOS_ENVIRONMENT": "test",
    "INVOICEOS_DATABASE_API_URL": "postgresql://unused",
    "INVOICEOS_DATABASE_WORKER_URL": "postgresql://unused",
    "INVOICEOS_EVIDENCE_PRIVATE_KEY": SEED,
    "INVOICEOS_PLATFORM_FEE_PPM": "15000",
}


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    load.cache_clear()
    yield
    load.cache_clear()
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture
async def ledger(
    make_database: Callable[[str], ServiceDatabase],
) -> AsyncIterator[ServiceUnderTest]:
    from reserve_ledger.app import service

    async with under_test(service, make_database("reserve_ledger")) as unit:
        yield unit


class Payer:
    """Says what happens to the payments of one tenant's invoices."""

    def __init__(self, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id

    def succeeded(
        self,
        invoice_id: UUID,
        amount: int,
        *,
        due: int = 10_00,
        asset: str = "PATHUSD",
        due_asset: str = "USD",
        payment_id: UUID | None = None,
    ) -> PaymentSucceeded:
        return sample(PaymentSucceeded).model_copy(
            update={
                "tenant_id": self.tenant_id,
                "invoice_id": invoice_id,
                "payment_id": payment_id or Tx.new_id(),
                "amount": Amount(amount_minor=amount, asset=asset),
                "invoice_due": Amount(amount_minor=due, asset=due_asset),
                "held_at": None,
            }
        )

    def reverted(self, paid: PaymentSucceeded | PaymentConflicted, *, was_final: bool = True):
        return sample(PaymentReverted).model_copy(
            update={
                "tenant_id": self.tenant_id,
                "invoice_id": paid.invoice_id,
                "payment_id": paid.payment_id,
                "amount": paid.amount,
                "cause": "reorganisation",
                "was_final": was_final,
            }
        )

    def conflicted(
        self, invoice_id: UUID, amount: int, *, asset: str = "EURC", payment_id: UUID | None = None
    ) -> PaymentConflicted:
        return sample(PaymentConflicted).model_copy(
            update={
                "tenant_id": self.tenant_id,
                "invoice_id": invoice_id,
                "payment_id": payment_id or Tx.new_id(),
                "amount": Amount(amount_minor=amount, asset=asset),
                "cause": "wrong_asset",
            }
        )

    def voided(self, invoice_id: UUID) -> InvoiceVoided:
        status = InvoiceStatus(document="void", settlement="unpaid", timeliness="on_time")
        return sample(InvoiceVoided).model_copy(
            update={"tenant_id": self.tenant_id, "invoice_id": invoice_id, "status": status}
        )


@pytest.fixture
def payer() -> Payer:
    return Payer(Tx.new_id())


class Auditor:
    """Looks at the books from the outside."""

    def __init__(self, unit: ServiceUnderTest) -> None:
        self.unit = unit

    async def balances(self, tenant_id: UUID) -> dict[tuple[str, str], int]:
        """Net balance by account and asset, from the cache."""
        rows = await self.unit.worker.fetch(
            """select account, asset, debit_minor - credit_minor as net from account_balance
            where tenant_id = $1""",
            tenant_id,
        )
        return {(row["account"], row["asset"]): row["net"] for row in rows if row["net"]}

    async def breaches(self) -> dict[str, int]:
        """Rows that each invariant of reliability.md finds; all must be 0."""
        checks = {
            "I1 balanced": """select count(*) from (select 1 from posting
                group by tenant_id, sequence, asset having sum(amount_minor) <> 0) x""",
            "I3 covered at every sequence": """select count(*) from (
                select sum(amount_minor) over (partition by tenant_id, asset order by sequence
                    range unbounded preceding) as difference from posting) x where difference <> 0""",
            "I4 cached balance": """select count(*) from (
                select tenant_id, account, asset, debit_minor, credit_minor from account_balance
                except all
                select tenant_id, account, asset,
                    coalesce(sum(amount_minor) filter (where amount_minor > 0), 0)::bigint,
                    coalesce(-sum(amount_minor) filter (where amount_minor < 0), 0)::bigint
                from posting group by 1, 2, 3) x""",
            "I4 running balance": """select count(*) from (
                select balance_minor, sum(amount_minor) over (partition by tenant_id, account, asset
                    order by sequence, line) as want from posting) x where balance_minor <> want""",
            "I5 floor": "select count(*) from posting where account like '2%' and balance_minor > 0",
            "I13 one effect": """select count(*) from (select 1 from ledger_transaction
                group by tenant_id, cause_event_id, template having count(*) > 1) x""",
            "I27 gap-free": """select count(*) from (select 1 from ledger_transaction
                group by tenant_id having min(sequence) <> 1 or max(sequence) <> count(*)) x""",
            "head agrees": """select count(*) from ledger_head h join ledger_transaction t
                using (tenant_id, sequence) where h.hash <> t.hash""",
            "platform total": """select count(*) from (
                select account, asset, balance_minor from reserve_total
                except select account, asset, sum(debit_minor - credit_minor)::bigint
                from account_balance group by 1, 2) x""",
            "covered": "select count(*) from reserve_statement where not covered",
            "statements gap-free": """select count(*) from (select min(sequence) as first,
                max(sequence) as last, count(*) as n from reserve_statement) x
                where n > 0 and (first <> 1 or last <> n)""",
        }
        return {name: await self.unit.worker.fetchval(sql) for name, sql in checks.items()}

    async def sound(self) -> None:
        found = {name: count for name, count in (await self.breaches()).items() if count}
        assert not found


@pytest.fixture
def auditor(ledger: ServiceUnderTest) -> Auditor:
    return Auditor(ledger)


@pytest.fixture
def new_payer() -> Callable[[], Payer]:
    return lambda: Payer(Tx.new_id())


@pytest.fixture(scope="session")
def payer_class() -> type[Payer]:
    return Payer


@pytest.fixture
async def served(ledger: ServiceUnderTest) -> AsyncIterator[httpx.AsyncClient]:
    """The service's HTTP, as whoever shows a token meets it."""
    from reserve_ledger.app import service

    app = describe(service)
    problems.install(app)
    app.state.api_database = ledger.api
    app.state.writer = Writer(ledger.api)
    app.state.token_reader = TokenReader(base64.b64encode(PUBLIC).decode())
    writing = asyncio.create_task(app.state.writer.run())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ledger") as client:
        yield client
    writing.cancel()


@pytest.fixture
def desks(served: httpx.AsyncClient) -> Any:
    return lambda tenant_id: Desk(served, tenant_id)


@pytest.fixture
async def desk(desks: Any, ledger: ServiceUnderTest, payer: Any) -> Desk:
    """A tenant that has ten dollars less the platform's fee."""
    await ledger.receives(payer.succeeded(Tx.new_id(), TEN))
    found: Desk = desks(payer.tenant_id)
    return found
