"""Beside Tempo: deposit addresses on another chain, and providers of payments behind both."""

import asyncio
import signal
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from chassis.certificates import findings
from invoiceos_contracts import decode, encode
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroyed
from invoiceos_contracts.invoice_v1 import InvoiceIssued, InvoicePaid
from invoiceos_contracts.provider_v1 import DepositSwept, ProviderHealthChanged
from invoiceos_local import evm, evm_facts
from invoiceos_local.chain import Node
from invoiceos_local.demo.client import an_invoice
from testkit.platform import Platform, a_key

CARD = "4242 4242 4242 4242"
HOUR = 3600


@pytest.fixture
def elsewhere(platform, rival) -> Platform:
    """Another company on the same platform."""
    return Platform(platform.stack, rival, platform.feed, platform.overrides)


async def deposit(platform, address: str, cents: int) -> None:
    """A payer's transfer on the EVM chain."""
    url = platform.stack.infrastructure.evm_rpc_url
    await asyncio.to_thread(evm.deposit, url, address, cents * evm_facts.UNITS_PER_CENT)


async def wanted(platform, policy: dict[str, object]) -> None:
    status, saved, _ = await platform.client.call(
        "PUT", "/api/v1/wallets/policy", {"policy": policy}, Idempotency_Key=a_key()
    )
    assert status == 200, saved
    assert "evm-create2" in saved["rails_offered"]


async def test_an_invoice_on_another_chain_is_paid_fetched_and_its_wallet_destroyed(elsewhere):
    await wanted(elsewhere, {"rails": ["evm-create2", "tempo"]})
    invoice_id, issued = await elsewhere.issue(an_invoice("Elsewhere", 10_000, watch_window_s=1))
    await wanted(elsewhere, {})
    assert (issued.rail, issued.chain_id) == ("evm-create2", evm_facts.CHAIN_ID)
    assert issued.accepted_assets == ("USDC",)
    url = elsewhere.stack.infrastructure.evm_rpc_url
    async with Node(url) as node:
        before = await node.balance(evm_facts.USDC, evm_facts.TREASURY_ADDRESS)
    await deposit(elsewhere, issued.address, 11_900)
    paid = await elsewhere.feed.until(InvoicePaid, invoice_id)
    assert paid.shortage.amount_minor == 0
    swept = await elsewhere.feed.until(DepositSwept, invoice_id)
    assert (swept.amount.amount_minor, swept.amount.asset) == (119_000_000, "USDC")
    async with Node(url) as node:
        assert await node.balance(evm_facts.USDC, issued.address) == 0
        held = await node.balance(evm_facts.USDC, evm_facts.TREASURY_ADDRESS)
        assert held - before == 119_000_000
    destroyed = await elsewhere.feed.until(EphemeralWalletDestroyed, invoice_id, seconds=90)
    body = destroyed.certificate.body
    assert (body.rail, body.chain_id, body.address) == (
        "evm-create2",
        evm_facts.CHAIN_ID,
        issued.address,
    )
    assert [balance.amount_minor for balance in body.balances] == [0]
    assert body.final_block is not None
    key = await elsewhere.client.get("/api/v1/certificates/public-key")
    assert all(right for _, right in findings(destroyed.certificate, key["public_key"]))
    booked = await elsewhere.client.eventually(
        f"/api/v1/ledger/transactions?invoice_id={encode('inv', invoice_id)}",
        lambda found: "deposit_flushed.v1" in {one["template"] for one in found["items"]},
    )
    assert "deposit_received.v1" in {one["template"] for one in booked["items"]}
    await elsewhere.books_are_right()


async def test_an_unwell_chain_gives_way_to_the_next_rail_and_all_chains_to_a_card(platform):
    """Tempo unwell: the other chain; both unwell: a payment at a provider; all well: Tempo."""
    began = datetime.now(UTC)
    with paused(platform.stack, "tempo"):
        with paused(platform.stack, "evm"):
            await asyncio.gather(
                until_state(platform, "tempo", {"open"}, began),
                until_state(platform, "evm-create2", {"open"}, began),
            )
            card = await served_by(platform, "psp")
            assert card["skipped"] == [
                {"rail": "tempo", "reason": "unhealthy", "detail": "tempo"},
                {"rail": "evm-create2", "reason": "unhealthy", "detail": "evm-create2"},
            ]
            await paid_by_card(platform, card["invoice_id"])
        await until_state(platform, "evm-create2", {"half_open", "closed"}, began)
        other = await served_by(platform, "evm-create2")
        assert [one["rail"] for one in other["skipped"]] == ["tempo"]
        await deposit(platform, other["address"], 11_900)
        await platform.feed.until(InvoicePaid, decode("inv", other["invoice_id"]))
    await until_state(platform, "tempo", {"closed"}, began)
    await until_state(platform, "evm-create2", {"closed"}, began)
    assert (await served_by(platform, "tempo"))["skipped"] == []


@contextmanager
def paused(stack, name: str):
    stack.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        stack.kill(name, signal.SIGCONT)


async def until_state(platform, provider: str, states: set[str], since: datetime) -> None:
    """The newest news of a provider as a whole, since a moment, says one of these states."""

    def newest() -> str:
        found = [
            seen.fact
            for seen in platform.feed.seen
            if isinstance(seen.fact, ProviderHealthChanged)
            and (seen.fact.provider, seen.fact.currency) == (provider, None)
            and seen.fact.at >= since
        ]
        return str(found[-1].new) if found else ""

    async with asyncio.timeout(90):
        while newest() not in states:
            await asyncio.sleep(0.1)


async def served_by(platform, rail: str):
    """An invoice's wallet as REST shows it, once the news of health have arrived."""
    async with asyncio.timeout(60):
        while True:
            invoice_id, issued = await platform.issue(an_invoice("Any rail", 10_000, "1", HOUR))
            if issued.rail == rail:
                break
    public = encode("inv", invoice_id)
    (wallet,) = (await platform.client.get(f"/api/v1/wallets?invoice_id={public}"))["items"]
    decision = await platform.client.get(f"/api/v1/wallets/{wallet['wallet_id']}/decision")
    assert (wallet["rail"], decision["rail"]) == (rail, rail)
    assert decision["skipped"] == wallet["skipped"]
    return wallet


async def paid_by_card(platform, public: str) -> None:
    """Over a payment intent at the provider that routing chose; REST says which and why."""
    http, invoice_id = platform.client.http, decode("inv", public)
    issued = await platform.feed.until(InvoiceIssued, invoice_id)
    token = issued.payment_link.rpartition("/")[2]
    async with http.post(
        f"{platform.client.url}/pay/with/{token}", data={"method": "card"}, allow_redirects=False
    ) as answer:
        assert answer.status == 303, await answer.text()
        page = answer.headers["Location"]
    async with http.post(
        page, data={"number": CARD, "choice": "pay"}, allow_redirects=False
    ) as answer:
        back = answer.headers["Location"]
    async with http.get(back, allow_redirects=False) as answer:
        assert answer.status == 303
    await platform.feed.until(InvoicePaid, invoice_id)
    found = await platform.client.get(f"/api/v1/payment-intents?invoice_id={public}")
    (listed,) = found["items"]
    intent = await platform.client.get(f"/api/v1/payment-intents/{listed['id']}")
    (attempt,) = intent["attempts"]
    assert (attempt["provider"], attempt["rail"]) == ("stripe", "card")
    decision = await platform.client.get(f"/api/v1/routing/decisions/{attempt['decision_id']}")
    assert decision["chosen"] == "stripe/card"
    assert decision["reason"] == attempt["decision_reason"]
