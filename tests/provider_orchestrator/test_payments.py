"""Payments on the real chain: what comes is stated once, as what it is."""

import asyncio
from typing import Any

from eth_abi import encode
from eth_utils.crypto import keccak
from orchestrator_kit import Orchestrator, a_wallet, an_address, memo_of, orchestrator
from pytempo import Call
from pytempo.contracts import TIP20

from invoiceos_contracts import Amount
from invoiceos_contracts.payment_v1 import PaymentConflicted, PaymentSeen, PaymentSucceeded
from invoiceos_local.chain import Node, dev_account, pay
from invoiceos_local.tempo_facts import PATH_USD
from provider_orchestrator.workers import Step

FACTORY = "0x20Fc000000000000000000000000000000000000"


async def test_a_memo_payment_is_seen_and_final_in_its_block(running: Orchestrator) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    receipt = await pay(
        running.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 12_500_000, memo_of(wallet)
    )
    await running.sweep()
    seen, succeeded = await running.said_of(wallet)
    assert isinstance(seen, PaymentSeen)
    assert isinstance(succeeded, PaymentSucceeded)
    assert seen.payment_id == succeeded.payment_id
    assert succeeded.amount == Amount(amount_minor=12_500_000, asset="PATHUSD")
    assert succeeded.invoice_due == wallet.due
    assert succeeded.memo_matches is True
    assert succeeded.payer == dev_account(1).address.lower()
    assert succeeded.chain is not None
    assert succeeded.chain.transaction_hash == receipt.transaction_hash
    assert succeeded.chain.block_number == receipt.block_number
    assert (succeeded.invoice_id, succeeded.tenant_id) == (wallet.invoice_id, wallet.tenant_id)


async def test_a_payment_without_memo_counts_and_a_foreign_memo_is_told(
    running: Orchestrator,
) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    url = running.settings.tempo_rpc_url
    await pay(url, 1, "PATHUSD", wallet.address, 5)
    await pay(url, 1, "PATHUSD", wallet.address, 6, b"\x01" * 32)
    await running.sweep()
    said = [f for f in await running.said_of(wallet) if isinstance(f, PaymentSucceeded)]
    assert [(f.amount.amount_minor, f.memo_matches) for f in said] == [(5, None), (6, False)]


async def test_payments_of_one_transaction_are_each_their_own(running: Orchestrator) -> None:
    """To two wallets, and twice the same amount to one of them."""
    one, other = a_wallet(), a_wallet()
    await running.unit.receives(one, other)
    token = TIP20(PATH_USD)
    calls = [
        token.transfer_with_memo(to=one.address, amount=7, memo=memo_of(one)),
        token.transfer(to=other.address, amount=8),
        token.transfer(to=one.address, amount=7),
    ]
    async with Node(running.settings.tempo_rpc_url) as node:
        sent = await node.submit(dev_account(2).private_key, calls, gas_limit=3_000_000)
        assert (await node.receipt(sent)).succeeded
    await running.sweep()
    mine = [f for f in await running.said_of(one) if isinstance(f, PaymentSucceeded)]
    assert [(f.amount.amount_minor, f.memo_matches) for f in mine] == [(7, True), (7, None)]
    assert len({f.payment_id for f in mine}) == 2
    assert len({f.provider_reference for f in mine}) == 2
    assert len(await running.said_of(other)) == 2


async def test_two_payments_of_one_block_are_told_apart(alone: Orchestrator) -> None:
    wallet = a_wallet()
    await alone.unit.receives(wallet)
    async with Node(alone.settings.tempo_rpc_url) as node:
        await node.call("evm_setAutomine", False)
        sent = [
            await node.submit(
                dev_account(payer).private_key,
                [TIP20(PATH_USD).transfer(to=wallet.address, amount=10 + payer)],
                gas_limit=1_000_000,
            )
            for payer in (1, 2)
        ]
        await node.call("anvil_mine", "0x1")
        await node.call("evm_setAutomine", True)
        receipts = [await node.receipt(one) for one in sent]
    assert receipts[0].block_number == receipts[1].block_number
    await alone.sweep()
    said = [f for f in await alone.said_of(wallet) if isinstance(f, PaymentSucceeded)]
    assert {f.amount.amount_minor for f in said} == {11, 12}
    assert {f.payer for f in said} == {dev_account(n).address.lower() for n in (1, 2)}


async def test_a_token_we_take_that_the_wallet_does_not_is_a_conflict(
    running: Orchestrator,
) -> None:
    wallet = a_wallet(accepted_assets=("PATHUSD",))
    await running.unit.receives(wallet)
    await pay(running.settings.tempo_rpc_url, 1, "ALPHAUSD", wallet.address, 9)
    await running.sweep()
    (said,) = await running.said_of(wallet)
    assert isinstance(said, PaymentConflicted)
    assert (said.cause, said.amount.asset, said.expected) == (
        "wrong_asset",
        "ALPHAUSD",
        ("PATHUSD",),
    )


