"""Stripe: the promises of every adapter, and what is Stripe's own."""

from typing import Any
from urllib.parse import parse_qsl

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from stripe import params
from stripe.params import checkout

from provider_orchestrator.domain.adapters import Answer, Kind, Status, Webhook
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.exchange import Unsayable
from provider_orchestrator.providers.stripe import mapping
from provider_orchestrator.providers.stripe.adapter import Stripe
from provider_orchestrator.providers.stripe.client import VERSION
from provider_orchestrator.providers.stripe.settings import StripeSettings

from .conformance import Conformance
from .stage import Stage, named


class StripeStage(Stage):
    provider, rail, method = "stripe", "card", "card"
    collects, captures = "checkout.sessions.create", "payment_intents.capture"
    refunds = "refunds.create"
    key_lives_s = 86_400
    old_after_s = 301

    def make(self, **settings: Any) -> Stripe:
        chosen = {
            "environment": "test",
            "stripe_secret_key": "sk_test_1",
            "stripe_url": f"{self.wire.url}/stripe",
        }
        for name, value in settings.items():
            chosen[name if name in StripeSettings.model_fields else f"stripe_{name}"] = value
        return Stripe(self.session, StripeSettings(**chosen), self.sandbox.now)

    def wrong_credentials(self) -> dict[str, Any]:
        return {"secret_key": "nothing"}

    async def pay(self, answer: Answer, number: str = "4242 4242 4242 4242") -> None:
        assert answer.action is not None
        page = self.sandbox.http.post(
            str(answer.action.url), data={"choice": "pay", "number": number}
        )
        assert page.status_code in (200, 303)

    async def subscribe(self, url: str) -> dict[str, Any]:
        made = self.sandbox.ok(
            "POST",
            "/stripe/v1/webhook_endpoints",
            data={"url": url, "enabled_events[]": "*"},
            headers={"Authorization": "Bearer sk_test_1"},
        )
        return {"webhook_secrets": f"whsec_old,{made['secret']}"}

    def distort_status(self, document: dict[str, Any]) -> None:
        (document.get("payment_intent") or document)["status"] = "galactic"
        if document["object"] == "checkout.session":
            document["status"] = "galactic"

    def distort_amount(self, document: dict[str, Any]) -> None:
        (document.get("payment_intent") or document)["amount_received"] = 123.45

    def forged(self, webhook: Webhook) -> list[Webhook]:
        header = webhook.headers["stripe-signature"]
        moment, _, digest = header.partition(",v1=")
        headers = (
            f"{moment},v1={'0' * 64}",
            f"{moment},v0={digest}",
            f"t=1,v1={digest}",
            f"v1={digest}",
            f"{moment},t=1,v1={digest}",
            "",
        )
        return [Webhook(webhook.body, {"stripe-signature": one}) for one in headers]


class TestStripe(Conformance):
    @pytest.fixture
    def stage(self, sandbox, wire, session) -> Stage:
        return StripeStage(sandbox, wire, session)


def test_the_version_of_the_api_is_one_that_stripes_own_library_knows() -> None:
    assert stripe.api_version == VERSION


