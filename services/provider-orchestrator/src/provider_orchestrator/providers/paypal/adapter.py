"""PayPal: what is asked of it, and how its answers belong together.

A payment is an order there; it takes money only when we say so after the payer agreed, so that the
second step guards itself: an order is captured once.
"""

import binascii
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from provider_orchestrator.domain.adapters import (
    Adapter,
    Answer,
    Hint,
    Holding,
    Kind,
    NotAuthentic,
    Order,
    ProviderFault,
    StatementLine,
    Status,
    Webhook,
)
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.provider_payouts import PayoutSaid
from provider_orchestrator.domain.settling import Settlement
from provider_orchestrator.providers.certificates import Certificates
from provider_orchestrator.providers.documents import moment, objects_in, text_in
from provider_orchestrator.providers.exchange import (
    Reply,
    Senseless,
    Unsayable,
    asked,
    sent,
    utc_now,
)
from provider_orchestrator.providers.paypal import answers, disputes, mapping, settling
from provider_orchestrator.providers.paypal.capabilities import PROVIDER
from provider_orchestrator.providers.paypal.client import PayPalClient, issues_of, quoted
from provider_orchestrator.providers.paypal.mapping import (
    minor_of,
    payments_of,
)
from provider_orchestrator.providers.paypal.settings import PayPalSettings
from provider_orchestrator.providers.paypal.settings import settings as paypal_settings

KEYS_LIVE = {
    Kind.COLLECT: timedelta(hours=5, minutes=30),
    Kind.CAPTURE: timedelta(days=44),
    Kind.REFUND: timedelta(days=44),
    Kind.PAYOUT: timedelta(days=29),
}
"""PayPal keeps them for 6 hours, 45 and 30 days; the rest is for clocks and for the way."""
IN_FLIGHT = timedelta(minutes=15)
"""Longer than any request of ours is on its way."""
SIGNATURES_LIVE = timedelta(days=4)
"""PayPal tries a delivery again for three days."""
_ORDERS, _PAYMENTS, _PAYOUTS = "/v2/checkout/orders", "/v2/payments", "/v1/payments/payouts"
_DESTINATIONS = {"email": "EMAIL", "phone": "PHONE", "paypal_id": "PAYPAL_ID"}


def adapter(session: aiohttp.ClientSession) -> Adapter | None:
    """PayPal, where it is configured."""
    chosen = paypal_settings()
    return PayPal(session, chosen) if chosen.configured else None


