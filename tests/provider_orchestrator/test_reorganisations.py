"""The chain takes blocks back: what stood in them is reversed, and may come again."""

from typing import Any

import pytest
from orchestrator_kit import Orchestrator, a_wallet, memo_of, orchestrator, settings_for
from pytempo import TempoTransaction
from pytempo.contracts import TIP20

from invoiceos_contracts.payment_v1 import PaymentReverted, PaymentSeen, PaymentSucceeded
from invoiceos_local.chain import Node, dev_account, pay, pay_through
from invoiceos_local.processes import Processes
from invoiceos_local.tempo import Tempo as LocalChain
from provider_orchestrator.providers.chain.client import BadAnswer, RpcClient
from provider_orchestrator.providers.tempo.adapter import Tempo
from provider_orchestrator.workers import ChainWatch, Step
from testkit.databases import ServiceDatabase


async def signed_payment(
    node: Node, to: str, amount: int, memo: bytes, key: int, *, tip: int = 0
) -> str:
    """A payment that can be sent again after the chain forgot it."""
    gas_price = int(await node.call("eth_gasPrice"), 16)
    transaction = TempoTransaction.create(
        chain_id=int(await node.call("eth_chainId"), 16),
        gas_limit=1_000_000,
        max_fee_per_gas=gas_price * 2 + tip,
        max_priority_fee_per_gas=tip,
        nonce=0,
        nonce_key=key,
        calls=(
            TIP20("0x20c0000000000000000000000000000000000000").transfer_with_memo(
                to=to, amount=amount, memo=memo
            ),
        ),
    )
    return "0x" + transaction.sign(dev_account(3).private_key).encode().hex()


async def test_a_final_payment_is_reversed_and_comes_again_as_the_same_payment(
    alone: Orchestrator,
) -> None:
    wallet, other = a_wallet(), a_wallet()
    await alone.unit.receives(wallet, other)
    async with Node(alone.settings.tempo_rpc_url) as node:
        raw = await signed_payment(node, wallet.address, 77, memo_of(wallet), 1001)
        first = await node.receipt(await node.call("eth_sendRawTransaction", raw))
        await alone.sweep()
        await node.call("anvil_reorg", 2, [])
        assert await node.call("eth_getTransactionReceipt", first.transaction_hash) is None
        assert Step.REWOUND in await alone.sweep()
        # Mined again behind another payment, so that its log stands elsewhere in the block.
        await node.call("evm_setAutomine", False)
        before = await signed_payment(node, other.address, 78, memo_of(other), 1002, tip=10**10)
        await node.call("eth_sendRawTransaction", before)
        await node.call("eth_sendRawTransaction", raw)
        await node.call("anvil_mine", "0x1")
        await node.call("evm_setAutomine", True)
        await alone.sweep()
    said = await alone.said_of(wallet)
    assert [type(f) for f in said] == [
        PaymentSeen,
        PaymentSucceeded,
        PaymentReverted,
        PaymentSeen,
        PaymentSucceeded,
    ]
    assert said[2].was_final is True
    assert len({f.payment_id for f in said}) == 1
    assert said[1].chain.block_hash != said[4].chain.block_hash
    assert said[1].chain.log_index != said[4].chain.log_index
    assert said[1].provider_reference == said[4].provider_reference


async def test_payments_below_the_common_ancestor_stand(alone: Orchestrator) -> None:
    kept, dropped = a_wallet(), a_wallet()
    await alone.unit.receives(kept, dropped)
    url = alone.settings.tempo_rpc_url
    await pay(url, 1, "PATHUSD", kept.address, 1)
    await alone.sweep()
    for _ in range(3):
        await pay(url, 1, "PATHUSD", dropped.address, 2)
    await alone.sweep()
    async with Node(url) as node:
        await node.call("anvil_reorg", 3, [])
    await alone.sweep()
    assert [type(f) for f in await alone.said_of(kept)] == [PaymentSeen, PaymentSucceeded]
    reverted = [f for f in await alone.said_of(dropped) if isinstance(f, PaymentReverted)]
    assert len({f.payment_id for f in reverted}) == 3


async def test_blocks_dropped_between_two_replicas_reverse_once(alone: Orchestrator) -> None:
    wallet = a_wallet()
    await alone.unit.receives(wallet)
    url = alone.settings.tempo_rpc_url
    await pay(url, 1, "PATHUSD", wallet.address, 1)
    await alone.sweep()
    replica = alone.another()
    assert await replica.step() is Step.IDLE
    async with Node(url) as node:
        await node.call("anvil_reorg", 1, [])
    assert await replica.step() is Step.REWOUND
    assert await alone.watch.step() is Step.LOST
    await alone.sweep()
    said = [f for f in await alone.said_of(wallet) if isinstance(f, PaymentReverted)]
    assert len(said) == 1


