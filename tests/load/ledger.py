"""Transfers per second of the ledger: in bulk and singly, all of one tenant and spread over many."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from tests.load.cases import Run
from tests.load.controls import bare_ledger
from tests.load.measure import Outcome, Ratio, Series, Span, alternate, ratios
from tests.load.place import pids_of

from invoiceos_contracts import Amount
from invoiceos_contracts.payment_v1 import OnChain, PaymentSucceeded
from messaging import Tx
from testkit.databases import create_database
from testkit.service import ServiceUnderTest, record_of, under_test

POLL = 500
TENANTS = 500
_SETTINGS = {
    "INVOICEOS_ENVIRONMENT": "test",
    "INVOICEOS_DATABASE_API_URL": "postgresql://not-used",
    "INVOICEOS_DATABASE_WORKER_URL": "postgresql://not-used",
    "INVOICEOS_EVIDENCE_PRIVATE_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
}
_BOOKS = """
select (select coalesce(sum(amount_minor), 0) from reserve_ledger.posting) = 0
   and (select count(*) from reserve_ledger.payment_booking where state = 'booked') = $1
   and (select count(distinct (tenant_id, cause_event_id))
        from reserve_ledger.ledger_transaction) = $1
   and (select coalesce(sum(debit_minor - credit_minor), 0) from reserve_ledger.account_balance) = 0
   and (select coalesce(sum(amount_minor), 0) from reserve_ledger.posting where amount_minor > 0)
     = (select coalesce(sum(amount_minor), 0) from reserve_ledger.payment_booking)
   and (select bool_and(covered) from reserve_ledger.reserve_statement)
"""
_CHAIN = """
select not exists (
    select from reserve_ledger.ledger_transaction t
    join reserve_ledger.ledger_head h using (tenant_id)
    group by t.tenant_id, h.sequence having count(*) <> h.sequence or max(t.sequence) <> h.sequence)
"""


def payment(tenant_id: UUID, *, invoice_id: UUID | None = None, minor: int = 119_000_000) -> Any:
    """A final payment of an invoice of its own, in full."""
    transaction = secrets.token_hex(32)
    return PaymentSucceeded(
        tenant_id=tenant_id,
        payment_id=Tx.new_id(),
        invoice_id=invoice_id or Tx.new_id(),
        wallet_id=Tx.new_id(),
        provider="tempo",
        rail="tempo",
        amount=Amount(amount_minor=minor, asset="PATHUSD"),
        chain=OnChain(
            chain_id=31337,
            block_number=1,
            block_hash="0x" + "00" * 32,
            transaction_hash="0x" + transaction,
            log_index=0,
        ),
        payer="0x" + "11" * 20,
        provider_reference=f"31337:{transaction}:0",
        fee=None,
        final_at=datetime.now(UTC),
        invoice_due=Amount(amount_minor=minor, asset="PATHUSD"),
        memo_matches=None,
    )


@dataclass(slots=True)
class Bench:
    """What the cells share."""

    run: Run
    unit: ServiceUnderTest
    bare: asyncpg.Connection
    pids: dict[str, list[int]]
    spread: list[UUID] = field(default_factory=lambda: [uuid.uuid4() for _ in range(TENANTS)])
    booked: int = 0
    posted: int = 0

    def span(self) -> Span:
        return Span(postgres=self.pids["postgres"])

    async def ours(self, series: Series, polls: int, size: int, *, tenants: list[UUID]) -> None:
        """Polls of so many payments, one after the other, as a consumer gets them."""
        facts = [payment(tenants[n % len(tenants)]) for n in range(polls * size)]
        records = [record_of(fact) for fact in facts]
        with self.span() as span:
            for start in range(0, len(records), size):
                await self.unit.processor.process(records[start : start + size])
        self.booked += len(records)
        series.add(len(records) / span.wall, span.micros(len(records), self="service"))

    async def control(self, series: Series, polls: int, size: int, *, accounts: int) -> None:
        """The same number of transfers by the bare statement."""
        rows = bare_ledger.transfers(polls * size, accounts)
        with self.span() as span:
            for start in range(0, len(rows), size):
                await bare_ledger.post(self.bare, rows[start : start + size])
        self.posted += len(rows)
        series.add(len(rows) / span.wall, span.micros(len(rows), self="service"))


async def run(run: Run) -> Outcome:
    """The whole case."""
    os.environ.update(_SETTINGS)
    from reserve_ledger.app import service

    infra = run.place.infrastructure()
    async with AsyncExitStack() as stack:
        place = await asyncio.to_thread(create_database, infra.postgres_url, "reserve_ledger")
        stack.callback(place.drop)
        unit = await stack.enter_async_context(under_test(service, place))
        bare = await asyncpg.connect(place.admin_url)
        stack.push_async_callback(bare.close)
        await bare.execute("create schema bare; set search_path = bare;" + bare_ledger.TABLES)
        bench = Bench(run, unit, bare, pids_of(infra))
        outcome = await _measure(bench)
        outcome.books["debits equal credits, each payment booked once, reserve covers"] = bool(
            await bare.fetchval(_BOOKS, bench.booked)
        )
        outcome.books["each tenant's chain has no gap"] = bool(await bare.fetchval(_CHAIN))
        outcome.books["the control's books agree"] = await bare_ledger.books_agree(
            bare, bench.posted
        )
    return outcome


async def _measure(bench: Bench) -> Outcome:
    polls, singles = (4, 40) if bench.run.quick else (8, 150)
    spread = Series(f"bulk, polls of {POLL}, {TENANTS} tenants", "transfers/s")
    hot = Series(f"bulk, polls of {POLL}, one tenant", "transfers/s")
    single = Series("single, polls of 1", "transfers/s")
    bare_bulk = Series(f"yardstick statement, {POLL} at once", "transfers/s")
    bare_single = Series("yardstick statement, 1 at once", "transfers/s")
    one = bench.spread[:1]
    cells = [
        lambda: bench.ours(spread, polls, POLL, tenants=bench.spread),
        lambda: bench.control(bare_bulk, polls, POLL, accounts=TENANTS),
        lambda: bench.ours(hot, polls, POLL, tenants=one),
        lambda: bench.ours(single, singles, 1, tenants=bench.spread),
        lambda: bench.control(bare_single, singles, 1, accounts=TENANTS),
    ]
    await _warm(bench)
    await alternate(bench.run.rounds, cells, bench.run.say)
    found = Outcome([s.measure() for s in (spread, hot, bare_bulk, single, bare_single)])
    hot_share, bulk = ratios(hot.values, spread.values), ratios(hot.values, bare_bulk.values)
    found.ratios += [
        Ratio("one tenant / spread over 500, bulk", hot_share, "P10", at_least=0.9),
        Ratio("ledger / yardstick, bulk of one tenant", bulk, "P12", at_least=0.4),
        Ratio("ledger / yardstick, bulk spread", ratios(spread.values, bare_bulk.values)),
        Ratio("ledger / yardstick, single", ratios(single.values, bare_single.values)),
    ]
    return found


async def _warm(bench: Bench) -> None:
    unused = Series("", "")
    await bench.ours(unused, 1, POLL, tenants=bench.spread)
    await bench.control(unused, 1, POLL, accounts=TENANTS)
