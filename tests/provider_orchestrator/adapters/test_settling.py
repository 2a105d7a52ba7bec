"""What becomes of collected money at its provider is said once: on the sandbox that plays them."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from collecting_kit import TENANT

from chassis.settings import load
from invoiceos_contracts.payment_v1 import (
    PaymentDisputeClosed,
    PaymentDisputed,
    PaymentFeeKnown,
    PaymentFundsAvailable,
    PaymentSucceeded,
)
from messaging import Refusal
from provider_orchestrator.commands.keep_webhooks import keep_webhooks
from provider_orchestrator.commands.refund_payment import RefundRequest, refund_payment
from provider_orchestrator.providers.catalogue import catalogue
from provider_orchestrator.providers.paypal.adapter import PayPal
from provider_orchestrator.providers.paypal.settings import PayPalSettings
from provider_orchestrator.providers.stripe.adapter import Stripe
from provider_orchestrator.providers.stripe.settings import StripeSettings
from provider_orchestrator.store.webhooks import Delivered
from provider_orchestrator.workers.executor import Executor
from provider_orchestrator.workers.settling import seek_disputes, settling
from provider_sandbox.providers.stripe import balance, charging

from .shop import Shop
from .stage import Receiver

CARD = {"choice": "pay", "number": "4242 4242 4242 4242"}
SECRET = {"Authorization": "Bearer sk_test_1"}
TOLD = (PaymentFeeKnown, PaymentFundsAvailable, PaymentDisputed, PaymentDisputeClosed)


async def look(shop: Shop) -> None:
    """Look at all that is due."""
    executor = Executor(shop.unit.worker, settling(shop.known))
    while await executor.step():
        pass


async def said(shop: Shop, *kinds: Any) -> list[Any]:
    return await shop.unit.facts(*(kinds or TOLD))


async def paid(shop: Shop, method: str = "card", **form: str) -> PaymentSucceeded:
    _, token = await shop.issued()
    page = await shop.press(token, method)
    await shop.back(await shop.act(page, **(form or CARD)), token)
    await look(shop)
    found: PaymentSucceeded = (await said(shop, PaymentSucceeded))[-1]
    return found


async def intent_of(shop: Shop) -> str:
    names = await shop.unit.worker.fetchval("select names from settlement")
    return next(name for name in names if name.startswith("pi_"))


async def disputed(shop: Shop, amount: int = 1250) -> str:
    wanted = {"payment_intent": await intent_of(shop), "amount": amount}
    made = shop.sandbox.ok("POST", "/sandbox/simulate/stripe/dispute", json=wanted)
    return str(made["id"])


async def given_back(shop: Shop) -> int:
    back: int = await shop.unit.worker.fetchval("select given_back_minor from payment")
    return back


async def time_passes(shop: Shop) -> None:
    await shop.unit.worker.pool.execute("update settlement set due_at = now()")
    await look(shop)


async def test_money_that_stripe_lets_go_of_is_said_so_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charging, "AVAILABLE_AFTER_S", 3)
    await paid(shop)
    assert await said(shop, PaymentFundsAvailable) == []
    due = await shop.unit.worker.fetchval("select due_at - now() from settlement")
    assert timedelta(0) < due < timedelta(seconds=15)
    await shop.unit.worker.pool.execute("update payment set fee_minor = null")
    monkeypatch.setattr("provider_orchestrator.domain.settling.LOOK_AGAIN", timedelta(0))
    while not await said(shop, PaymentFundsAvailable):
        await time_passes(shop)
    await time_passes(shop)
    await time_passes(shop)
    (fee,) = await said(shop, PaymentFeeKnown)
    (released,) = await said(shop, PaymentFundsAvailable)
    assert fee.fee.amount_minor == balance.fee_of(1250, "usd")
    assert released.payment_id == fee.payment_id


async def test_what_paypal_took_is_ours_at_once(shop: Shop) -> None:
    payment = await paid(shop, "paypal", choice="approve")
    assert payment.fee is not None
    (released,) = await said(shop)
    assert (released.payment_id, released.provider) == (payment.payment_id, "paypal")
    assert await shop.unit.worker.fetchval("select due_at from settlement") is None
    await time_passes(shop)
    assert len(await said(shop)) == 1


@pytest.mark.parametrize(("evidence", "outcome"), [("winning", "won"), ("losing", "lost")])
async def test_a_dispute_is_said_once_however_its_webhooks_come(
    shop: Shop, receiver: Receiver, evidence: str, outcome: str
) -> None:
    endpoint = shop.sandbox.ok(
        "POST",
        "/stripe/v1/webhook_endpoints",
        data={"url": receiver.url, "enabled_events[]": "*"},
        headers=SECRET,
    )
    payment = await paid(shop)
    dispute = await disputed(shop, 1000)
    await webhooks(shop, receiver, endpoint)
    (opened,) = await said(shop)
    assert (opened.payment_id, opened.provider_reference) == (payment.payment_id, dispute)
    assert (opened.disputed.amount_minor, opened.fee.amount_minor) == (1000, 1500)
    assert opened.respond_by is not None and await given_back(shop) == 1000
    (refused,) = await shop.unit.command(
        refund_payment,
        RefundRequest(TENANT, payment.payment_id, "test", catalogue(), amount_minor=300),
    )
    assert isinstance(refused, Refusal) and refused.code == "refund_too_large"
    shop.sandbox.ok(
        "POST",
        f"/stripe/v1/disputes/{dispute}",
        data={"evidence[uncategorized_text]": f"{evidence}_evidence"},
        headers=SECRET,
    )
    await webhooks(shop, receiver, endpoint)
    _, closed = await said(shop)
    assert (closed.dispute_id, closed.outcome) == (opened.dispute_id, outcome)
    assert closed.disputed.amount_minor == 1000
    assert await given_back(shop) == (0 if outcome == "won" else 1000)
    shop.sandbox.ok("DELETE", f"/stripe/v1/webhook_endpoints/{endpoint['id']}", headers=SECRET)


async def webhooks(shop: Shop, receiver: Receiver, endpoint: Any) -> None:
    """Every webhook there is comes twice, in any order, and what it points at is read."""
    await asyncio.to_thread(shop.sandbox.ok, "POST", "/sandbox/deliveries/send")
    chosen = StripeSettings(
        stripe_secret_key="sk_test_1", stripe_webhook_secrets=endpoint["secret"]
    )
    adapter = Stripe(shop.known["stripe"]._client._session, chosen)
    hints = [Delivered("stripe", one, await adapter.hint(one)) for one in receiver.taken]
    doubled = hints * 2
    random.Random(7).shuffle(doubled)
    for one in doubled:
        await shop.unit.command(keep_webhooks, one)
        await shop.collector.route()
        await look(shop)


async def test_a_dispute_whose_webhook_was_lost_is_found(shop: Shop) -> None:
    payment = await paid(shop)
    dispute = await disputed(shop)
    assert await seek_disputes(shop.unit.worker, shop.known) == 1
    await look(shop)
    assert [one.provider_reference for one in await said(shop)] == [dispute]
    assert await seek_disputes(shop.unit.worker, shop.known) == 0
    shop.sandbox.ok("POST", f"/stripe/v1/disputes/{dispute}/close", headers=SECRET)
    due = await shop.unit.worker.fetchval("select due_at - now() from settlement")
    assert due < timedelta(hours=1)
    await time_passes(shop)
    assert [type(one) for one in await said(shop)] == [PaymentDisputed, PaymentDisputeClosed]
    assert payment.amount.amount_minor == await given_back(shop) == 1250


async def test_whoever_dies_after_a_look_leaves_it_to_the_next(shop: Shop) -> None:
    await paid(shop)
    await disputed(shop)
    await shop.unit.worker.pool.execute("update settlement set due_at = now()")
    work = settling(shop.known)
    async with shop.unit.worker.transaction() as tx:
        first = await work.claim(tx, 10)
    answers = [(one, await work.call(one)) for one in first]
    await look(shop)
    assert await said(shop) == []
    await time_passes(shop)
    assert len(await said(shop, PaymentDisputed)) == 1
    await record(shop, work, answers)
    assert len(await said(shop)) == 1


async def record(shop: Shop, work: Any, answers: Sequence[Any]) -> None:
    """The one that was thought dead says late what it had heard."""
    async with shop.unit.worker.transaction() as tx:
        await work.record(tx, answers)


async def paypal(shop: Shop, path: str, **body: Any) -> Any:
    """What somebody at PayPal, or we, do there."""
    token = shop.sandbox.ok(
        "POST",
        "/paypal/v1/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=("sandbox-client", "sandbox-secret"),
    )["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    call = partial(shop.sandbox.ok, "POST", f"/paypal{path}", json=body, headers=headers)
    return await asyncio.to_thread(call)


async def claimed(shop: Shop, **more: Any) -> str:
    """A payer disputes what was paid with PayPal."""
    await time_passes(shop)
    names = await shop.unit.worker.fetchval("select names from settlement")
    capture = next(name for name in names if not name.startswith("PP-D-"))
    path = "/sandbox/simulate/paypal/dispute"
    made = shop.sandbox.ok("POST", path, json={"capture": capture} | more)
    return str(made["dispute_id"])


@pytest.mark.parametrize(("decided", "outcome"), [("SELLER_FAVOR", "won"), ("BUYER_FAVOR", "lost")])
async def test_a_claim_at_paypal_is_said_once_however_its_webhooks_come(
    shop: Shop, receiver: Receiver, decided: str, outcome: str
) -> None:
    hook = await paypal(
        shop,
        "/v1/notifications/webhooks",
        url=receiver.url,
        event_types=[{"name": "*"}],
    )
    payment = await paid(shop, "paypal", choice="approve")
    dispute = await claimed(shop, amount=1000)
    await paypal_webhooks(shop, receiver, hook["id"])
    (opened,) = await said(shop, PaymentDisputed)
    assert (opened.payment_id, opened.provider_reference) == (payment.payment_id, dispute)
    assert opened.disputed.amount_minor == await given_back(shop) == 1000
    await paypal(shop, f"/v1/customer/disputes/{dispute}/adjudicate", adjudication_outcome=decided)
    await paypal_webhooks(shop, receiver, hook["id"])
    (closed,) = await said(shop, PaymentDisputeClosed)
    assert (closed.dispute_id, closed.outcome) == (opened.dispute_id, outcome)
    assert await given_back(shop) == (0 if outcome == "won" else 1000)


async def paypal_webhooks(shop: Shop, receiver: Receiver, hook: str) -> None:
    await asyncio.to_thread(shop.sandbox.ok, "POST", "/sandbox/deliveries/send")
    chosen = load(PayPalSettings).model_copy(update={"paypal_webhook_ids": (hook,)})
    adapter = PayPal(shop.known["paypal"]._client._session, chosen)
    doubled = [Delivered("paypal", one, await adapter.hint(one)) for one in receiver.taken] * 2
    random.Random(7).shuffle(doubled)
    for one in doubled:
        await shop.unit.command(keep_webhooks, one)
        await shop.collector.route()
        await look(shop)


async def test_a_question_at_paypal_takes_nothing_until_it_is_a_claim(shop: Shop) -> None:
    await paid(shop, "paypal", choice="approve")
    dispute = await claimed(shop, stage="INQUIRY")
    await time_passes(shop)
    assert await said(shop, PaymentDisputed) == []
    await paypal(shop, f"/v1/customer/disputes/{dispute}/escalate", note="no answer")
    await time_passes(shop)
    assert [one.provider_reference for one in await said(shop, PaymentDisputed)] == [dispute]
    await paypal(shop, f"/v1/customer/disputes/{dispute}/accept-claim", note="yes")
    await time_passes(shop)
    await time_passes(shop)
    assert [one.outcome for one in await said(shop, PaymentDisputeClosed)] == ["lost"]


async def test_a_claim_at_paypal_whose_webhook_was_lost_is_found(shop: Shop) -> None:
    await paid(shop, "paypal", choice="approve")
    first = await claimed(shop, amount=100)
    second = await claimed(shop, amount=200)
    assert await seek_disputes(shop.unit.worker, shop.known) >= 1
    await look(shop)
    assert {one.provider_reference for one in await said(shop, PaymentDisputed)} == {first, second}
    assert await given_back(shop) == 300
