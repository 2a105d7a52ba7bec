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


def test_a_refund_never_goes_above_what_was_captured(sandbox: Sandbox) -> None:
    client = sandbox.stripe()
    intent = pay(client)
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 6_000})
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 4_001})
    client.v1.refunds.create({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError) as raised:
        client.v1.refunds.create({"payment_intent": intent.id})
    assert raised.value.code == "charge_already_refunded"
    assert sandbox.truth()["references"]["INV-1"]["refunded_minor"] == 10_000


def test_a_refund_that_the_bank_sends_back_fails_later(sandbox: Sandbox) -> None:
    client = sandbox.stripe()
    intent = pay(client, payment_method="pm_card_refundFail")
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    sandbox.advance(3600)
    assert client.v1.refunds.retrieve(refund.id).status == "failed"
    told = sandbox.truth()["references"]["INV-1"]
    assert (told["refunded_minor"], told["returned_minor"]) == (10_000, 10_000)


def test_a_cancelled_or_forgotten_authorisation_moves_no_money(sandbox: Sandbox) -> None:
    client = sandbox.stripe()
    cancelled, forgotten = (pay(client, capture_method="manual") for _ in range(2))
    assert client.v1.payment_intents.cancel(cancelled.id).status == "canceled"
    sandbox.advance(7 * DAY)
    there = client.v1.payment_intents.retrieve(forgotten.id)
    assert (there.status, there.cancellation_reason) == ("canceled", "automatic")
    with pytest.raises(stripe.InvalidRequestError) as raised:
        client.v1.payment_intents.capture(forgotten.id)
    assert raised.value.code == "payment_intent_unexpected_state"
    assert sandbox.truth()["count"] == 0


@pytest.mark.parametrize(
    ("evidence", "status", "disputed"),
    [("winning_evidence", "won", 0), ("losing_evidence", "lost", 10_000), (None, "lost", 10_000)],
)
def test_a_dispute_takes_the_money_and_evidence_decides(
    sandbox, evidence, status, disputed
) -> None:
    client = sandbox.stripe()
    pay(client, payment_method="pm_card_createDispute")
    [dispute] = client.v1.disputes.list().data
    assert (dispute.status, dispute.amount) == ("needs_response", 10_000)
    if evidence:
        client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": evidence}})
    else:
        sandbox.advance(7 * DAY)
    assert client.v1.disputes.retrieve(dispute.id).status == status
    assert sandbox.truth()["references"]["INV-1"]["disputed_minor"] == disputed


def test_a_list_is_paged_and_a_search_by_metadata_lags(sandbox: Sandbox) -> None:
    client = sandbox.stripe()
    made = [pay(client, metadata={"reference": f"INV-{n}"}).id for n in range(5)]
    page = client.v1.payment_intents.list({"limit": 2})
    assert ([one.id for one in page.data], page.has_more) == (made[:2:-1], True)
    assert [one.id for one in page.auto_paging_iter()] == made[::-1]
    before = client.v1.payment_intents.list({"limit": 2, "ending_before": made[1]})
    assert [one.id for one in before.data] == [made[3], made[2]]
    query = {"query": "metadata['reference']:'INV-3' AND status:'succeeded'"}
    assert client.v1.payment_intents.search(query).data == []
    sandbox.advance(60)
    assert [one.id for one in client.v1.payment_intents.search(query).data] == [made[3]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": 49}, "amount_too_small"),
        ({"amount": "ten"}, "parameter_invalid_integer"),
        ({"colour": "blue"}, "parameter_unknown"),
        ({"currency": ""}, "parameter_missing"),
        ({"payment_method": "pm_none"}, "resource_missing"),
        ({"expand": "latest_charge"}, None),
    ],
)
def test_a_wrong_request_is_refused_in_stripes_words(sandbox, change, code) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        pay(sandbox.stripe(), **change)
    assert raised.value.code == code
    assert sandbox.truth()["count"] == 0


def test_a_key_that_is_no_test_key_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(stripe.AuthenticationError):
        sandbox.stripe("sk_live_1").v1.balance.retrieve()


def test_a_payout_above_the_balance_is_refused_and_one_that_fails_comes_back(sandbox) -> None:
    client = sandbox.stripe()
    pay(client, payment_method="pm_card_bypassPending")
    wanted = {"amount": 9_680, "currency": "usd"}
    with pytest.raises(stripe.InvalidRequestError) as raised:
        client.v1.payouts.create(wanted | {"amount": 9_681})
    assert raised.value.code == "balance_insufficient"
    sandbox.faults("stripe", payouts__create={"declined": 1})
    payout = client.v1.payouts.create(wanted)
    sandbox.advance(3 * DAY)
    assert client.v1.payouts.retrieve(payout.id).status == "failed"
    assert client.v1.balance.retrieve().available[0].amount == 9_680
