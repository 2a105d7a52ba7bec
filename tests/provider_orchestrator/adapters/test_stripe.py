"""Stripe: the promises of every adapter, and what is Stripe's own."""

from typing import Any

import pytest
import stripe

from provider_orchestrator.domain.adapters import Answer, Webhook
from provider_orchestrator.providers.stripe.adapter import Stripe
from provider_orchestrator.providers.stripe.client import VERSION
from provider_orchestrator.providers.stripe.settings import StripeSettings

from .conformance import Conformance
from .stage import Stage


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
