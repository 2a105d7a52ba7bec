"""What providers pay out to our bank is said once, to whom it belongs, and ends in the books."""

import asyncio
import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoiceos_contracts.provider_v1 import (
    ProviderPayoutAnnounced,
    ProviderPayoutArrived,
    ProviderPayoutFailed,
)
from messaging import failpoint
from provider_orchestrator.commands.keep_webhooks import keep_webhooks
from provider_orchestrator.commands.record_payouts import record_payouts
from provider_orchestrator.domain.provider_payouts import (
    Holdings,
    PayoutSaid,
    PayoutState,
    divided,
)
from provider_orchestrator.providers.stripe.adapter import Stripe
from provider_orchestrator.providers.stripe.settings import StripeSettings
from provider_orchestrator.store.webhooks import Delivered
from provider_orchestrator.workers.provider_payouts import list_payouts
from provider_sandbox.providers.paypal import withdrawals
from provider_sandbox.providers.stripe import balance, charging
from reserve_ledger.app import service as ledger
from testkit.databases import ServiceDatabase
from testkit.service import under_test

from .shop import Shop
from .stage import Receiver
from .test_settling import SECRET, paid

KINDS = (ProviderPayoutAnnounced, ProviderPayoutArrived, ProviderPayoutFailed)
EVIDENCE = base64.b64encode(bytes(range(32))).decode()
NOW = datetime(2026, 3, 2, tzinfo=UTC)
HOLDINGS = st.dictionaries(
    st.integers(1, 9).map(lambda n: UUID(int=n)),
    st.builds(Holdings, st.integers(-500, 5000), st.integers(0, 5000)),
)


@given(amount=st.integers(1, 20_000), has=HOLDINGS)
def test_nobody_is_given_more_than_it_has_and_all_that_is_somebodys_is_given(
    amount: int, has: dict[UUID, Holdings]
) -> None:
    parts = divided(amount, has)
    most = {
        one: max(0, h.released_minor, h.released_minor + h.held_minor) for one, h in has.items()
    }
    assert all(0 < part <= most[one] for one, part in parts.items())
    assert sum(parts.values()) <= amount
    released = sum(max(0, one.released_minor) for one in has.values())
    if amount <= released:
        assert sum(parts.values()) == amount
        assert all(part <= max(0, has[one].released_minor) for one, part in parts.items())


def test_a_payout_of_all_that_is_released_is_to_each_what_it_has() -> None:
    one, other = UUID(int=1), UUID(int=2)
    has = {one: Holdings(700, 50), other: Holdings(300, 0)}
    assert divided(1000, has) == {one: 700, other: 300}
    assert divided(3, has) == {one: 2, other: 1}
    assert divided(1100, has) == {one: 750, other: 300}


@pytest.fixture
async def shop(shop: Shop) -> Shop:
    """The sandbox is everybody's: what others were paid out before is known, and nobody's."""
    await listed(shop)
    return shop


async def listed(shop: Shop) -> None:
    await shop.unit.worker.pool.execute("update provider_payout_listing set due_at = now()")
    await list_payouts(shop.unit.worker, shop.known)


async def said(shop: Shop) -> list[Any]:
    return await shop.unit.facts(*KINDS)


async def payout(shop: Shop, amount: int) -> Any:
    wanted = {"amount": amount, "currency": "usd"}
    path = "/stripe/v1/payouts"
    return await asyncio.to_thread(shop.sandbox.ok, "POST", path, data=wanted, headers=SECRET)


async def until_said(shop: Shop, count: int) -> list[Any]:
    """The sandbox's clock is ours: a payout arrives a second after it was made."""
    for _ in range(100):
        await listed(shop)
        if len(found := await said(shop)) >= count:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(await said(shop))


async def test_a_payout_of_stripe_is_announced_and_arrives_in_the_books(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    make_database: Callable[[str], ServiceDatabase],
) -> None:
    monkeypatch.setattr(charging, "AVAILABLE_AFTER_S", 0)
    monkeypatch.setattr(balance, "PAYOUT_AFTER_S", 1)
    payment = await paid(shop)
    made = await payout(shop, 1000)
    await listed(shop)
    (announced,) = await said(shop)
    assert (announced.amount.amount_minor, announced.provider_reference) == (1000, made["id"])
    assert announced.tenant_id == payment.tenant_id
    both = await until_said(shop, 2)
    assert [type(one) for one in both] == [ProviderPayoutAnnounced, ProviderPayoutArrived]
    await listed(shop)
    assert len(await said(shop)) == 2
    monkeypatch.setenv("INVOICEOS_EVIDENCE_PRIVATE_KEY", EVIDENCE)
    async with under_test(ledger, make_database("reserve_ledger")) as books:
        await books.receives(payment, *both, *reversed(both))
        rows = await books.worker.fetch(
            "select account, sum(amount_minor)::bigint as minor from posting"
            " where tenant_id = $1 group by account",
            payment.tenant_id,
        )
        booked = {row["account"]: row["minor"] for row in rows}
        assert (booked["1100"], booked["1310"], booked["1300"]) == (1000, 0, 184)


