"""Deposits are fetched to the treasury: in batches, once, wherever a process dies."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from evm_kit import (
    EvmOrchestrator,
    a_deposit_wallet,
    deposit,
    evm_chain,
    evm_orchestrator,
    freeze,
    held,
)
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_kit import destroying

from invoiceos_contracts.payment_v1 import PaymentSucceeded
from invoiceos_contracts.provider_v1 import DepositSwept, NetworkFeePaid, WalletBalanceObserved
from invoiceos_local import evm_facts as facts
from invoiceos_local.chain import Node, dev_account
from invoiceos_local.evm import Evm
from provider_orchestrator.domain.sweeps import BATCH, Waiting, choose
from provider_orchestrator.providers.chain.client import RpcClient
from provider_orchestrator.providers.evm_create2.sweeping import Operator
from provider_orchestrator.workers import Sweeper, Swept, answer_open_requests
from provider_orchestrator.workers import sweeps as sweeping
from testkit.databases import ServiceDatabase

OPERATOR = Operator.of(dev_account(facts.OPERATOR_INDEX).private_key)


@dataclass(slots=True)
class Platform:
    """A watcher, a sweeper, and the chain between them."""

    on_evm: EvmOrchestrator
    client: RpcClient

    def sweeper(self) -> Sweeper:
        """A process that knows nothing but the database and the chain."""
        return Sweeper(self.on_evm.unit.worker, self.client, self.on_evm.chain, OPERATOR)

    async def settle(self) -> None:
        """Watch and sweep until there is nothing to do."""
        sweeper = self.sweeper()
        async with asyncio.timeout(60):
            while True:
                await self.on_evm.sweep()
                step = await sweeper.step()
                if step is Swept.IDLE:
                    await self.on_evm.sweep()
                    return

    async def paid_into(self, *units: int) -> list[Any]:
        """Wallets that were paid so much each, and whose money counts."""
        wallets = [a_deposit_wallet() for _ in units]
        await self.on_evm.unit.receives(*wallets)
        for wallet, amount in zip(wallets, units, strict=True):
            await deposit(self.on_evm.url, wallet, amount)
        await self.on_evm.sweep()
        return wallets

    async def treasury(self) -> int:
        return await held(self.on_evm.url, facts.TREASURY_ADDRESS)

    async def swept(self) -> list[DepositSwept]:
        return await self.on_evm.unit.facts(DepositSwept)


@asynccontextmanager
async def a_platform(place: ServiceDatabase, chain: Any) -> AsyncIterator[Platform]:
    async with (
        evm_orchestrator(place, chain) as on_evm,
        RpcClient(chain.rpc_url, timeout_s=5) as client,
    ):
        await on_evm.sweep()
        yield Platform(on_evm, client)


@pytest.fixture
async def platform(
    evm: Evm, place: ServiceDatabase, configured: Callable[..., Any]
) -> AsyncIterator[Platform]:
    async with a_platform(place, configured(evm_chain(evm.rpc_url))) as opened:
        yield opened


async def test_a_batch_of_deposits_is_fetched_by_one_transaction(platform: Platform) -> None:
    before = await platform.treasury()
    wallets = await platform.paid_into(1000, 2000, 3000)
    await deposit(platform.on_evm.url, wallets[0], 500)
    await platform.on_evm.sweep()
    await platform.settle()
    assert await platform.treasury() - before == 6500
    said = {fact.wallet_id: fact for fact in await platform.swept()}
    assert {w.wallet_id: said[w.wallet_id].amount.amount_minor for w in wallets} == {
        wallets[0].wallet_id: 1500,
        wallets[1].wallet_id: 2000,
        wallets[2].wallet_id: 3000,
    }
    paid = await platform.on_evm.unit.facts(PaymentSucceeded)
    assert {fact.held_at for fact in paid} == {"deposit"}
    assert sorted(p for fact in said.values() for p in fact.payments) == sorted(
        fact.payment_id for fact in paid
    )
    assert len({fact.transaction_hash for fact in said.values()}) == 1
    (fee,) = await platform.on_evm.unit.facts(NetworkFeePaid)
    assert (fee.purpose, fee.fee, int(fee.wei) > 0) == ("sweep", None, True)
    assert await platform.on_evm.unit.worker.fetchval("select count(*) from unswept") == 0


async def test_late_money_at_an_address_that_was_emptied_is_fetched_too(platform: Platform) -> None:
    (wallet,) = await platform.paid_into(1000)
    await platform.settle()
    await deposit(platform.on_evm.url, wallet, 700)
    await platform.settle()
    assert [fact.amount.amount_minor for fact in await platform.swept()] == [1000, 700]
    assert await held(platform.on_evm.url, wallet.address) == 0


async def test_dust_waits_until_there_is_more_of_it(platform: Platform) -> None:
    (wallet,) = await platform.paid_into(60)
    await platform.settle()
    assert await platform.swept() == []
    await deposit(platform.on_evm.url, wallet, 60)
    await platform.settle()
    (said,) = await platform.swept()
    assert (said.amount.amount_minor, len(said.payments)) == (120, 2)


async def test_a_wallet_that_ends_is_emptied_first_however_little_is_there(
    platform: Platform,
) -> None:
    (wallet,) = await platform.paid_into(7)
    unit = platform.on_evm.unit

    async def asked() -> WalletBalanceObserved:
        await unit.receives(destroying(wallet, rail="evm-create2"))
        await answer_open_requests(unit.worker, platform.on_evm.reader)
        return (await unit.facts(WalletBalanceObserved))[-1]

    first = await asked()
    assert [balance.amount_minor for balance in first.balances] == [7]
    await platform.settle()
    again = await asked()
    assert [balance.amount_minor for balance in again.balances] == [0]
    assert (again.rail, again.payments_pending) == ("evm-create2", 0)


async def test_an_address_the_token_has_frozen_holds_up_no_other(platform: Platform) -> None:
    frozen, free = await platform.paid_into(1000, 1000)
    await freeze(platform.on_evm.url, frozen.address, True)
    await platform.settle()
    (said,) = await platform.swept()
    assert said.wallet_id == free.wallet_id
    refused = await platform.on_evm.unit.worker.fetchval(
        "select refusals from unswept where wallet_id = $1", frozen.wallet_id
    )
    assert refused == 1
    await freeze(platform.on_evm.url, frozen.address, False)
    await platform.on_evm.unit.worker.pool.execute("update unswept set rest_until = now()")
    await platform.settle()
    assert {fact.wallet_id for fact in await platform.swept()} == {
        frozen.wallet_id,
        free.wallet_id,
    }


class Died(Exception):
    """The process is gone."""


@pytest.mark.parametrize("where", ["sweep.signed", "sweep.sent", "sweep.landed", "sweep.resolved"])
async def test_wherever_a_sweeper_dies_another_ends_its_sweep_once(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    before = await platform.treasury()
    await platform.paid_into(1000, 2000)

    def die(name: str) -> None:
        if name == where:
            raise Died

    with monkeypatch.context() as patched:
        patched.setattr(sweeping, "failpoint", die)
        with pytest.raises(Died):
            await platform.settle()
    await platform.settle()
    assert await platform.treasury() - before == 3000
    assert sorted(f.amount.amount_minor for f in await platform.swept()) == [1000, 2000]
    assert len(await platform.on_evm.unit.facts(NetworkFeePaid)) == 1
    states = await platform.on_evm.unit.worker.fetch("select state from sweep")
    assert [row["state"] for row in states] == ["done"]


async def test_many_sweepers_at_once_have_one_sweep_in_flight(platform: Platform) -> None:
    before = await platform.treasury()
    await platform.paid_into(*[1000] * 5)
    sweepers = [platform.sweeper() for _ in range(4)]
    steps = await asyncio.gather(*[sweeper.step() for sweeper in sweepers])
    assert steps.count(Swept.SENT) == 1
    await platform.settle()
    assert await platform.treasury() - before == 5000
    assert len(await platform.swept()) == 5
    assert await platform.on_evm.unit.worker.fetchval("select count(*) from sweep") == 1


async def test_a_sweep_that_the_chain_dropped_is_sent_again_as_the_same_bytes(
    evm: Evm, place: ServiceDatabase, configured: Callable[..., Any]
) -> None:
    chain = configured(evm_chain(evm.rpc_url, finality=2))
    async with a_platform(place, chain) as platform, Node(evm.rpc_url) as node:
        await platform.paid_into(4000)
        await node.call("anvil_mine", "0x4")
        await platform.on_evm.sweep()
        before = await platform.treasury()
        sweeper = platform.sweeper()
        assert await sweeper.step() is Swept.SENT
        assert await sweeper.step() is Swept.WAITING
        await node.call("anvil_reorg", 1, [])
        assert await platform.treasury() == before
        assert await sweeper.step() is Swept.WAITING
        await node.call("anvil_mine", "0x4")
        await platform.settle()
        assert await platform.treasury() - before == 4000
        assert len(await platform.swept()) == 1
        signed = await platform.on_evm.unit.worker.fetchval(
            "select count(*) from sweep_transaction"
        )
        assert signed == 1


async def test_a_sweep_that_gets_into_no_block_is_signed_again_for_more(
    evm: Evm, place: ServiceDatabase, configured: Callable[..., Any]
) -> None:
    chain = configured(evm_chain(evm.rpc_url, replace_after_s=0.001))
    async with a_platform(place, chain) as platform, Node(evm.rpc_url) as node:
        await platform.paid_into(5000)
        before = await platform.treasury()
        await node.call("evm_setAutomine", False)
        try:
            sweeper = platform.sweeper()
            assert await sweeper.step() is Swept.SENT
            assert await sweeper.step() is Swept.WAITING
        finally:
            await node.call("evm_setAutomine", True)
            await node.call("anvil_mine", "0x1")
        await platform.settle()
        assert await platform.treasury() - before == 5000
        rows = await platform.on_evm.unit.worker.fetch(
            "select max_fee_wei from sweep_transaction order by max_fee_wei"
        )
        assert len(rows) >= 2
        assert len(await platform.swept()) == 1


async def test_whoever_dies_between_signing_for_more_and_sending_it_fetches_once(
    evm: Evm,
    place: ServiceDatabase,
    configured: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = configured(evm_chain(evm.rpc_url, replace_after_s=0.001))
    async with a_platform(place, chain) as platform, Node(evm.rpc_url) as node:
        await platform.paid_into(5000)
        before = await platform.treasury()

        def die(name: str) -> None:
            if name == "sweep.replaced":
                raise Died

        await node.call("evm_setAutomine", False)
        try:
            assert await platform.sweeper().step() is Swept.SENT
            with monkeypatch.context() as patched:
                patched.setattr(sweeping, "failpoint", die)
                with pytest.raises(Died):
                    await platform.sweeper().step()
            assert await platform.sweeper().step() is Swept.WAITING
        finally:
            await node.call("evm_setAutomine", True)
            await node.call("anvil_mine", "0x1")
        await platform.settle()
        assert await platform.treasury() - before == 5000
        assert len(await platform.swept()) == 1
        assert len(await platform.on_evm.unit.facts(NetworkFeePaid)) == 1


def waiting(n: int, **more: Any) -> Waiting:
    values: dict[str, Any] = {
        "tenant_id": UUID(int=1),
        "wallet_id": UUID(int=n),
        "invoice_id": uuid4(),
        "asset": "USDC",
        "address": n.to_bytes(20, "big"),
        "salt": n.to_bytes(32, "big"),
        "since": datetime(2026, 1, 1, tzinfo=UTC),
        "wanted": False,
    }
    return Waiting(**(values | more))


@given(st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=60), st.integers(0, 120))
def test_a_choice_holds_no_dust_nobody_waits_for_and_no_more_than_a_batch(
    found: list[tuple[int, bool]], age: int
) -> None:
    rows = [waiting(n, wanted=wanted) for n, (_, wanted) in enumerate(found)]
    units = {(row.wallet_id, "USDC"): amount for row, (amount, _) in zip(rows, found, strict=True)}
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=age)
    chosen = choose(rows, units, dust=100, wait=timedelta(seconds=60), now=now)
    assert len(chosen) <= BATCH
    assert all(i.units > 0 and (i.units >= 100 or i.waiting.wanted) for i in chosen)
    worth = [r for r in rows if units[r.wallet_id, "USDC"] >= (1 if r.wanted else 100)]
    company = len(worth) >= BATCH or age >= 60 or any(r.wanted for r in worth)
    assert len(chosen) == (min(len(worth), BATCH) if company else 0)