class PayPal:
    """Payments from PayPal's wallets, and what follows them."""

    name = PROVIDER

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: PayPalSettings,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Nothing is sent yet."""
        self._client = PayPalClient(session, settings)
        self._certificates = Certificates(
            session, settings.paypal_certificate_hosts, in_production=settings.in_production
        )
        self._webhooks = settings.paypal_webhook_ids
        self._now = now

    def prepare(self, orders: Sequence[Order], now: datetime) -> Sequence[bytes | None]:
        """PayPal wants nothing beforehand."""
        del now
        return [None] * len(orders)

    async def send(self, order: Order) -> Answer:
        """Carry out an order, or repeat it under its key; approved, it is gone on with."""
        doing = {
            Kind.COLLECT: self._take if order.provider_reference else self._create,
            Kind.CAPTURE: self._capture,
            Kind.VOID: self._void,
            Kind.REFUND: self._refund,
            Kind.PAYOUT: self._pay_out,
        }[order.kind]
        keyed = order.kind is not Kind.COLLECT or order.provider_reference is None
        lives = KEYS_LIVE.get(order.kind)
        if keyed and lives is not None and self._now() - order.created_at >= lives:
            return Answer(Outcome.UNKNOWN, cause="key_expired")
        try:
            return sent(await doing(order))
        except Senseless:
            return Answer(Outcome.UNKNOWN, cause="unreadable")
        except Unsayable:
            return Answer(Outcome.OUR_FAULT, cause="amount_not_representable")

    async def find(self, order: Order) -> Answer:
        """Where an order stands."""
        looking = {
            Kind.COLLECT: self._find_payment,
            Kind.CAPTURE: self._find_capture,
            Kind.VOID: self._find_void,
            Kind.REFUND: self._find_refund,
            Kind.PAYOUT: self._find_payout,
        }[order.kind]
        try:
            return asked(await looking(order))
        except Senseless:
            return Answer(Outcome.UNKNOWN, cause="unreadable")
        except ProviderFault as fault:
            return asked(Answer(fault.outcome, cause=fault.cause))

    async def probe(self, rail: str) -> Answer:
        """Ask for our webhooks."""
        del rail
        return asked((await self._client.get("/v1/notifications/webhooks")).answer())

    async def hint(self, webhook: Webhook) -> Hint:
        """What a webhook points at, once PayPal's certificate fits its signature."""
        await self._verify(webhook)
        try:
            event = json.loads(webhook.body)
            at = moment(event.get("create_time"))
        except (ValueError, AttributeError, RecursionError) as error:
            raise NotAuthentic("this is no event") from error
        event_id, kind = text_in(event, "id"), text_in(event, "event_type")
        if event_id is None or kind is None:
            raise NotAuthentic("an event has an id and a type")
        return Hint(event_id, kind, mapping.references_of(event), at)

    async def _verify(self, webhook: Webhook) -> None:
        names = ("id", "time", "sig")
        given = [webhook.headers.get(f"paypal-transmission-{name}", "") for name in names]
        transmission, time, encoded = given
        if webhook.headers.get("paypal-auth-algo") != "SHA256withRSA":
            raise NotAuthentic("the signature is of another kind")
        try:
            signature, at = b64decode(encoded, validate=True), moment(time)
        except ValueError as error:
            raise NotAuthentic("the signature cannot be read") from error
        if at is None or abs(self._now() - at) > SIGNATURES_LIVE:
            raise NotAuthentic("the signature is of another time")
        refusal = NotAuthentic("no webhook of ours")
        for ours in self._webhooks:
            signed = f"{transmission}|{time}|{ours}|{binascii.crc32(webhook.body)}".encode()
            url = webhook.headers.get("paypal-cert-url", "")
            try:
                return await self._certificates.check(url, signature, signed, self._now())
            except NotAuthentic as error:
                refusal = error
        raise refusal

    async def holdings(self) -> Sequence[Holding]:
        """Its balance, by currency."""
        reply = await self._client.get("/v1/reporting/balances")
        if not reply.ok:
            raise reply.fault()
        try:
            return [
                Holding(
                    minor_of(one.get("available_balance"))[1],
                    minor_of(one.get("available_balance"))[0],
                    minor_of(one["withheld_balance"])[0] if "withheld_balance" in one else 0,
                    self._now(),
                )
                for one in objects_in(reply.body, "balances")
            ]
        except Senseless as error:
            raise ProviderFault(Outcome.UNKNOWN, "unreadable") from error

    async def statement(self, since: datetime, until: datetime) -> AsyncIterator[StatementLine]:
        """Transactions, the oldest first."""
        async for line in settling.statement(self._client, since, until):
            yield line

    async def settlement(self, order: Order, known: Sequence[str]) -> Settlement:
        """What PayPal kept of a payment, and who disputes it; the rest is in our wallet at once."""
        return await settling.settlement(self._client, order, known)

    async def payouts_since(self, since: datetime) -> Sequence[PayoutSaid]:
        """Withdrawals to our bank."""
        return await settling.payouts_in(
            settling.statement(self._client, since, self._now() + timedelta(seconds=1))
        )

    async def disputed_since(self, since: datetime) -> Sequence[tuple[str, str]]:
        """Disputes opened since then, with their captures."""
        return await disputes.disputed_since(self._client, since)

    # --- Doing -------------------------------------------------------------------------------

    async def _create(self, order: Order) -> Answer:
        unit: dict[str, Any] = {
            "amount": mapping.money_of(order.amount_minor, order.asset),
            "custom_id": str(order.id),
            "invoice_id": str(order.id),
        }
        if order.description:
            unit["description"] = order.description[:127]
        context = {"user_action": "PAY_NOW", "shipping_preference": "NO_SHIPPING"}
        if order.return_url:
            context |= {"return_url": order.return_url, "cancel_url": order.return_url}
        body = {
            "intent": "AUTHORIZE" if order.manual_capture else "CAPTURE",
            "purchase_units": [unit],
            "payment_source": {"paypal": {"experience_context": context}},
        }
        reply = await self._client.post(_ORDERS, str(order.key), body)
        return answers.of_order(reply.body, reply) if reply.ok else answers.refused(reply)

    async def _take(self, order: Order) -> Answer:
        """Go on with an order: it does what it was made for, once."""
        path = f"{_ORDERS}/{quoted(order.provider_reference or '')}"
        verb = "authorize" if order.manual_capture else "capture"
        reply = await self._client.post(f"{path}/{verb}", f"{order.key}-{verb}", {})
        if reply.ok:
            return answers.of_order(reply.body, reply)
        told = answers.refused(reply)
        if told.outcome is not Outcome.OUR_FAULT:
            return told
        # Done before, or not approved: the order says which.
        reply = await self._client.get(path)
        return answers.of_order(reply.body, reply) if reply.ok else told

    async def _capture(self, order: Order) -> Answer:
        parent = await self._parent(order)
        held = payments_of(parent.body, "authorizations")
        if not parent.ok or not held:
            return parent.answer(Outcome.OUR_FAULT, "not_paid") if parent.ok else parent.answer()
        body = {
            "amount": mapping.money_of(order.amount_minor, order.asset),
            "invoice_id": str(order.id),
            "final_capture": True,
        }
        path = f"{_PAYMENTS}/authorizations/{quoted(text_in(held[0], 'id') or '')}/capture"
        reply = await self._client.post(path, str(order.key), body)
        if reply.ok:
            return answers.of_capture(reply.body, reply)
        over = {"AUTHORIZATION_ALREADY_CAPTURED", "AUTHORIZATION_VOIDED"} & {*issues_of(reply)}
        if over and reply.outcome is Outcome.OUR_FAULT:
            found = await self._find_capture(order)
            if found.status is not Status.NOT_FOUND:
                return found
            return reply.answer(Outcome.DECLINED, "captured_by_another", status=Status.FAILED)
        return answers.refused(reply)

    async def _void(self, order: Order) -> Answer:
        parent = await self._parent(order)
        held = payments_of(parent.body, "authorizations")
        if not parent.ok or not held or payments_of(parent.body, "captures"):
            return self._given_up(parent, order)
        path = f"{_PAYMENTS}/authorizations/{quoted(text_in(held[0], 'id') or '')}/void"
        reply = await self._client.post(path, str(order.key), {})
        if not reply.ok and reply.outcome is not Outcome.OUR_FAULT:
            return reply.answer()
        # As the order tells it: voided now or before, or captured before.
        return self._given_up(await self._parent(order), order)

    def _given_up(self, parent: Reply, order: Order) -> Answer:
        """An order that nobody takes is given up: only a call of ours takes the money."""
        if not parent.ok:
            return answers.not_there(parent)
        found = answers.of_order(parent.body, parent)
        taking = found.status is Status.APPROVED and self._now() - order.created_at < IN_FLIGHT
        if taking:
            return parent.answer(Outcome.OK, status=Status.PROCESSING)
        if found.status in (Status.APPROVED, Status.REQUIRES_ACTION):
            reference = found.provider_reference
            return parent.answer(
                Outcome.OK,
                "not_taken",
                status=Status.CANCELED,
                cannot_happen=True,
                provider_reference=reference,
            )
        return found

    async def _refund(self, order: Order) -> Answer:
        parent = await self._parent(order)
        captures = payments_of(parent.body, "captures")
        if not parent.ok or not captures:
            return parent.answer(Outcome.OUR_FAULT, "not_paid") if parent.ok else parent.answer()
        body = {
            "amount": mapping.money_of(order.amount_minor, order.asset),
            "custom_id": str(order.id),
            "invoice_id": str(order.id),
        }
        path = f"{_PAYMENTS}/captures/{quoted(text_in(captures[0], 'id') or '')}/refund"
        reply = await self._client.post(path, str(order.key), body)
        return answers.of_refund(reply.body, reply) if reply.ok else answers.refused(reply)

    async def _pay_out(self, order: Order) -> Answer:
        kind = next((name for name in _DESTINATIONS if order.destination.get(name)), None)
        if kind is None:
            return Answer(Outcome.OUR_FAULT, cause="destination_missing")
        money = mapping.money_of(order.amount_minor, order.asset)
        item = {
            "recipient_type": _DESTINATIONS[kind],
            "receiver": order.destination[kind],
            "sender_item_id": str(order.id),
            "note": order.description[:1000] or "Payout",
            "amount": {"currency": money["currency_code"], "value": money["value"]},
        }
        body = {"sender_batch_header": {"sender_batch_id": str(order.id)}, "items": [item]}
        reply = await self._client.post(_PAYOUTS, str(order.key), body)
        if reply.ok:
            return answers.of_payout(reply.body, reply, order)
        if "DUPLICATE_BATCH" in issues_of(reply):
            # Our own, from before: under another key it cannot be paid again.
            return reply.answer(Outcome.UNKNOWN, "key_reused")
        return answers.refused(reply)

    async def _parent(self, order: Order) -> Reply:
        return await self._client.get(f"{_ORDERS}/{quoted(order.parent_reference or '')}")

    # --- Looking -----------------------------------------------------------------------------

    async def _find_payment(self, order: Order) -> Answer:
        if order.provider_reference is None:
            # Nobody has its name, so nobody can approve or take it; a repetition may learn it.
            over = self._now() - order.created_at > KEYS_LIVE[Kind.COLLECT] + timedelta(hours=2)
            return Answer(Outcome.OK, status=Status.NOT_FOUND, cannot_happen=over)
        reply = await self._client.get(f"{_ORDERS}/{quoted(order.provider_reference)}")
        return answers.of_order(reply.body, reply) if reply.ok else answers.not_there(reply)

    async def _find_capture(self, order: Order) -> Answer:
        parent = await self._parent(order)
        if not parent.ok:
            return answers.not_there(parent)
        return answers.capture_in(parent.body, parent, order)

    async def _find_void(self, order: Order) -> Answer:
        found = self._given_up(await self._parent(order), order)
        over = found.status in (Status.CANCELED, Status.SUCCEEDED, Status.PROCESSING, None)
        return found if over else Answer(Outcome.OK, status=Status.NOT_FOUND)

    async def _find_refund(self, order: Order) -> Answer:
        reference = order.provider_reference or await self._refund_on_statement(order)
        if reference is None:
            return Answer(Outcome.OK, status=Status.NOT_FOUND)
        reply = await self._client.get(f"{_PAYMENTS}/refunds/{quoted(reference)}")
        return answers.of_refund(reply.body, reply) if reply.ok else answers.not_there(reply)

    async def _refund_on_statement(self, order: Order) -> str | None:
        """By our reference: what is new may not be there for three hours."""
        until = self._now() + timedelta(seconds=1)
        async for line in self.statement(order.created_at - timedelta(minutes=5), until):
            if line.our_reference == str(order.id):
                return line.provider_reference
        return None

    async def _find_payout(self, order: Order) -> Answer:
        if order.provider_reference is None:
            return Answer(Outcome.OK, status=Status.NOT_FOUND)
        reply = await self._client.get(f"{_PAYOUTS}/{quoted(order.provider_reference)}")
        return answers.of_payout(reply.body, reply, order) if reply.ok else answers.not_there(reply)