async def test_a_payout_that_comes_back_is_said_to_have_failed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charging, "AVAILABLE_AFTER_S", 0)
    await paid(shop)
    made = await payout(shop, 500)
    await listed(shop)
    path = f"/stripe/v1/payouts/{made['id']}/cancel"
    await asyncio.to_thread(shop.sandbox.ok, "POST", path, headers=SECRET)
    await listed(shop)
    await listed(shop)
    assert [type(one) for one in await said(shop)] == [
        ProviderPayoutAnnounced,
        ProviderPayoutFailed,
    ]


async def test_a_webhook_about_a_payout_has_them_listed(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charging, "AVAILABLE_AFTER_S", 0)
    await paid(shop)
    await listed(shop)
    assert await list_payouts(shop.unit.worker, shop.known) == 0
    endpoint = shop.sandbox.ok(
        "POST",
        "/stripe/v1/webhook_endpoints",
        data={"url": receiver.url, "enabled_events[]": "payout.created"},
        headers=SECRET,
    )
    await payout(shop, 300)
    await asyncio.to_thread(shop.sandbox.ok, "POST", "/sandbox/deliveries/send")
    chosen = StripeSettings(
        stripe_secret_key="sk_test_1", stripe_webhook_secrets=endpoint["secret"]
    )
    adapter = Stripe(shop.known["stripe"]._client._session, chosen)
    for one in receiver.taken * 2:
        hint = await adapter.hint(one)
        await shop.unit.command(keep_webhooks, Delivered("stripe", one, hint))
    await shop.collector.route()
    assert await list_payouts(shop.unit.worker, shop.known) == 1
    (announced,) = await said(shop)
    assert announced.amount.amount_minor == 300
    shop.sandbox.ok("DELETE", f"/stripe/v1/webhook_endpoints/{endpoint['id']}", headers=SECRET)


@pytest.mark.parametrize(("fails", "end"), [(False, KINDS[1]), (True, KINDS[2])])
async def test_a_withdrawal_from_paypal_is_read_from_its_statement(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, fails: bool, end: Any
) -> None:
    monkeypatch.setattr(withdrawals, "ARRIVES_AFTER_S", 1)
    payment = await paid(shop, "paypal", choice="approve")
    wanted = {"amount": 700, "currency": "USD", "fails": fails}
    path = "/sandbox/simulate/paypal/withdraw"
    made = await asyncio.to_thread(shop.sandbox.ok, "POST", path, json=wanted)
    announced, ended = await until_said(shop, 2)
    assert (announced.provider_reference, type(ended)) == (made["id"], end)
    assert (announced.tenant_id, announced.amount.amount_minor) == (payment.tenant_id, 700)


def told(state: PayoutState, amount: int = 900) -> PayoutSaid:
    return PayoutSaid("po_x", state, amount, "USD", NOW, cause="closed")


async def test_however_often_and_in_whatever_order_it_is_told_it_is_said_once(shop: Shop) -> None:
    await paid(shop)
    for seed in range(6):
        stream = [told(state) for state in PayoutState] * 2
        random.Random(seed).shuffle(stream)
        for one in stream:
            async with shop.unit.worker.transaction() as tx:
                await record_payouts(tx, "stripe", [one])
    kinds = [type(one) for one in await said(shop)]
    assert len(kinds) == len(set(kinds))


async def test_what_nobody_has_there_is_nobodys(shop: Shop) -> None:
    await paid(shop)
    async with shop.unit.worker.transaction() as tx:
        await record_payouts(tx, "stripe", [told(PayoutState.ANNOUNCED, 5000)])
    (announced,) = await said(shop)
    has = 1250 - balance.fee_of(1250, "usd")
    assert announced.amount.amount_minor == has
    rest = await shop.unit.worker.fetchval(
        "select unassigned_minor from provider_payout where reference = 'po_x'"
    )
    assert rest == 5000 - has


async def test_whoever_dies_before_the_commit_has_said_nothing_and_the_next_says_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await paid(shop)

    def die(name: str) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr("provider_orchestrator.commands.record_payouts.failpoint", die)
    with pytest.raises(RuntimeError):
        async with shop.unit.worker.transaction() as tx:
            await record_payouts(tx, "stripe", [told(PayoutState.ARRIVED)])
    assert await said(shop) == []
    monkeypatch.setattr("provider_orchestrator.commands.record_payouts.failpoint", failpoint)
    async with shop.unit.worker.transaction() as tx:
        await record_payouts(tx, "stripe", [told(PayoutState.ARRIVED)])
    assert len(await said(shop)) == 2


async def test_what_was_paid_out_cannot_be_changed(shop: Shop) -> None:
    await paid(shop)
    async with shop.unit.worker.transaction() as tx:
        await record_payouts(tx, "stripe", [told(PayoutState.FAILED)])
    for change in ("state = 'arrived', cause = null", "amount_minor = 1"):
        with pytest.raises(Exception, match=r"in no way|does not change"):
            await shop.unit.worker.pool.execute(f"update provider_payout set {change}")
