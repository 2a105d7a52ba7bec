"""The loops as they run: with and without hints, beside the consumer, in any order of events."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from orchestrator_kit import Orchestrator, a_wallet, destroying, settings_for
from pytempo.contracts import TIP20

from invoiceos_contracts.payment_v1 import PaymentEvent, PaymentSeen, PaymentSucceeded
from invoiceos_contracts.provider_v1 import WalletBalanceObserved
from invoiceos_local.chain import Node, dev_account, pay
from invoiceos_local.tempo_facts import PATH_USD
from provider_orchestrator.providers.chain import reader
from provider_orchestrator.providers.tempo import adapter
from provider_orchestrator.settings import OrchestratorSettings
from provider_orchestrator.workers import observe_balances, watch_chains
from testkit.service import record_of


@asynccontextmanager
async def loops(running: Orchestrator, settings: OrchestratorSettings) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as session:
        runtime: Any = SimpleNamespace(worker=running.unit.worker, settings=settings, http=session)
        tasks = [asyncio.create_task(work(runtime)) for work in (watch_chains, observe_balances)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def heard(running: Orchestrator, kind: type[Any], count: int) -> list[Any]:
    async with asyncio.timeout(60):
        while len(found := await running.unit.facts(kind)) < count:
            await asyncio.sleep(0.005)
    return found


async def caught_up(running: Orchestrator) -> None:
    """Until the sweep has nothing left to read, and waits to be woken."""
    async with asyncio.timeout(60):
        while True:
            head = (await running.tempo.glance(None)).head.number
            swept = await running.unit.worker.fetchval("select number from chain_cursor")
            if swept >= head:
                return
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("hints", [True, False])
async def test_the_loops_find_payments_and_answer_questions(
    running: Orchestrator, hints: bool
) -> None:
    url = running.settings.tempo_rpc_url
    # With hints the poll is far longer than the test may take, so it is the hint that wakes.
    more = {"tempo_ws_url": url.replace("http", "ws"), "tempo_poll_s": 60} if hints else {}
    wallet = a_wallet()
    await running.unit.receives(wallet)
    async with loops(running, settings_for(url, **more)):
        if hints:
            await pay(url, 1, "PATHUSD", wallet.address, 1)
            await caught_up(running)
            before = len(await running.unit.facts(PaymentSucceeded))
            # What comes before the subscription stands wakes nobody, so go on until it does.
            async with asyncio.timeout(60):
                while len(await running.unit.facts(PaymentSucceeded)) == before:
                    await pay(url, 1, "PATHUSD", wallet.address, 1)
        else:
            await pay(url, 1, "PATHUSD", wallet.address, 1)
            await heard(running, PaymentSucceeded, 1)
            await running.unit.receives(destroying(wallet))
            await heard(running, WalletBalanceObserved, 1)


async def test_a_websocket_that_is_not_there_slows_nothing_down(running: Orchestrator) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    settings = settings_for(running.settings.tempo_rpc_url, tempo_ws_url="ws://127.0.0.1:1")
    async with loops(running, settings):
        await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 1)
        await heard(running, PaymentSucceeded, 1)


async def test_wallets_that_become_ready_while_their_money_is_recorded_lose_none(
    running: Orchestrator,
) -> None:
    """Each address and its money are recorded at the same moment, by different transactions."""
    url = running.settings.tempo_rpc_url
    wallets = [a_wallet() for _ in range(12)]
    calls = [TIP20(PATH_USD).transfer(to=wallet.address, amount=5) for wallet in wallets]
    async with Node(url) as node:
        for batch in (calls[:6], calls[6:]):
            sent = await node.submit(dev_account(1).private_key, batch, gas_limit=8_000_000)
            assert (await node.receipt(sent)).succeeded
    await asyncio.gather(running.sweep(), *[running.unit.receives(wallet) for wallet in wallets])
    for wallet in wallets:
        assert [type(f) for f in await running.said_of(wallet)] == [PaymentSeen, PaymentSucceeded]


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_and_any_repetition_ends_the_same(running: Orchestrator, seed: int) -> None:
    order = random.Random(seed)
    url = running.settings.tempo_rpc_url
    wallets = [a_wallet() for _ in range(3)]
    records = [record_of(wallet) for wallet in wallets]
    steps: list[Callable[[], Any]] = [
        *[lambda r=r: running.unit.receives(r) for r in records * 2],
        # The same wallet in another event, as a replay from a restored service would send it.
        *[lambda w=w: running.unit.receives(w) for w in wallets],
        *[lambda w=w, n=n: pay(url, 1, "PATHUSD", w.address, n) for w in wallets for n in (1, 2)],
        *[running.sweep] * 4,
    ]
    order.shuffle(steps)
    for step in [*steps, running.sweep]:
        await step()
    for wallet in wallets:
        said = await running.said_of(wallet)
        booked = [f.amount.amount_minor for f in said if isinstance(f, PaymentSucceeded)]
        assert sorted(booked) == [1, 2]
        assert len(said) == 4
    rows = await running.unit.worker.fetch("select state, count(*) from payment group by state")
    assert [tuple(row) for row in rows] == [("succeeded", 6)]


async def test_a_long_way_is_swept_in_parts_none_of_which_is_lost(
    running: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = running.settings.tempo_rpc_url
    monkeypatch.setattr(reader, "LOGS_MAX", 2)
    monkeypatch.setattr(adapter, "ADDRESSES_MAX", 1)
    wallets = [a_wallet() for _ in range(3)]
    await running.unit.receives(*wallets)
    for wallet in wallets * 3:
        await pay(url, 1, "PATHUSD", wallet.address, 1)
    steps = await running.sweep()
    assert len(steps) > 3
    for wallet in wallets:
        assert len(await running.said_of(wallet)) == 6


async def test_a_second_wallet_at_an_address_gets_none_of_its_money(
    running: Orchestrator,
) -> None:
    first = a_wallet()
    second = a_wallet(address=first.address)
    await running.unit.receives(first, second)
    await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", first.address, 1)
    await running.sweep()
    assert {f.wallet_id for f in await running.unit.facts(PaymentEvent)} == {first.wallet_id}


async def test_the_history_of_observations_is_bounded(
    running: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provider_orchestrator.domain.outcomes import Outcome
    from provider_orchestrator.store import providers

    monkeypatch.setattr(providers, "OBSERVATIONS_KEPT", 3)
    for _ in range(6):
        await running.health.saw(Outcome.THROTTLED, 1)
    kept = await running.unit.worker.fetchval("select count(*) from provider_health_observation")
    assert kept == 3