async def make_token(url: str, symbol: str) -> str:
    """A TIP-20 token of the third account's, that calls itself what it likes."""
    maker = dev_account(2)
    kinds = ["string", "string", "string", "address", "address", "bytes32"]
    salt = keccak(text=an_address())
    body = encode(kinds, ["Forged", symbol, "USD", PATH_USD, maker.address, salt])
    data = keccak(text="createToken(string,string,string,address,address,bytes32)")[:4] + body
    async with Node(url) as node:
        sent = await node.submit(
            maker.private_key,
            [Call.create(to=FACTORY, data="0x" + data.hex())],
            gas_limit=20_000_000,
        )
        receipt = await node.receipt(sent)
        created = next(log for log in receipt.logs if log["address"].lower() == FACTORY.lower())
        token = "0x" + created["topics"][1][-40:]
        contract: Any = TIP20(token)
        role = keccak(text="ISSUER_ROLE")
        for call in (
            contract.grant_role(role=role, account=maker.address),
            contract.mint(to=maker.address, amount=1_000_000),
        ):
            sent = await node.submit(maker.private_key, [call], gas_limit=3_000_000)
            assert (await node.receipt(sent)).succeeded
    return token


async def test_a_token_that_calls_itself_ours_is_not_believed(running: Orchestrator) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    url = running.settings.tempo_rpc_url
    for symbol, amount in (("PathUSD", 3), ("Moon 1!", 4)):
        await pay(url, 2, await make_token(url, symbol), wallet.address, amount)
    await running.sweep()
    said = await running.said_of(wallet)
    assert all(isinstance(f, PaymentConflicted) and f.cause == "wrong_asset" for f in said)
    assert [(f.amount.asset, f.amount.amount_minor) for f in said] == [("UNKNOWN", 3), ("MOON1", 4)]


async def test_what_the_master_sends_to_itself_is_no_payment(running: Orchestrator) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    await pay(running.settings.tempo_rpc_url, 0, "PATHUSD", wallet.address, 11)
    await running.sweep()
    assert await running.said_of(wallet) == []


async def test_money_that_came_before_its_wallet_is_stated_when_the_wallet_is_ready(
    running: Orchestrator,
) -> None:
    wallet = a_wallet()
    await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 21)
    await running.sweep()
    assert await running.said_of(wallet) == []
    await running.unit.receives(wallet)
    await running.unit.receives(wallet)
    said = await running.said_of(wallet)
    assert [type(f) for f in said] == [PaymentSeen, PaymentSucceeded]
    left = await running.unit.worker.fetchval(
        "select count(*) from unmatched_transfer where address = $1",
        bytes.fromhex(wallet.address[2:]),
    )
    assert left == 0


async def test_a_replica_that_starts_anew_goes_on_from_the_cursor(running: Orchestrator) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    url = running.settings.tempo_rpc_url
    await pay(url, 1, "PATHUSD", wallet.address, 31)
    await running.sweep()
    await pay(url, 1, "PATHUSD", wallet.address, 32)
    async with orchestrator(running.unit.place, running.settings) as restarted:
        await restarted.sweep()
        said = [f for f in await restarted.said_of(wallet) if isinstance(f, PaymentSucceeded)]
    assert [f.amount.amount_minor for f in said] == [31, 32]


async def test_replicas_that_sweep_at_once_state_each_payment_once(running: Orchestrator) -> None:
    wallets = [a_wallet() for _ in range(4)]
    await running.unit.receives(*wallets)
    url = running.settings.tempo_rpc_url
    replicas = [running.another() for _ in range(4)]
    lost = 0
    for wallet in wallets:
        await pay(url, 1, "PATHUSD", wallet.address, 41)
        steps = await asyncio.gather(*[replica.step() for replica in replicas])
        lost += steps.count(Step.LOST)
    await running.sweep()
    for wallet in wallets:
        assert [type(f) for f in await running.said_of(wallet)] == [PaymentSeen, PaymentSucceeded]
    assert lost > 0


async def test_a_range_read_twice_changes_nothing(running: Orchestrator) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    database = running.unit.worker
    before = await database.fetch("select number, hash from chain_cursor")
    await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 51)
    await running.sweep()
    said = await running.unit.facts()
    await database.pool.execute(
        "update chain_cursor set number = $1, hash = $2", before[0]["number"], before[0]["hash"]
    )
    again = running.another()
    while await again.step() is not Step.IDLE:
        pass
    assert await running.unit.facts() == said