class TestStripeAlone:
    """What is Stripe's own."""

    @pytest.fixture
    def stage(self, sandbox, wire, session) -> StripeStage:
        return StripeStage(sandbox, wire, session)

    async def test_a_saved_card_is_charged_without_a_page(self, stage) -> None:
        order = stage.order(instrument="pm_card_visa")
        done = await stage.adapter.send(order)
        assert (done.outcome, done.status) == (Outcome.OK, Status.SUCCEEDED)
        assert (done.amount_minor, done.fee_minor) == (12_345, 388)
        assert done.available_at is not None
        again = await stage.adapter.send(order)
        assert again.provider_reference == done.provider_reference
        assert "client_secret" not in str(done.raw)
        assert "4242" not in str(done.raw)

    @pytest.mark.parametrize(
        ("card", "cause", "soft"),
        [
            ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds", False),
            ("pm_card_visa_chargeDeclinedStolenCard", "stolen_card", False),
            ("pm_card_chargeDeclinedProcessingError", "processing_error", True),
        ],
    )
    async def test_a_decline_is_an_answer_and_says_why(self, stage, card, cause, soft) -> None:
        order = stage.order(instrument=card)
        answer = await stage.adapter.send(order)
        assert (answer.outcome, answer.status) == (Outcome.DECLINED, Status.FAILED)
        assert (answer.cause, answer.retryable_elsewhere) == (cause, soft)
        found = await stage.adapter.find(named(order, answer))
        assert (found.outcome, found.status) == (Outcome.OK, Status.FAILED)

    async def test_a_bank_that_asks_the_payer_is_a_redirect(self, stage) -> None:
        answer = await stage.adapter.send(stage.order(instrument="pm_card_threeDSecure2Required"))
        assert answer.status is Status.REQUIRES_ACTION
        assert answer.action is not None
        assert answer.action.url

    async def test_what_is_reserved_is_captured_in_part_once(self, stage) -> None:
        held = await stage.adapter.send(stage.order(instrument="pm_card_visa", manual_capture=True))
        assert (held.status, held.authorized_minor) == (Status.AUTHORIZED, 12_345)
        parent = held.provider_reference
        part = stage.order(Kind.CAPTURE, amount_minor=10_000, parent_reference=parent)
        assert (await stage.adapter.find(part)).status is Status.NOT_FOUND
        stage.sandbox.faults("stripe", "payment_intents.capture", error_after=1)
        assert (await stage.adapter.send(part)).outcome is Outcome.UNKNOWN
        stage.sandbox.no_faults()
        # Its key repeats the error for a day: only asking tells.
        assert (await stage.adapter.send(part)).outcome is Outcome.UNKNOWN
        found = await stage.adapter.find(part)
        assert (found.status, found.amount_minor) == (Status.SUCCEEDED, 10_000)
        other = await stage.adapter.send(
            stage.order(Kind.CAPTURE, amount_minor=1, parent_reference=parent)
        )
        assert (other.outcome, other.cause) == (Outcome.DECLINED, "captured_by_another")

    async def test_giving_up_closes_the_page_or_lets_go_of_what_is_reserved(self, stage) -> None:
        held = await stage.adapter.send(stage.order(instrument="pm_card_visa", manual_capture=True))
        opened = await stage.adapter.send(stage.order())
        for begun in (held, opened):
            void = stage.order(Kind.VOID, parent_reference=begun.provider_reference)
            assert (await stage.adapter.find(void)).status is Status.NOT_FOUND
            for _ in range(2):
                assert (await stage.adapter.send(void)).status is Status.CANCELED
            assert (await stage.adapter.find(void)).cannot_happen

    async def test_a_search_lags_and_absence_is_proof_only_when_nothing_can_come(
        self, stage
    ) -> None:
        order = stage.order(instrument="pm_card_visa")
        await stage.adapter.send(order)
        early = await stage.adapter.find(order)
        assert (early.status, early.cannot_happen) == (Status.NOT_FOUND, False)
        stage.sandbox.advance(60)
        assert (await stage.adapter.find(order)).status is Status.SUCCEEDED
        never = stage.order(instrument="pm_card_visa")
        stage.sandbox.advance(50 * 3600)
        assert (await stage.adapter.find(never)).cannot_happen

    async def test_a_dispute_is_told_with_the_payment(self, stage) -> None:
        order = stage.order(instrument="pm_card_createDispute")
        done = await stage.adapter.send(order)
        found = await stage.adapter.find(named(order, done))
        [dispute] = found.raw["disputes"]
        assert (dispute["status"], dispute["amount"]) == ("needs_response", 12_345)

    async def test_a_currency_without_decimals_is_counted_as_it_is(self, stage) -> None:
        order = stage.order(instrument="pm_card_visa", asset="JPY", amount_minor=5_000)
        done = await stage.adapter.send(order)
        assert (done.amount_minor, done.asset) == (5_000, "JPY")
        body = stage.sent()[-1].body.decode()
        assert "amount=5000" in body

    async def test_what_it_sends_is_what_stripes_own_library_knows(self, stage) -> None:
        await stage.adapter.send(stage.order())
        held = await stage.adapter.send(stage.order(instrument="pm_card_visa", manual_capture=True))
        for kind in (Kind.CAPTURE, Kind.REFUND):
            more = {"amount_minor": 100, "parent_reference": held.provider_reference}
            assert (await stage.adapter.send(stage.order(kind, **more))).status
        described = {
            "/v1/checkout/sessions": checkout.SessionCreateParams,
            "/v1/payment_intents": params.PaymentIntentCreateParams,
            "capture": params.PaymentIntentCaptureParams,
            "/v1/refunds": params.RefundCreateParams,
        }
        seen = set()
        for one in stage.sent():
            path = one.path.removeprefix("/stripe")
            known = described.get(path) or described[path.rpartition("/")[2]]
            names = {pair[0].partition("[")[0] for pair in parse_qsl(one.body.decode())}
            assert names <= set(known.__annotations__), path
            seen.add(known)
        assert seen == set(described.values())


@given(st.integers(0, 10**11), st.sampled_from(["USD", "JPY", "HUF", "MGA", "ISK", "BHD"]))
def test_an_amount_that_stripe_can_say_comes_back_the_same(minor: int, code: str) -> None:
    try:
        told = mapping.amount_of(minor, code)
    except Unsayable:
        assert code in ("MGA", "BHD")
        return
    assert mapping.minor_of(told, code.lower()) == (minor, code)
