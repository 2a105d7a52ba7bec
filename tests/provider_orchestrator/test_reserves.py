"""What the master holds is stated at a final block beside everything that is known to have come."""

from typing import Any

import pytest
from orchestrator_kit import Orchestrator, a_wallet, an_address

from invoiceos_contracts.payment_v1 import PaymentSucceeded
from invoiceos_contracts.provider_v1 import ProviderStatementLinesObserved, ReserveSourceObserved
from invoiceos_local import tempo_facts as facts
from invoiceos_local.chain import Node, pay
from provider_orchestrator.providers.tempo.adapter import Moved, Tempo
from provider_orchestrator.workers.reserves import look_at_reserves


async def looked(alone: Orchestrator) -> ReserveSourceObserved:
    """What is said of PATHUSD after a sweep and a look."""
    await alone.sweep()
    await look_at_reserves(alone.unit.worker, alone.tempo, alone.settings)
    said = await alone.unit.facts(ReserveSourceObserved)
    return next(f for f in reversed(said) if (f.asset, f.kind) == ("PATHUSD", "chain"))


def unexplained(said: ReserveSourceObserved) -> int:
    assert said.deposits_minor is not None
    return said.balance_minor + said.held_elsewhere_minor - said.deposits_minor


async def test_a_deposit_moves_balance_and_deposits_alike(alone: Orchestrator) -> None:
    wallet = a_wallet()
    await alone.unit.receives(wallet)
    before = await looked(alone)
    await pay(alone.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 71)
    after = await looked(alone)
    assert after.balance_minor == before.balance_minor + 71
    assert unexplained(after) == unexplained(before)
    assert after.unannounced_minor == before.unannounced_minor
    assert after.block_number > before.block_number


async def test_money_at_an_address_of_nobody_is_unannounced(alone: Orchestrator) -> None:
    before = await looked(alone)
    await pay(alone.settings.tempo_rpc_url, 1, "PATHUSD", an_address(), 13)
    after = await looked(alone)
    assert after.unannounced_minor == before.unannounced_minor + 13
    assert unexplained(after) == unexplained(before)


async def test_one_unit_that_no_deposit_explains_is_seen(alone: Orchestrator) -> None:
    before = await looked(alone)
    await pay(alone.settings.tempo_rpc_url, 1, "PATHUSD", facts.MASTER_ADDRESS, 1)
    after = await looked(alone)
    assert unexplained(after) == unexplained(before) + 1


async def test_what_a_node_shows_of_another_branch_than_was_swept_is_not_stated(
    alone: Orchestrator,
) -> None:
    """A first look would take the difference for what was there before us, for ever."""
    wallet = a_wallet()
    await alone.unit.receives(wallet)
    before = await looked(alone)
    await pay(alone.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 29)
    await alone.sweep()
    count = len(await alone.unit.facts(ReserveSourceObserved))
    async with Node(alone.settings.tempo_rpc_url) as node:
        await node.call("anvil_reorg", 1, [])
    with pytest.raises(Moved):
        await look_at_reserves(alone.unit.worker, alone.tempo, alone.settings)
    assert len(await alone.unit.facts(ReserveSourceObserved)) == count
    after = await looked(alone)
    assert after.balance_minor == before.balance_minor
    assert unexplained(after) == unexplained(before)


async def test_a_sweep_that_ends_while_a_node_is_asked_is_not_mixed_with_its_answer(
    alone: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was of a block that we have left by then."""
    wallet = a_wallet()
    await alone.unit.receives(wallet)
    await pay(alone.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 31)
    await alone.sweep()
    ask = Tempo.reserves

    async def reorganised_meanwhile(tempo: Tempo, number: int) -> Any:
        answer = await ask(tempo, number)
        async with Node(alone.settings.tempo_rpc_url) as node:
            await node.call("anvil_reorg", 1, [])
        await alone.sweep()
        return answer

    monkeypatch.setattr(Tempo, "reserves", reorganised_meanwhile)
    with pytest.raises(Moved):
        await look_at_reserves(alone.unit.worker, alone.tempo, alone.settings)


async def test_only_a_block_whose_branch_is_known_is_looked_at(alone: Orchestrator) -> None:
    """Of the blocks deep enough the newest one we hold the hash of."""
    deep = alone.settings.model_copy(update={"tempo_confirmations": 2})
    wallet = a_wallet()
    await alone.unit.receives(wallet)
    for amount in (1, 2, 3, 4):
        await pay(alone.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, amount)
        await alone.sweep()
    await look_at_reserves(alone.unit.worker, alone.tempo, deep)
    said = (await alone.unit.facts(ReserveSourceObserved))[-1]
    paid = [f for f in await alone.said_of(wallet) if isinstance(f, PaymentSucceeded)]
    assert said.block_number == paid[1].chain.block_number
    assert said.block_hash == paid[1].chain.block_hash


async def test_a_block_is_looked_at_once_by_however_many(alone: Orchestrator) -> None:
    await looked(alone)
    count = len(await alone.unit.facts(ReserveSourceObserved))
    assert await look_at_reserves(alone.unit.worker, alone.tempo, alone.settings) == 0
    assert len(await alone.unit.facts(ReserveSourceObserved)) == count


async def test_movements_are_listed_and_roll_forward(alone: Orchestrator) -> None:
    wallet = a_wallet()
    await alone.unit.receives(wallet)
    await looked(alone)
    for amount in (5, 6, 7):
        await pay(alone.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, amount)
    await looked(alone)
    listed = [
        f
        for f in await alone.unit.facts(ProviderStatementLinesObserved)
        if f.asset == "PATHUSD" and any(line.related == wallet.address.lower() for line in f.lines)
    ]
    (page,) = listed
    assert [line.amount_minor for line in page.lines] == [5, 6, 7]
    assert page.opening_minor is not None
    assert page.opening_minor + 18 == page.closing_minor
    paid = {f.provider_reference for f in await alone.said_of(wallet) if hasattr(f, "final_at")}
    assert {line.reference for line in page.lines} == paid


async def test_what_we_issued_is_stated_as_supply(alone: Orchestrator) -> None:
    issuing = alone.settings.model_copy(update={"tempo_issued_tokens": "ALPHAUSD"})
    await alone.sweep()
    await look_at_reserves(alone.unit.worker, Tempo(alone.client, issuing), issuing)
    said = [f for f in await alone.unit.facts(ReserveSourceObserved) if f.kind == "supply"]
    assert {f.asset for f in said} == {"ALPHAUSD"}
    assert said[-1].balance_minor > 0
    assert said[-1].deposits_minor is None
