"""What a wallet holds is told once for each question, at a block the sweep has passed."""

import asyncio
from uuid import uuid4

from orchestrator_kit import Orchestrator, a_wallet, destroying

from invoiceos_contracts.provider_v1 import WalletBalanceObserved
from invoiceos_local.chain import dev_account, pay
from provider_orchestrator.workers import answer_open_requests
from testkit.service import record_of


async def answered(running: Orchestrator) -> int:
    """Sweep and answer side by side, as the two loops do."""
    sweeping = asyncio.create_task(running.sweep())
    count = await answer_open_requests(running.unit.worker, running.tempo)
    await sweeping
    return count


async def test_a_forwarding_address_holds_nothing_of_any_token(running: Orchestrator) -> None:
    wallet = a_wallet()
    await running.unit.receives(wallet)
    await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", wallet.address, 71)
    await running.unit.receives(destroying(wallet))
    assert await answered(running) == 1
    (said,) = await running.unit.facts(WalletBalanceObserved)
    assert {(b.asset, b.amount_minor) for b in said.balances} == {("ALPHAUSD", 0), ("PATHUSD", 0)}
    assert (said.wallet_id, said.address, said.payments_pending) == (
        wallet.wallet_id,
        wallet.address,
        0,
    )
    cursor = await running.unit.worker.fetchval("select number from chain_cursor")
    assert said.block_number <= cursor
    assert await answered(running) == 0


async def test_what_is_left_at_an_address_is_told(running: Orchestrator) -> None:
    wallet = a_wallet(address=dev_account(9).address)
    await running.unit.receives(destroying(wallet))
    await answered(running)
    (said,) = await running.unit.facts(WalletBalanceObserved)
    assert all(balance.amount_minor > 0 for balance in said.balances)


async def test_each_question_is_answered_once_however_often_it_is_heard(
    running: Orchestrator,
) -> None:
    wallet = a_wallet()
    one, two = (record_of(destroying(wallet), event_id=uuid4()) for _ in range(2))
    await running.unit.receives(one, one)
    await asyncio.gather(answered(running), answered(running))
    await running.unit.receives(two, one)
    await answered(running)
    causes = await running.unit.worker.fetch(
        "select causation_id from outbox where type = $1", WalletBalanceObserved.TYPE
    )
    assert len(causes) == len({row["causation_id"] for row in causes}) == 2


async def test_other_rails_and_addresses_of_no_chain_are_left_alone(
    running: Orchestrator,
) -> None:
    wallet = a_wallet()
    await running.unit.receives(
        destroying(wallet, address="0x12"),
        destroying(wallet, rail="card", chain_id=None),
        a_wallet(rail="card", chain_id=None, address="pi_123"),
        a_wallet(address="0x12"),
        a_wallet(address="not hexadecimal", memo="nor this"),
    )
    assert await running.unit.worker.fetchval("select count(*) from balance_request") == 0
    assert await running.unit.worker.fetchval("select count(*) from watched_address") == 0
