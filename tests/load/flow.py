"""From a request, and from a transfer, to the last effect: alone, and with others beside it.

issue: POST with `issue` sent -> answered -> WalletReady -> InvoiceIssued seen -> its webhook came.
payment: transfer submitted -> PaymentSucceeded seen -> FundsBooked -> InvoicePaid -> its webhook.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tests.load.cases import Run
from tests.load.controls.bare_chain import BareChain, Floor, floor
from tests.load.loadgen import Connection
from tests.load.measure import Measure, Outcome, Ratio, p50_p99, percentile
from tests.load.payments import Payer
from tests.load.place import Platform
from tests.load.quiet import check, until_quiet
from tests.load.streams import Receiver, Watcher, receiving, watching
from tests.load.tenants import Requests, Tenant, make_tenants, post_invoice, subscribe

from invoiceos_contracts.ephemeral_v1 import EphemeralWalletActivated
from invoiceos_contracts.invoice_v1 import InvoiceIssued, InvoicePaid
from invoiceos_contracts.ledger_v1 import FundsBooked
from invoiceos_contracts.payment_v1 import PaymentSucceeded
from invoiceos_contracts.wallet_v1 import WalletReady
from invoiceos_local.chain import Node

AT_ONCE = 32
Stages = dict[str, list[float]]
"""Name of a step to the seconds from the beginning of the flow, one a flow."""


@dataclass(slots=True)
class Bench:
    """What the cells share."""

    run: Run
    platform: Platform
    watcher: Watcher
    receiver: Receiver
    payer: Payer
    tenants: Sequence[Tenant]
    chain: BareChain
    outcome: Outcome = field(default_factory=Outcome)


async def run(run: Run) -> Outcome:
    """The whole case."""
    platform = run.place.platform()
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(Node(platform.infra.tempo_rpc_url))
        receiver = await stack.enter_async_context(receiving())
        watcher = await stack.enter_async_context(
            watching(platform.infra.kafka_bootstrap, keep=(InvoiceIssued,))
        )
        tenants = await asyncio.to_thread(make_tenants, platform, 4)
        for tenant in tenants:
            types = [InvoiceIssued.TYPE, InvoicePaid.TYPE]
            await asyncio.to_thread(subscribe, platform, tenant, receiver.url, types)
        chain = BareChain(platform.infra.kafka_bootstrap)
        stack.push_async_callback(chain.close)
        await chain.open(platform.admin_url, linger_ms=0)
        bench = Bench(run, platform, watcher, receiver, Payer(node), tenants, chain)
        await _alone(bench)
        await _under_load(bench)
        await check(platform, bench.outcome.books)
    return bench.outcome


async def _alone(bench: Bench) -> None:
    """One flow after the other; the floor is measured before and after in turns."""
    rounds, each = bench.run.rounds, (8 if bench.run.quick else 16)
    totals: list[tuple[float, float, Floor]] = []
    issue, payment = _stages(), _stages()
    connection = await Connection.open(bench.platform.urls["gateway"])
    requests = Requests(bench.tenants, issue=True)
    await _both(bench, connection, requests, _stages(), _stages())  # warms up
    await bench.chain.latencies(20)
    for number in range(rounds):
        bench.run.say(f"alone, round {number + 1} of {rounds}")
        low = await floor(bench.chain, 40)
        mine_issue, mine_payment = _stages(), _stages()
        for _ in range(each):
            await _both(bench, connection, requests, mine_issue, mine_payment)
        whole = [
            a + b - c
            for a, b, c in zip(
                mine_issue["InvoiceIssued seen"],
                mine_payment["webhook of InvoicePaid"],
                mine_payment["PaymentSucceeded seen"],
                strict=True,
            )
        ]
        totals.append((percentile(whole, 0.5), percentile(whole, 0.99), low))
        _extend(issue, mine_issue)
        _extend(payment, mine_payment)
    connection.close()
    bench.platform.flows += rounds * each
    _report(bench.outcome, "issue, alone", issue)
    _report(bench.outcome, "payment, alone", payment)
    _against_floor(bench.outcome, totals)


async def _both(
    bench: Bench, connection: Connection, requests: Requests, issue: Stages, payment: Stages
) -> None:
    """One flow: issued, then paid."""
    flow = await _issue(bench, connection, requests, issue)
    await _pay(bench, flow, payment)
    await asyncio.sleep(0.01)


async def _issue(bench: Bench, connection: Connection, requests: Requests, stages: Stages) -> str:
    began = time.perf_counter()
    flow = str((await post_invoice(connection, requests))["id"])
    answered = time.perf_counter()
    issued = await bench.watcher.fact(InvoiceIssued, flow)
    hook = await bench.receiver.fact(InvoiceIssued, flow)
    stages["answered"].append(answered - began)
    stages["WalletReady seen"].append(await bench.watcher.fact(WalletReady, flow) - began)
    stages["InvoiceIssued seen"].append(issued - began)
    stages["webhook of InvoiceIssued"].append(hook - began)
    return flow


async def _pay(bench: Bench, flow: str, stages: Stages) -> None:
    await bench.watcher.fact(EphemeralWalletActivated, flow)
    address = bench.watcher.kept[InvoiceIssued.TYPE, flow].address
    began = time.perf_counter()
    await bench.payer.submit([address])
    submitted = time.perf_counter()
    paid = await bench.watcher.fact(InvoicePaid, flow)
    hook = await bench.receiver.fact(InvoicePaid, flow)
    final = await bench.watcher.fact(PaymentSucceeded, flow)
    stages["accepted by the node"].append(submitted - began)
    stages["PaymentSucceeded seen"].append(final - began)
    stages["FundsBooked seen"].append(await bench.watcher.fact(FundsBooked, flow) - began)
    stages["InvoicePaid seen"].append(paid - began)
    stages["webhook of InvoicePaid"].append(hook - began)


async def _under_load(bench: Bench) -> None:
    """So many flows at once, each begun when the one before it in its lane has ended."""
    each = 4 if bench.run.quick else 8
    issue, payment = _stages(), _stages()
    requests = Requests(bench.tenants, issue=True)
    bench.run.say(f"{AT_ONCE} at once")

    async def lane() -> None:
        connection = await Connection.open(bench.platform.urls["gateway"])
        for _ in range(each):
            await _both(bench, connection, requests, issue, payment)
        connection.close()

    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    await until_quiet(bench.platform, 15)
    bench.platform.flows += AT_ONCE * each
    _report(bench.outcome, f"issue, {AT_ONCE} at once", issue)
    _report(bench.outcome, f"payment, {AT_ONCE} at once", payment)


def _stages() -> Stages:
    return defaultdict(list)


def _extend(into: Stages, more: Stages) -> None:
    for name, values in more.items():
        into[name] += values


def _report(outcome: Outcome, what: str, stages: Stages) -> None:
    for name, values in stages.items():
        shown = p50_p99(values)
        outcome.measures.append(Measure(f"{what}: {name}", "ms p50", [shown["p50_ms"]], more=shown))


def _against_floor(outcome: Outcome, totals: Sequence[tuple[float, float, Floor]]) -> None:
    """P3 and P4: what our code adds to five commits and four hops of this machine."""
    floors = [low.of() for _, _, low in totals]
    outcome.measures += [
        Measure("floor: 5 commits + 4 hops", "ms p50", [value * 1e3 for value in floors]),
        Measure("its commit", "ms p50", [low.commit * 1e3 for _, _, low in totals]),
        Measure("its hop", "ms p50", [low.hop * 1e3 for _, _, low in totals]),
        Measure("flow without the chain", "ms p50", [half * 1e3 for half, _, _ in totals]),
        Measure("flow without the chain", "ms p99", [most * 1e3 for _, most, _ in totals]),
    ]
    outcome.ratios += [
        Ratio(
            "flow without the chain, p50 / floor",
            [half / low for (half, _, _), low in zip(totals, floors, strict=True)],
            "P3",
            at_most=2.0,
        ),
        Ratio(
            "flow without the chain, p99 / floor",
            [most / low for (_, most, _), low in zip(totals, floors, strict=True)],
            "P4",
            at_most=10.0,
        ),
    ]
    outcome.notes.append(
        "The flow without the chain is POST to InvoiceIssued seen, and PaymentSucceeded seen to the"
        " webhook of InvoicePaid received: two HTTP requests, seven commits and five hops,"
        " against a floor of five and four."
    )