async def test_money_that_waits_for_its_wallet_goes_with_its_block(alone: Orchestrator) -> None:
    wallet = a_wallet()
    url = alone.settings.tempo_rpc_url
    await pay(url, 1, "PATHUSD", wallet.address, 1)
    await alone.sweep()
    async with Node(url) as node:
        await node.call("anvil_reorg", 1, [])
    await alone.sweep()
    await alone.unit.receives(wallet)
    assert await alone.said_of(wallet) == []


async def test_a_node_that_lags_takes_nothing_back(alone: Orchestrator) -> None:
    """A shorter chain that agrees with ours is late news, not other news."""
    wallet = a_wallet()
    await alone.unit.receives(wallet)
    async with Node(alone.settings.tempo_rpc_url) as node:
        await node.call("anvil_mine", "0x1")
        await alone.sweep()
        snapshot = await node.call("evm_snapshot")
        await pay_through(node, 1, "PATHUSD", wallet.address, 1)
        await alone.sweep()
        await node.call("evm_revert", snapshot)
        assert await alone.watch.step() is Step.IDLE
        assert PaymentReverted not in {type(f) for f in await alone.said_of(wallet)}
        # The same height with another block is a contradiction.
        await node.call("anvil_mine", "0x2", "0x7")
        assert await alone.watch.step() is Step.REWOUND
    assert PaymentReverted in {type(f) for f in await alone.said_of(wallet)}


async def test_a_reorganisation_deeper_than_memory_goes_back_to_the_start(
    alone: Orchestrator,
) -> None:
    """Nothing was remembered yet but the block reading began at, and that one is gone."""
    async with Node(alone.settings.tempo_rpc_url) as node:
        await node.call("anvil_mine", "0x5")
        fresh = alone.another()
        await alone.unit.worker.pool.execute("delete from chain_block")
        await alone.unit.worker.pool.execute("delete from chain_cursor")
        while await fresh.step() is not Step.IDLE:
            pass
        await node.call("anvil_reorg", 3, [])
        assert await fresh.step() is Step.REWOUND
        number = await alone.unit.worker.fetchval("select number from chain_cursor")
        assert number == 0  # what began above is gone; the chain itself is the same


async def test_another_chain_of_the_same_id_is_not_a_reorganisation(
    alone: Orchestrator, tmp_path: Any
) -> None:
    wallet = a_wallet()
    await alone.unit.receives(wallet)
    await pay(alone.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 1)
    await alone.sweep()
    processes = Processes(tmp_path)
    stranger = LocalChain(processes)
    stranger.start()
    try:
        async with Node(stranger.rpc_url) as node:
            await node.call("anvil_mine", hex(200))
        settings = settings_for(stranger.rpc_url)
        async with RpcClient(stranger.rpc_url, timeout_s=5) as client:
            lost = ChainWatch(alone.unit.worker, Tempo(client, settings))
            with pytest.raises(BadAnswer, match="another chain"):
                await lost.step()
    finally:
        stranger.stop()
    assert PaymentReverted not in {type(f) for f in await alone.said_of(wallet)}


async def test_with_confirmations_a_payment_is_final_only_under_them(
    own_chain: LocalChain, place: ServiceDatabase
) -> None:
    settings = settings_for(own_chain.rpc_url, tempo_confirmations=2)
    wallet = a_wallet()
    async with orchestrator(place, settings) as patient:
        await patient.sweep()
        await patient.unit.receives(wallet)
        await pay(own_chain.rpc_url, 1, "PATHUSD", wallet.address, 1)
        await patient.sweep()
        (seen,) = await patient.said_of(wallet)
        assert (type(seen), seen.confirmations_needed) == (PaymentSeen, 2)
        async with Node(own_chain.rpc_url) as node:
            await node.call("anvil_mine", "0x1")
            await patient.sweep()
            assert len(await patient.said_of(wallet)) == 1
            await node.call("anvil_mine", "0x1")
            await patient.sweep()
            assert type((await patient.said_of(wallet))[-1]) is PaymentSucceeded
            late = a_wallet()
            await patient.unit.receives(late)
            await pay(own_chain.rpc_url, 1, "PATHUSD", late.address, 1)
            await patient.sweep()
            await node.call("anvil_reorg", 1, [])
            await patient.sweep()
        gone = (await patient.said_of(late))[-1]
        assert (type(gone), gone.was_final) == (PaymentReverted, False)
