"""Payments booked and announced per second: everything behind the chain.

No fakes inside the flow: invoices are issued as always; then their PaymentSucceeded goes onto the
topic as the orchestrator would have stated it, and ledger, invoice and notification do the rest.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from aiokafka import AIOKafkaProducer
from tests.load.cases import Run
from tests.load.controls import broker
from tests.load.flows import issue_many
from tests.load.ledger import payment
from tests.load.measure import Outcome, Series, Span, p50_p99
from tests.load.place import pids_of
from tests.load.quiet import check, until_quiet
from tests.load.streams import Watcher, receiving, watching
from tests.load.tenants import UNITS, make_tenants, subscribe

from invoiceos_contracts.invoice_v1 import InvoiceIssued, InvoicePaid
from invoiceos_contracts.ledger_v1 import FundsBooked
from invoiceos_contracts.payment_v1 import PaymentSucceeded
from testkit.service import record_of


async def run(run: Run) -> Outcome:
    """The whole case."""
    platform = run.place.platform()
    outcome = Outcome()
    bootstrap = platform.infra.kafka_bootstrap
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving())
        watcher = await stack.enter_async_context(watching(bootstrap, keep=(InvoiceIssued,)))
        sender = await stack.enter_async_context(broker.producer(bootstrap, linger_ms=2))
        tenants = await asyncio.to_thread(make_tenants, platform, 8)
        for tenant in tenants:
            await asyncio.to_thread(subscribe, platform, tenant, receiver.url, [InvoicePaid.TYPE])
        series = Series("booked, invoice paid", "payments/s")
        hooks = Series("and its webhook delivered", "payments/s")
        count, rounds = (250, 2) if run.quick else (500, 3)
        for number in range(rounds):
            run.say(f"round {number + 1} of {rounds}")
            flows = await issue_many(platform, watcher, tenants, count)
            await until_quiet(platform, 20)
            pids = pids_of(platform.infra)
            with Span(services=platform.services, **pids) as span:
                await _feed(sender, watcher, flows)
                await watcher.all_of(InvoicePaid, flows, 60)
                paid_after = span.so_far
                await receiver.all_of(InvoicePaid, flows, 60)
            series.add(count / paid_after, {}, _latencies(watcher, flows))
            hooks.add(count / span.wall, span.micros(count, self="generator"))
        outcome.measures += [series.measure(), hooks.measure()]
        await check(platform, outcome.books)
        paid, booked = watcher.counts[InvoicePaid.TYPE], watcher.counts[FundsBooked.TYPE]
        outcome.books["each payment booked once, each invoice paid once"] = (
            paid == booked == count * rounds
        )
        outcome.books["each webhook delivered once"] = receiver.count == count * rounds
    outcome.notes.append(
        "All payments are on the topic at once: the latency beside the rate is that of a backlog."
    )
    return outcome


async def _feed(sender: AIOKafkaProducer, watcher: Watcher, flows: list[str]) -> None:
    await broker.produce(sender, PaymentSucceeded.TOPIC, [_message(watcher, f) for f in flows])


def _message(watcher: Watcher, flow: str) -> broker.Message:
    issued: Any = watcher.kept[InvoiceIssued.TYPE, flow]
    fact = payment(issued.tenant_id, invoice_id=issued.invoice_id, minor=UNITS)
    record = record_of(fact.model_copy(update={"wallet_id": issued.wallet_id}))
    return record.key, record.value, record.headers


def _latencies(watcher: Watcher, flows: list[str]) -> dict[str, float]:
    """From PaymentSucceeded on its topic to InvoicePaid on its own."""
    return p50_p99(
        [
            watcher.seen[InvoicePaid.TYPE][flow] - watcher.seen[PaymentSucceeded.TYPE][flow]
            for flow in flows
        ]
    )
