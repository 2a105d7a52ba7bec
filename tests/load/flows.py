"""Full flows per second: issued, paid by transfers on the chain, booked and announced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tests.load.cases import Run
from tests.load.controls.bare_chain import BareChain
from tests.load.loadgen import post_for
from tests.load.measure import Outcome, Ratio, Series, Span, alternate, ratios
from tests.load.payments import Payer
from tests.load.place import Platform, pids_of
from tests.load.quiet import check, until_quiet
from tests.load.streams import Watcher, watching
from tests.load.tenants import INVOICES, Requests, Tenant, make_tenants

from invoiceos_contracts import Event, encode
from invoiceos_contracts.invoice_v1 import InvoiceIssued, InvoicePaid
from invoiceos_local.chain import Node

CLIENTS = 32
TRANSFERS = 20
"""In one transaction: else the chain's transactions are what is measured."""
IN_FLIGHT = 8
BARE_FLOWS = 2_000


@dataclass(slots=True)
class Bench:
    """What the cells share."""

    run: Run
    platform: Platform
    pids: dict[str, list[int]]
    watcher: Watcher
    payer: Payer
    tenants: Sequence[Tenant]
    count: int
    outcome: Outcome = field(default_factory=Outcome)

    def span(self) -> Span:
        return Span(services=self.platform.services, **self.pids)


async def run(run: Run) -> Outcome:
    """The whole case."""
    platform = run.place.platform()
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(Node(platform.infra.tempo_rpc_url))
        watcher = await stack.enter_async_context(
            watching(platform.infra.kafka_bootstrap, keep=(InvoiceIssued,))
        )
        tenants = await asyncio.to_thread(make_tenants, platform, 8)
        chain = BareChain(platform.infra.kafka_bootstrap)
        stack.push_async_callback(chain.close)
        await chain.open(platform.admin_url, linger_ms=2)
        count = 200 if run.quick else 400
        bench = Bench(run, platform, pids_of(platform.infra), watcher, Payer(node), tenants, count)
        await _sustained(bench, chain)
        await _chain_alone(bench)
        await check(platform, bench.outcome.books)
        paid, issued = watcher.counts[InvoicePaid.TYPE], watcher.counts[InvoiceIssued.TYPE]
        bench.outcome.books["each invoice issued once and paid once"] = paid == issued > 0
    return bench.outcome


async def _sustained(bench: Bench, chain: BareChain) -> None:
    both = Series("issued and paid at the same time", "flows/s")
    issue = Series("issued: POST to InvoiceIssued", "invoices/s")
    pay = Series("paid: transfer to InvoicePaid", "invoices/s")
    bare = Series("control: bare chain of five stages, batches of 250", "flows/s")
    await chain.flow(500)

    async def together() -> None:
        with bench.span() as span:
            await _flows(bench)
        both.add(bench.count / span.wall, span.micros(bench.count, self="generator"))
        await until_quiet(bench.platform, 15)

    async def apart() -> None:
        with bench.span() as span:
            flows = await issue_many(bench.platform, bench.watcher, bench.tenants, bench.count)
        issue.add(bench.count / span.wall, span.micros(bench.count, self="generator"))
        await until_quiet(bench.platform, 15)
        with bench.span() as span:
            await _pay(bench, [_address(bench, flow) for flow in flows])
            await bench.watcher.all_of(InvoicePaid, flows, 60)
        pay.add(bench.count / span.wall, span.micros(bench.count, self="generator"))
        await until_quiet(bench.platform, 15)

    async def control() -> None:
        with Span(postgres=bench.pids["postgres"], kafka=bench.pids["kafka"]) as span:
            await chain.flow(BARE_FLOWS)
        bare.add(BARE_FLOWS / span.wall, span.micros(BARE_FLOWS, self="services"))

    await alternate(2 if bench.run.quick else 3, [together, control, apart], bench.run.say)
    bench.outcome.measures += [s.measure() for s in (both, issue, pay, bare)]
    share = ratios(both.values, bare.values)
    bench.outcome.ratios.append(Ratio("full flows / bare chain", share, "P5", at_least=0.35))


def _address(bench: Bench, flow: str) -> str:
    return str(bench.watcher.kept[InvoiceIssued.TYPE, flow].address)


async def _pay(bench: Bench, addresses: Sequence[str]) -> None:
    await bench.payer.pay_all(addresses, batch=TRANSFERS, at_once=IN_FLIGHT)


async def issue_many(
    platform: Platform, watcher: Watcher, tenants: Sequence[Tenant], count: int
) -> list[str]:
    """Issue invoices and wait until each is open; their ids."""
    before = set(watcher.seen[InvoiceIssued.TYPE])
    make = Requests(tenants, issue=True)
    load = await post_for(platform.urls["gateway"], INVOICES, make, clients=CLIENTS, count=count)
    if load.failures:
        raise RuntimeError(load.explain())
    issued = watcher.seen[InvoiceIssued.TYPE]
    goal = len(before) + count
    await watcher.until(lambda: len(issued) >= goal, 60, f"InvoiceIssued of {count} invoices")
    platform.flows += count
    return [flow for flow in issued if flow not in before]


async def _flows(bench: Bench) -> None:
    """Each invoice is paid as soon as it is seen to be open, with those that came beside it."""
    ready: asyncio.Queue[str] = asyncio.Queue()

    def opened(fact: Event) -> None:
        assert isinstance(fact, InvoiceIssued)
        ready.put_nowait(encode("inv", fact.invoice_id))

    bench.watcher.on_fact = opened
    issuing = asyncio.create_task(
        issue_many(bench.platform, bench.watcher, bench.tenants, bench.count)
    )
    paying = [asyncio.create_task(_payer(bench, ready)) for _ in range(IN_FLIGHT)]
    try:
        flows = await issuing
        await bench.watcher.all_of(InvoicePaid, flows, 60)
    finally:
        bench.watcher.on_fact = None
        for task in paying:
            task.cancel()
        await asyncio.gather(*paying, return_exceptions=True)


async def _payer(bench: Bench, ready: asyncio.Queue[str]) -> None:
    while True:
        flows = [await ready.get()]
        while not ready.empty() and len(flows) < TRANSFERS:
            flows.append(ready.get_nowait())
        await bench.payer.pay([_address(bench, flow) for flow in flows])


async def _chain_alone(bench: Bench) -> None:
    """What the chain itself carries: the same transfers to an address nobody watches."""
    nobody = "0x" + "77" * 20
    for batch in (1, TRANSFERS):
        count = 100 * batch if batch == 1 else bench.count
        began = time.perf_counter()
        await bench.payer.pay_all([nobody] * count, batch=batch, at_once=IN_FLIGHT)
        rate = count / (time.perf_counter() - began)
        series = Series(f"chain alone, {batch} transfers a transaction", "transfers/s")
        series.add(rate)
        bench.outcome.measures.append(series.measure())
        paid = next(m for m in bench.outcome.measures if m.name.startswith("paid:"))
        if batch == TRANSFERS:
            bench.outcome.ratios.append(Ratio("paid / chain alone", [paid.value / rate]))
