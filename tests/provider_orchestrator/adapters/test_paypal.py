"""PayPal: the promises of every adapter, and what is PayPal's own."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from provider_orchestrator.domain.adapters import Answer, Kind, LineKind, Status, Webhook
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.paypal.adapter import PayPal
from provider_orchestrator.providers.paypal.settings import PayPalSettings

from .conformance import Conformance
from .stage import Stage, finish, named

DAY = 86_400


class PayPalStage(Stage):
    provider, rail, method = "paypal", "wallet", "paypal"
    collects, refunds = "orders.create", "captures.refund"
    key_lives_s = 6 * 3600
    old_after_s = 4 * DAY + 1

    def make(self, **settings: Any) -> PayPal:
        chosen: dict[str, Any] = {
            "environment": "test",
            "paypal_client_id": "sandbox-client",
            "paypal_client_secret": "sandbox-secret",
            "paypal_url": f"{self.wire.url}/paypal",
            "paypal_certificate_hosts": (urlsplit(self.sandbox.url).netloc,),
        }
        for name, value in settings.items():
            chosen[name if name in PayPalSettings.model_fields else f"paypal_{name}"] = value
        return PayPal(self.session, PayPalSettings(**chosen), self.sandbox.now)

    def wrong_credentials(self) -> dict[str, Any]:
        return {"client_secret": "nothing"}

    async def pay(self, answer: Answer, choice: str = "approve") -> None:
        assert answer.action is not None
        page = self.sandbox.http.post(str(answer.action.url), data={"choice": choice})
        assert page.status_code in (200, 303)

    async def subscribe(self, url: str) -> dict[str, Any]:
        token = self.sandbox.ok(
            "POST",
            "/paypal/v1/oauth2/token",
            auth=("sandbox-client", "sandbox-secret"),
            data={"grant_type": "client_credentials"},
        )["access_token"]
        made = self.sandbox.ok(
            "POST",
            "/paypal/v1/notifications/webhooks",
            json={"url": url, "event_types": [{"name": "*"}]},
            headers={"Authorization": f"Bearer {token}"},
        )
        return {"webhook_ids": ("SOMEBODYELSES", made["id"])}

    def distort_status(self, document: dict[str, Any]) -> None:
        for unit in document.get("purchase_units", ()):
            for capture in unit["payments"]["captures"]:
                capture["status"] = "GALACTIC"

    def distort_amount(self, document: dict[str, Any]) -> None:
        for unit in document.get("purchase_units", ()):
            for capture in unit["payments"]["captures"]:
                capture["amount"]["value"] = 123.45

    def forged(self, webhook: Webhook) -> list[Webhook]:
        host = urlsplit(self.sandbox.url).netloc
        changes = (
            {"paypal-transmission-id": "another"},
            {"paypal-transmission-sig": "AAAA"},
            {"paypal-transmission-sig": "no base64"},
            {"paypal-transmission-time": "2029-12-31T23:59:59Z"},
            {"paypal-auth-algo": "none"},
            {"paypal-cert-url": "http://elsewhere.test/cert.pem"},
            {"paypal-cert-url": f"http://{host}@elsewhere.test/cert.pem"},
            {"paypal-cert-url": f"http://{host}/paypal/v1/notifications/certs/CERT-none"},
            {"paypal-cert-url": f"http://{host}/sandbox"},
        )
        return [replace(webhook, headers={**webhook.headers, **one}) for one in changes]


class TestPayPal(Conformance):
    @pytest.fixture
    def stage(self, sandbox, wire, session) -> Stage:
        return PayPalStage(sandbox, wire, session)

    async def test_what_is_reserved_is_captured_in_part_and_the_rest_let_go(self, stage) -> None:
        order, held = await self.paid(stage, manual_capture=True)
        assert (held.status, held.authorized_minor) == (Status.AUTHORIZED, 12_345)
        part = stage.order(
            Kind.CAPTURE, amount_minor=10_000, parent_reference=held.provider_reference
        )
        assert (await stage.adapter.find(part)).status is Status.NOT_FOUND
        taken = await stage.adapter.send(part)
        assert (taken.status, taken.amount_minor) == (Status.SUCCEEDED, 10_000)
        again = await stage.adapter.send(part)
        assert again.provider_reference == taken.provider_reference
        assert (await stage.adapter.find(part)).amount_minor == 10_000
        other = replace(part, id=stage.order().id, key=stage.order().key)
        refused = await stage.adapter.send(other)
        assert (refused.outcome, refused.status) == (Outcome.DECLINED, Status.FAILED)
        whole = await stage.adapter.find(order)
        assert (whole.status, whole.amount_minor) == (Status.SUCCEEDED, 10_000)

    async def test_giving_up_lets_go_of_what_is_reserved(self, stage) -> None:
        _, held = await self.paid(stage, manual_capture=True)
        void = stage.order(Kind.VOID, parent_reference=held.provider_reference)
        assert (await stage.adapter.send(void)).status is Status.CANCELED
        assert (await stage.adapter.send(void)).status is Status.CANCELED
        assert (await stage.adapter.find(void)).status is Status.CANCELED

    async def test_an_approved_order_is_given_up_once_no_capture_can_be_on_its_way(
        self, stage
    ) -> None:
        order = stage.order()
        begun = await stage.adapter.send(order)
        await stage.pay(begun)
        void = stage.order(Kind.VOID, parent_reference=begun.provider_reference)
        assert (await stage.adapter.send(void)).status is Status.PROCESSING
        stage.sandbox.advance(900)
        gone = await stage.adapter.find(void)
        assert (gone.status, gone.cannot_happen) == (Status.CANCELED, True)
        assert self.captured(stage, order, begun) == 0

    async def test_a_bank_that_says_no_is_a_decline(self, stage) -> None:
        order = stage.order()
        begun = await stage.adapter.send(order)
        await stage.pay(begun, "decline")
        answer = await finish(stage, named(order, begun))
        assert (answer.outcome, answer.status) == (Outcome.DECLINED, Status.FAILED)
        assert (answer.cause, answer.retryable_elsewhere) == ("instrument_declined", True)

    async def test_a_capture_whose_answer_was_lost_happened_once(self, stage) -> None:
        order = stage.order()
        begun = await stage.adapter.send(order)
        await stage.pay(begun)
        stage.sandbox.faults("paypal", "orders.capture", response_lost=1)
        lost = await finish(stage, named(order, begun))
        assert (lost.outcome, lost.status) == (Outcome.UNKNOWN, None)
        stage.sandbox.no_faults()
        found = await stage.adapter.find(named(order, begun))
        assert (found.status, found.amount_minor) == (Status.SUCCEEDED, 12_345)
        assert self.captured(stage, order, begun) == 12_345

    async def test_a_token_that_ended_is_renewed(self, stage) -> None:
        assert (await stage.adapter.probe("wallet")).outcome is Outcome.OK
        stage.sandbox.advance(40_000)
        assert (await stage.adapter.probe("wallet")).outcome is Outcome.OK

    @pytest.mark.parametrize(
        ("receiver", "status"),
        [
            ("ada@example.test", Status.SUCCEEDED),
            ("fail@example.test", Status.FAILED),
            ("unclaimed@example.test", Status.PROCESSING),
        ],
    )
    async def test_a_payout_ends_as_the_receiver_lets_it(self, stage, receiver, status) -> None:
        order = stage.order(Kind.PAYOUT, amount_minor=5_000, destination={"email": receiver})
        since = stage.sandbox.now()
        begun = await stage.adapter.send(order)
        assert begun.status is Status.PROCESSING
        again = await stage.adapter.send(order)
        assert again.provider_reference == begun.provider_reference
        stage.sandbox.advance(10)
        done = await stage.adapter.find(named(order, begun))
        assert done.status is status
        paid = status is Status.SUCCEEDED
        assert done.amount_minor == (5_000 if paid else None)
        until = stage.sandbox.now() + timedelta(seconds=1)
        kinds = {one.kind async for one in stage.adapter.statement(since, until)}
        assert (LineKind.PAYOUT in kinds) is (status is not Status.FAILED)

    async def test_a_payout_whose_key_was_used_for_another_is_unknown(self, stage) -> None:
        order = stage.order(Kind.PAYOUT, destination={"email": "ada@example.test"})
        await stage.adapter.send(order)
        changed = await stage.adapter.send(replace(order, amount_minor=1))
        assert (changed.outcome, changed.cause) == (Outcome.UNKNOWN, "key_reused")
