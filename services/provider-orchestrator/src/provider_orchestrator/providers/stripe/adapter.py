"""Stripe: what is asked of it, and how its answers belong together.

A payment on Stripe's own page is named by its session (`cs_`): the intent behind it may come into
being only when the payer acts. One with a saved card is named by its intent (`pi_`).
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

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
from provider_orchestrator.providers.exchange import (
    Reply,
    Senseless,
    Unsayable,
    asked,
    sent,
    utc_now,
)
from provider_orchestrator.providers.stripe import answers, mapping, settling
from provider_orchestrator.providers.stripe.capabilities import PROVIDER
from provider_orchestrator.providers.stripe.client import StripeClient, items, verify
from provider_orchestrator.providers.stripe.mapping import kept, object_in, text_in
from provider_orchestrator.providers.stripe.settings import StripeSettings
from provider_orchestrator.providers.stripe.settings import settings as stripe_settings

KEY_LIVES = timedelta(hours=23)
"""Stripe forgets a key after 24 hours; the rest is for clocks and for the way."""
NOTHING_COMES_AFTER = timedelta(hours=49)
"""The last page can be made when the key is about to end, and is open for a day."""
_INTENTS, _SESSIONS, _REFUNDS = "/v1/payment_intents", "/v1/checkout/sessions", "/v1/refunds"
_WITH_FEE = ["latest_charge.balance_transaction"]
_BEHIND_PAGE = ["payment_intent.latest_charge.balance_transaction"]
_NOT_REFUNDABLE = frozenset({"charge_already_refunded", "charge_disputed", "charge_not_refundable"})


def adapter(session: aiohttp.ClientSession) -> Adapter | None:
    """Stripe, where it is configured."""
    chosen = stripe_settings()
    return Stripe(session, chosen) if chosen.configured else None


class Stripe:
    """Payments by card, and what follows them."""

    name = PROVIDER

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: StripeSettings,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Nothing is sent yet."""
        self._client = StripeClient(session, settings)
        self._secrets = settings.stripe_webhook_secrets.get_secret_value()
        self._now = now

    def prepare(self, orders: Sequence[Order], now: datetime) -> Sequence[bytes | None]:
        """Stripe wants nothing beforehand."""
        del now
        return [None] * len(orders)

    async def send(self, order: Order) -> Answer:
        """Carry out an order, or repeat it under its key."""
        if self._now() - order.created_at >= KEY_LIVES:
            return Answer(Outcome.UNKNOWN, cause="key_expired")
        doing = {
            Kind.COLLECT: self._charge if order.instrument else self._open_page,
            Kind.CAPTURE: self._capture,
            Kind.VOID: self._void,
            Kind.REFUND: self._refund,
        }.get(order.kind)
        if doing is None:
            return Answer(Outcome.OUR_FAULT, cause="not_supported")
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
        }.get(order.kind)
        if looking is None:
            return Answer(Outcome.OUR_FAULT, cause="not_supported")
        try:
            return asked(await looking(order))
        except Senseless:
            return Answer(Outcome.UNKNOWN, cause="unreadable")

    async def probe(self, rail: str) -> Answer:
        """Ask for the balance."""
        del rail
        return asked((await self._client.get("/v1/balance")).answer())

    async def hint(self, webhook: Webhook) -> Hint:
        """What a webhook points at, once its signature fits."""
        verify(webhook, [one for one in self._secrets.split(",") if one], self._now())
        try:
            event = json.loads(webhook.body)
            at = mapping.moment(event.get("created"))
        except (ValueError, AttributeError, RecursionError) as error:
            raise NotAuthentic("this is no event") from error
        event_id, kind = text_in(event, "id"), text_in(event, "type")
        if event_id is None or kind is None:
            raise NotAuthentic("an event has an id and a type")
        return Hint(event_id, kind, mapping.references_of(event), at)

    async def holdings(self) -> Sequence[Holding]:
        """Its balance, by currency."""
        reply = await self._client.get("/v1/balance")
        if not reply.ok:
            raise reply.fault()
        found: dict[str, dict[str, int]] = {}
        try:
            for name in ("available", "pending"):
                for part in reply.body.get(name, []):
                    minor, code = mapping.minor_of(part.get("amount"), part.get("currency"))
                    held = found.setdefault(code, {"available": 0, "pending": 0})
                    held[name] += minor
        except (Senseless, AttributeError, TypeError) as error:
            raise ProviderFault(Outcome.UNKNOWN, "unreadable") from error
        return [
            Holding(code, held["available"], held["pending"], self._now())
            for code, held in sorted(found.items())
        ]

    async def statement(self, since: datetime, until: datetime) -> AsyncIterator[StatementLine]:
        """Balance transactions with what they are of; Stripe lists the newest first."""
        window = {"gte": _second(since), "lt": _second(until)}
        found: list[StatementLine] = []
        pages = self._client.pages(
            "/v1/balance_transactions", created=window, expand=["data.source"]
        )
        async for page in pages:
            if not page.ok:
                raise page.fault()
            try:
                found += [mapping.line_of(one) for one in items(page)]
            except Senseless as error:
                raise ProviderFault(Outcome.UNKNOWN, "unreadable") from error
        for line in reversed(found):
            yield line

    async def settlement(self, order: Order, disputes: Sequence[str]) -> Settlement:
        """What Stripe kept of a payment, when it lets go of the rest, and who disputes it."""
        return await settling.settlement(self._client, order, disputes)

    async def disputed_since(self, since: datetime) -> Sequence[tuple[str, str]]:
        """Disputes opened since then, with their payments."""
        return await settling.disputed_since(self._client, since)

    async def payouts_since(self, since: datetime) -> Sequence[PayoutSaid]:
        """Payouts to our bank."""
        return await settling.payouts_since(self._client, since)

    # --- Doing -------------------------------------------------------------------------------

    async def _charge(self, order: Order) -> Answer:
        """With a card that the payer left there."""
        reply = await self._client.post(
            _INTENTS,
            str(order.key),
            amount=mapping.amount_of(order.amount_minor, order.asset),
            currency=order.asset.lower(),
            capture_method="manual" if order.manual_capture else "automatic",
            confirm=True,
            payment_method=order.instrument,
            allowed_payment_method_types=["card"],
            description=order.description or None,
            return_url=order.return_url,
            metadata=mapping.metadata_of(order),
            expand=_WITH_FEE,
        )
        return answers.of_charge(reply)

    async def _open_page(self, order: Order) -> Answer:
        """On Stripe's page: nobody else sees the card."""
        if not order.return_url:
            return Answer(Outcome.OUR_FAULT, cause="return_url_missing")
        price = {
            "currency": order.asset.lower(),
            "unit_amount": mapping.amount_of(order.amount_minor, order.asset),
            "product_data": {"name": order.description or "Invoice"},
        }
        metadata = mapping.metadata_of(order)
        reply = await self._client.post(
            _SESSIONS,
            str(order.key),
            mode="payment",
            allowed_payment_method_types=["card"],
            line_items=[{"quantity": 1, "price_data": price}],
            success_url=order.return_url,
            cancel_url=order.return_url,
            client_reference_id=order.id,
            metadata=metadata,
            payment_intent_data={
                "capture_method": "manual" if order.manual_capture else "automatic",
                "description": order.description or None,
                "metadata": metadata,
            },
            expand=_BEHIND_PAGE,
        )
        return answers.of_session(reply.body, reply) if reply.ok else reply.answer()

    async def _capture(self, order: Order) -> Answer:
        intent, reply = await self._intent_of(order)
        if intent is None:
            return reply.answer() if not reply.ok else answers.nothing_to_take(reply)
        reply = await self._client.post(
            f"{_INTENTS}/{_quoted(intent)}/capture",
            str(order.key),
            amount_to_capture=mapping.amount_of(order.amount_minor, order.asset),
            metadata={"capture": str(order.id)},
            expand=_WITH_FEE,
        )
        told = answers.told_of(reply)
        return reply.answer() if told is None else answers.of_capture(told, reply, order)

    async def _void(self, order: Order) -> Answer:
        """Close the page, so that no intent comes to be, then cancel the intent there is."""
        reference = order.parent_reference or ""
        if reference.startswith("cs_"):
            path = f"{_SESSIONS}/{_quoted(reference)}"
            closed = await self._client.post(f"{path}/expire", str(order.key))
            if not closed.ok and closed.outcome is not Outcome.OUR_FAULT:
                return closed.answer()
        intent, reply = await self._intent_of(order)
        if intent is None:
            return answers.of_session(reply.body, reply) if reply.ok else reply.answer()
        cancel = f"{_INTENTS}/{_quoted(intent)}/cancel"
        # One key for one request: the page was closed under the order's own.
        reply = await self._client.post(cancel, f"{order.key}-cancel", expand=_WITH_FEE)
        told = answers.told_of(reply)
        return reply.answer() if told is None else answers.of_intent(told, reply)

    async def _refund(self, order: Order) -> Answer:
        intent, reply = await self._intent_of(order)
        if intent is None:
            return reply.answer() if not reply.ok else answers.nothing_to_take(reply)
        reply = await self._client.post(
            _REFUNDS,
            str(order.key),
            payment_intent=intent,
            amount=mapping.amount_of(order.amount_minor, order.asset),
            metadata=mapping.metadata_of(order),
        )
        if reply.cause in _NOT_REFUNDABLE and reply.outcome is Outcome.OUR_FAULT:
            return reply.answer(Outcome.DECLINED, status=Status.FAILED)
        return answers.of_refund(reply.body, reply) if reply.ok else reply.answer()

    async def _intent_of(self, order: Order) -> tuple[str | None, Reply]:
        """The intent of what was paid, and the session where it had to be asked for."""
        reference = order.parent_reference or ""
        if not reference.startswith("cs_"):
            return reference or None, Reply(Outcome.OK)
        reply = await self._client.get(f"{_SESSIONS}/{_quoted(reference)}", expand=_BEHIND_PAGE)
        return (text_in(reply.body, "payment_intent") if reply.ok else None), reply

    # --- Looking -----------------------------------------------------------------------------

    async def _find_payment(self, order: Order) -> Answer:
        reference = order.provider_reference
        if reference is None:
            return await self._find_by_ours(order)
        if reference.startswith("cs_"):
            reply = await self._client.get(f"{_SESSIONS}/{_quoted(reference)}", expand=_BEHIND_PAGE)
            found = answers.of_session(reply.body, reply) if reply.ok else answers.not_there(reply)
        else:
            reply = await self._client.get(f"{_INTENTS}/{_quoted(reference)}", expand=_WITH_FEE)
            found = answers.of_intent(reply.body, reply) if reply.ok else answers.not_there(reply)
        return await self._with_disputes(found, reply.body)

    async def _find_by_ours(self, order: Order) -> Answer:
        """By our reference. A search lags, so a page is looked for among the new ones."""
        if not order.instrument:
            window = {
                "gte": _second(order.created_at) - 300,
                "lt": _second(order.created_at + KEY_LIVES) + 300,
            }
            async for page in self._client.pages(_SESSIONS, created=window, expand=[]):
                if not page.ok:
                    return page.answer()
                for one in items(page):
                    if text_in(one, "client_reference_id") == str(order.id):
                        return await self._find_payment(
                            replace(order, provider_reference=text_in(one, "id"))
                        )
        query = f"metadata['reference']:'{order.id}'"
        reply = await self._client.get(f"{_INTENTS}/search", query=query, limit=10)
        if not reply.ok:
            return reply.answer()
        for one in items(reply):
            if text_in(one, "id"):
                return await self._find_payment(
                    replace(order, provider_reference=text_in(one, "id"))
                )
        return self._absent(order, reply)

    async def _find_capture(self, order: Order) -> Answer:
        return await self._find_with(
            order, lambda intent, reply: answers.of_capture(intent, reply, order)
        )

    async def _find_void(self, order: Order) -> Answer:
        return await self._find_with(order, answers.of_void)

    async def _find_with(
        self, order: Order, read: Callable[[Mapping[str, Any], Reply], Answer]
    ) -> Answer:
        """What became of a payment's intent, as `read` sees it."""
        intent, reply = await self._intent_of(order)
        if intent is None:
            if not reply.ok:
                return answers.not_there(reply)
            session = answers.of_session(reply.body, reply)
            gone = session.status is Status.CANCELED
            return session if gone else replace(session, status=Status.NOT_FOUND, action=None)
        reply = await self._client.get(f"{_INTENTS}/{_quoted(intent)}", expand=_WITH_FEE)
        return read(reply.body, reply) if reply.ok else answers.not_there(reply)

    async def _find_refund(self, order: Order) -> Answer:
        if order.provider_reference:
            path = f"{_REFUNDS}/{_quoted(order.provider_reference)}"
            reply = await self._client.get(path)
            return answers.of_refund(reply.body, reply) if reply.ok else answers.not_there(reply)
        intent, reply = await self._intent_of(order)
        if intent is None:
            return reply.answer() if not reply.ok else self._absent(order, reply)
        async for reply in self._client.pages(_REFUNDS, payment_intent=intent):
            if not reply.ok:
                return reply.answer()
            for one in items(reply):
                if text_in(object_in(one, "metadata"), "reference") == str(order.id):
                    return answers.of_refund(one, reply)
        return self._absent(order, reply)

    def _absent(self, order: Order, reply: Reply) -> Answer:
        """Not there: for good, once no request of ours can still be on its way."""
        over = self._now() - order.created_at > NOTHING_COMES_AFTER
        return reply.answer(status=Status.NOT_FOUND, cannot_happen=over)

    async def _with_disputes(self, found: Answer, body: Mapping[str, Any]) -> Answer:
        """A payment that its owner disputes is told with its disputes."""
        intent = object_in(body, "payment_intent") or body
        if object_in(intent, "latest_charge").get("disputed") is not True:
            return found
        reply = await self._client.get(
            "/v1/disputes", payment_intent=text_in(intent, "id"), limit=100
        )
        if not reply.ok:
            return reply.answer()
        return replace(found, raw={**found.raw, "disputes": [kept(one) for one in items(reply)]})


def _second(at: datetime) -> int:
    return int(at.timestamp())


def _quoted(reference: str) -> str:
    return quote(reference, safe="")
