"""What transactions do to each other, step by step."""

import asyncio
from typing import Any

import pytest
from orchestrator_kit import Orchestrator, a_wallet

from invoiceos_contracts.payment_v1 import PaymentReverted, PaymentSeen, PaymentSucceeded
from invoiceos_contracts.wallet_v1 import WalletReady
from invoiceos_local.chain import pay
from messaging.records import read
from provider_orchestrator.commands import record_sweep as sweeping
from provider_orchestrator.commands.record_sweep import record_sweep
from provider_orchestrator.commands.reverse_orphans import reverse_orphans
from provider_orchestrator.commands.watch_wallets import watch_wallets
from provider_orchestrator.domain.chain import Cursor
from provider_orchestrator.providers.catalogue import watching
from provider_orchestrator.store import chain
from testkit.service import record_of

STATED = [PaymentSeen, PaymentSucceeded]


async def waits(running: Orchestrator, task: asyncio.Task[Any]) -> bool:
    """Whether a task comes to wait for the chain's lock rather than to its end."""
    async with asyncio.timeout(60):
        while not task.done():
            if await running.unit.worker.fetchval(
                "select exists (select from pg_locks where locktype = 'advisory' and not granted"
                " and database = (select oid from pg_database where datname = current_database()))"
            ):
                return True
            await asyncio.sleep(0.002)
    return False


async def cursor_of(running: Orchestrator) -> Cursor:
    cursor = await chain.select_cursor(running.unit.worker, running.settings.tempo_chain_id)
    assert cursor is not None
    return cursor


async def test_a_sweep_waits_for_wallets_that_are_being_written(running: Orchestrator) -> None:
    wallet = a_wallet()
    event: Any = read(record_of(wallet), {WalletReady.TYPE})
    await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 1)
    async with running.unit.worker.transaction() as tx:
        await watch_wallets(tx, [event], chains=watching(running.settings))
        sweeping = asyncio.create_task(running.sweep())
        assert await waits(running, sweeping)
    await sweeping
    assert [type(f) for f in await running.said_of(wallet)] == STATED


async def test_wallets_wait_for_a_sweep_that_is_being_written(running: Orchestrator) -> None:
    wallet = a_wallet()
    await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 1)
    head = (await running.tempo.glance(None)).head
    swept = await running.tempo.sweep(await cursor_of(running), head)
    async with running.unit.worker.transaction() as tx:
        assert await record_sweep(tx, swept, confirmations=0)
        receiving = asyncio.create_task(running.unit.receives(wallet))
        assert await waits(running, receiving)
    await receiving
    assert [type(f) for f in await running.said_of(wallet)] == STATED


async def test_a_block_that_was_dropped_and_comes_back_as_it_was_counts_again(
    running: Orchestrator,
) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    before = await cursor_of(running)
    await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 1)
    await running.sweep()
    async with running.unit.worker.transaction() as tx:
        assert await reverse_orphans(tx, await cursor_of(running), before.block)
    again = running.another()
    while (await cursor_of(running)).block.number < (await running.tempo.glance(None)).head.number:
        await again.step()
    said = await running.said_of(wallet)
    assert [type(f) for f in said] == [*STATED, PaymentReverted, *STATED]
    assert said[1] == said[-1]


async def test_two_that_go_back_at_once_reverse_once(running: Orchestrator) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    before = await cursor_of(running)
    await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 1)
    await running.sweep()
    cursor = await cursor_of(running)

    async def go_back() -> bool:
        async with running.unit.worker.transaction() as tx:
            return await reverse_orphans(tx, cursor, before.block)

    assert sorted(await asyncio.gather(go_back(), go_back())) == [False, True]
    said = [f for f in await running.said_of(wallet) if isinstance(f, PaymentReverted)]
    assert len(said) == 1


async def test_a_sweep_that_cannot_be_recorded_is_swept_again(
    running: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    before = await cursor_of(running)
    await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 1)

    async def broken(*_: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patched, pytest.raises(ConnectionResetError):
        patched.setattr(sweeping, "admit_transfers", broken)
        await running.watch.step()
    assert await cursor_of(running) == before
    await running.sweep()
    assert [type(f) for f in await running.said_of(wallet)] == STATED
