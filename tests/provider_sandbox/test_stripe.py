"""Stripe as its own library sees it."""

import pytest
import stripe

from .conftest import Receiver, Sandbox

DAY = 86_400


def pay(client: stripe.StripeClient, **more):
    wanted = {
        "amount": 10_000,
        "currency": "usd",
        "payment_method": "pm_card_visa",
        "confirm": True,
        "metadata": {"reference": "INV-1"},
    }
    return client.v1.payment_intents.create(wanted | more)


def test_a_payment_lives_its_whole_life_in_stripes_own_library(sandbox: Sandbox) -> None:
    client = sandbox.stripe()
    intent = pay(client, capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 10_000)

    captured = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 6_000})
    assert (captured.status, captured.amount_received) == ("succeeded", 6_000)

    whole = client.v1.payment_intents.retrieve(
        intent.id, {"expand": ["latest_charge.balance_transaction"]}
    )
    booked = whole.latest_charge.balance_transaction
    assert (booked.amount, booked.fee, booked.net) == (6_000, 204, 5_796)
    assert booked.status == "pending"

    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 1_000})
    assert refund.status == "succeeded"

    sandbox.advance(3 * DAY)
    balance = client.v1.balance.retrieve()
    assert balance.available[0].amount == 4_796
    payout = client.v1.payouts.create({"amount": 4_000, "currency": "usd"})
    assert payout.status == "pending"
    sandbox.advance(3 * DAY)
    assert client.v1.payouts.retrieve(payout.id).status == "paid"
    kinds = [one.type for one in client.v1.balance_transactions.list().auto_paging_iter()]
    assert kinds == ["payout", "refund", "charge"]
    told = sandbox.truth("INV-1")["references"]["INV-1"]
    assert (told["captured_minor"], told["refunded_minor"]) == (6_000, 1_000)


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
    ],
)
def test_a_card_declines_as_documented(sandbox, method, code, decline_code) -> None:
    with pytest.raises(stripe.CardError) as raised:
        pay(sandbox.stripe(), payment_method=method)
    assert raised.value.code == code
    assert raised.value.error.decline_code == decline_code
    assert raised.value.error.payment_intent.status == "requires_payment_method"
    assert sandbox.truth()["facts"] == []


def test_a_webhook_is_verified_by_stripes_own_library(sandbox: Sandbox, receiver: Receiver) -> None:
    client = sandbox.stripe()
    endpoint = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    intent = pay(client)
    sandbox.ok("POST", "/sandbox/deliveries/send")
    types = []
    for headers, body in receiver.taken:
        signature = headers["stripe-signature"]
        verified = stripe.Webhook.construct_event(body, signature, endpoint.secret, tolerance=None)
        types.append(verified.type)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body + b" ", signature, endpoint.secret, tolerance=None)
    assert types == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    assert client.v1.events.list().data[0].data.object["id"] == intent.id
