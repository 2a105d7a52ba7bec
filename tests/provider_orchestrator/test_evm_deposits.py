"""Deposits on a chain by Ethereum's rules: found by address, also those that came too early."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from evm_kit import (
    EvmOrchestrator,
    a_deposit_wallet,
    deposit,
    evm_chain,
    evm_orchestrator,
)

from invoiceos_contracts.payment_v1 import PaymentReverted, PaymentSeen, PaymentSucceeded
from invoiceos_local.chain import Node, dev_account
from invoiceos_local.evm import Evm
from testkit.databases import ServiceDatabase

PAID = [PaymentSeen, PaymentSucceeded]


@pytest.fixture
async def on_evm(
    evm: Evm, place: ServiceDatabase, configured: Callable[..., Any]
) -> AsyncIterator[EvmOrchestrator]:
    async with evm_orchestrator(place, configured(evm_chain(evm.rpc_url))) as started:
        await started.sweep()
        yield started


async def test_a_deposit_is_seen_and_paid(on_evm: EvmOrchestrator) -> None:
    wallet = a_deposit_wallet()
    await on_evm.unit.receives(wallet)
    receipt = await deposit(on_evm.url, wallet, 12_500_000)
    await on_evm.sweep()
    said = await on_evm.said_of(wallet)
    assert [type(fact) for fact in said] == PAID
    paid = said[1]
    assert isinstance(paid, PaymentSucceeded)
    assert (paid.provider, paid.rail) == ("evm-create2", "evm-create2")
    assert (paid.amount.asset, paid.amount.amount_minor) == ("USDC", 12_500_000)
    assert paid.payer == dev_account(1).address.lower()
    assert paid.chain is not None
    assert paid.chain.transaction_hash == receipt["transactionHash"]
    waiting = await on_evm.unit.worker.fetch("select units::text, asset from unswept")
    assert [tuple(row) for row in waiting] == [("12500000", "USDC")]


@pytest.mark.parametrize("by_list", [True, False])
async def test_money_that_came_before_its_wallet_was_known_here_is_found(
    evm: Evm, place: ServiceDatabase, configured: Callable[..., Any], by_list: bool
) -> None:
    """The chain was read past it, and nobody had looked for the address."""
    chain = configured(evm_chain(evm.rpc_url, addresses_max=10_000 if by_list else 1))
    async with evm_orchestrator(place, chain) as on_evm:
        await on_evm.sweep()
        await on_evm.unit.receives(a_deposit_wallet(), a_deposit_wallet())
        early = a_deposit_wallet()
        await deposit(on_evm.url, early, 300)
        await on_evm.sweep()
        assert await on_evm.said_of(early) == []
        await on_evm.unit.receives(early)
        await on_evm.sweep()
        await deposit(on_evm.url, early, 400)
        await on_evm.sweep()
        said = await on_evm.said_of(early)
        assert [type(fact) for fact in said] == PAID * 2
        assert await on_evm.unit.worker.fetchval("select count(*) from missed_address") == 0
        assert await on_evm.unit.worker.fetchval("select count(*) from unmatched_transfer") == 0


async def test_a_wallet_that_becomes_known_while_the_chain_is_read_loses_nothing(
    on_evm: EvmOrchestrator,
) -> None:
    """Its address is not in the filter that was sent, and the cursor moves past its money."""
    known, late = a_deposit_wallet(), a_deposit_wallet()
    await on_evm.unit.receives(known)
    await deposit(on_evm.url, late, 500)
    looking = on_evm.another()
    glance = await on_evm.reader.glance(None)
    from provider_orchestrator.commands.record_sweep import record_sweep
    from provider_orchestrator.store import chain

    cursor = await chain.select_cursor(on_evm.unit.worker, on_evm.chain.chain_id)
    assert cursor is not None
    addresses = await chain.select_addresses(on_evm.unit.worker, on_evm.chain.chain_id)
    swept = await on_evm.reader.sweep(cursor, glance.head, addresses=addresses)
    await on_evm.unit.receives(late)
    # Another replica looks for it up to where the cursor still is, and finds nothing.
    await looking.step()
    assert await on_evm.unit.worker.fetchval("select count(*) from missed_address") == 0
    async with on_evm.unit.worker.transaction() as tx:
        assert await record_sweep(tx, swept, confirmations=0, by_address=True)
    await on_evm.sweep()
    assert [type(fact) for fact in await on_evm.said_of(late)] == PAID


async def test_money_of_strangers_and_other_tokens_is_none_of_ours(
    on_evm: EvmOrchestrator,
) -> None:
    await on_evm.unit.receives(a_deposit_wallet())
    await deposit(on_evm.url, a_deposit_wallet(), 700)
    await on_evm.sweep()
    assert await on_evm.unit.worker.fetchval("select count(*) from chain_transfer") == 0


async def test_under_the_finalized_tag_a_payment_counts_when_the_node_says_so(
    evm: Evm, place: ServiceDatabase, configured: Callable[..., Any]
) -> None:
    chain = configured(evm_chain(evm.rpc_url, finality="finalized"))
    async with evm_orchestrator(place, chain) as on_evm, Node(evm.rpc_url) as node:
        await on_evm.sweep()
        wallet = a_deposit_wallet()
        await on_evm.unit.receives(wallet)
        await deposit(on_evm.url, wallet, 900)
        await on_evm.sweep()
        assert [type(fact) for fact in await on_evm.said_of(wallet)] == [PaymentSeen]
        assert await on_evm.unit.worker.fetchval("select count(*) from unswept") == 0
        await node.call("anvil_mine", hex(20))
        await on_evm.sweep()
        assert [type(fact) for fact in await on_evm.said_of(wallet)] == PAID


async def test_a_reorganisation_takes_a_payment_back_and_brings_it_again(
    evm: Evm, place: ServiceDatabase, configured: Callable[..., Any]
) -> None:
    chain = configured(evm_chain(evm.rpc_url, finality=3))
    async with evm_orchestrator(place, chain) as on_evm, Node(evm.rpc_url) as node:
        await node.call("anvil_mine", "0x8")
        await on_evm.sweep()
        wallet = a_deposit_wallet()
        await on_evm.unit.receives(wallet)
        receipt = await deposit(on_evm.url, wallet, 1000)
        raw = await node.call("eth_getRawTransactionByHash", receipt["transactionHash"])
        await on_evm.sweep()
        await node.call("anvil_reorg", 1, [])
        await on_evm.sweep()
        assert [type(f) for f in await on_evm.said_of(wallet)] == [PaymentSeen, PaymentReverted]
        await node.call("eth_sendRawTransaction", raw)
        await node.call("anvil_mine", "0x5")
        await on_evm.sweep()
        said = await on_evm.said_of(wallet)
        assert [type(f) for f in said[2:]] == PAID
        assert len({fact.payment_id for fact in said}) == 1
