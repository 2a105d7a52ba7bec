"""Circle: what is asked of it, and how its answers belong together.

A payment is an intent there. Nobody is charged: the payer sends tokens to an address of Circle's,
so that money may come in part, too much, or after its time; what came is the truth.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from provider_orchestrator.domain.adapters import (
    Adapter,
    Answer,
    Hint,
    Holding,
    Kind,
    Order,
    ProviderFault,
    StatementLine,
    Status,
    Webhook,
)
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.certificates import Certificates
from provider_orchestrator.providers.circle import answers, mapping
from provider_orchestrator.providers.circle.capabilities import PROVIDER
from provider_orchestrator.providers.circle.client import CircleClient, data_of, quoted
from provider_orchestrator.providers.circle.settings import CircleSettings
from provider_orchestrator.providers.circle.settings import settings as circle_settings
from provider_orchestrator.providers.circle.webhooks import Notifications
from provider_orchestrator.providers.documents import object_in, objects_in
from provider_orchestrator.providers.exchange import (
    Reply,
    Senseless,
    Unsayable,
    asked,
    sent,
    utc_now,
)

KEYS_LIVE = timedelta(hours=23)
"""Circle does not say for how long it knows a key: less than the shortest that others keep them."""
INTENTS_LIVE = timedelta(hours=24)
"""Longer than an intent waits for a payer."""
SETTLES_WITHIN = timedelta(days=7)
"""Lists go by the day of creation; what moves money later than that is not looked for."""
_INTENTS, _PAYMENTS, _TRANSFERS = "/v1/paymentIntents", "/v1/payments", "/v1/transfers"
_BUSINESS = "/v1/businessAccount"
_ON_ITS_WAY = "payment_on_its_way"
Line = Callable[[Mapping[str, Any], mapping.Assets], StatementLine | None]
_STATED: Mapping[str, Line] = {
    _PAYMENTS: mapping.payment_line,
    _TRANSFERS: mapping.transfer_line,
    f"{_BUSINESS}/deposits": mapping.deposit_line,
    f"{_BUSINESS}/payouts": mapping.bank_line,
}


def adapter(session: aiohttp.ClientSession) -> Adapter | None:
    """Circle, where it is configured."""
    chosen = circle_settings()
    return Circle(session, chosen) if chosen.configured else None


class Circle:
    """Stablecoins of payers, and what follows them."""

    name = PROVIDER

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: CircleSettings,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Nothing is sent yet."""
        self._client = CircleClient(session, settings)
        self._assets = mapping.Assets(settings.circle_assets)
        self._wallet = settings.circle_wallet_id
        self._chain = settings.circle_chain
        self._now = now
        certificates = Certificates(
            session, settings.circle_certificate_hosts, in_production=settings.in_production
        )
        self._notifications = Notifications(settings, self._client, certificates, now)

    def prepare(self, orders: Sequence[Order], now: datetime) -> Sequence[bytes | None]:
        """Circle wants nothing beforehand."""
        del now
        return [None] * len(orders)

    async def send(self, order: Order) -> Answer:
        """Carry out an order, or repeat it under its key."""
        doing = {
            Kind.COLLECT: self._create,
            Kind.CAPTURE: _nothing_to_capture,
            Kind.VOID: self._expire,
            Kind.REFUND: self._refund,
            Kind.PAYOUT: self._transfer,
        }[order.kind]
        if order.kind is not Kind.VOID and self._now() - order.created_at >= KEYS_LIVE:
            return Answer(Outcome.UNKNOWN, cause="key_expired")
        try:
            return sent(await doing(order))
        except Senseless:
            return Answer(Outcome.UNKNOWN, cause="unreadable")
        except Unsayable:
            return Answer(Outcome.OUR_FAULT, cause="amount_not_representable")
        except ProviderFault as fault:
            return Answer(fault.outcome, cause=fault.cause)

    async def find(self, order: Order) -> Answer:
        """Where an order stands."""
        looking = {
            Kind.COLLECT: self._find_payment,
            Kind.CAPTURE: _nothing_to_capture,
            Kind.VOID: self._find_void,
            Kind.REFUND: self._find_refund,
            Kind.PAYOUT: self._find_transfer,
        }[order.kind]
        try:
            return asked(await looking(order))
        except Senseless:
            return Answer(Outcome.UNKNOWN, cause="unreadable")
        except ProviderFault as fault:
            return asked(Answer(fault.outcome, cause=fault.cause))

    async def probe(self, rail: str) -> Answer:
        """Ask for our balances."""
        del rail
        return asked((await self._client.get(f"{_BUSINESS}/balances")).answer())

    async def hint(self, webhook: Webhook) -> Hint:
        """What a notification points at, in either scheme."""
        return await self._notifications.hint(webhook)

    async def holdings(self) -> Sequence[Holding]:
        """Its balances, by currency."""
        reply = await self._client.get(f"{_BUSINESS}/balances")
        if not reply.ok:
            raise reply.fault()
        sums: dict[str, dict[str, int]] = {}
        try:
            for name in ("available", "unsettled"):
                for money in objects_in(object_in(reply.body, "data"), name):
                    minor, code = self._assets.minor(money)
                    found = sums.setdefault(code, {"available": 0, "unsettled": 0})
                    found[name] += minor
        except Senseless as error:
            raise ProviderFault(Outcome.UNKNOWN, "unreadable") from error
        at = self._now()
        return [Holding(code, one["available"], one["unsettled"], at) for code, one in sums.items()]

    async def statement(self, since: datetime, until: datetime) -> AsyncIterator[StatementLine]:
        """Movements, put together from the lists of what moves money; Circle has no one list."""
        found: list[StatementLine] = []
        for path, line_of in _STATED.items():
            async for document in self._listed(path, since - SETTLES_WITHIN, until):
                try:
                    line = line_of(document, self._assets)
                except Senseless as error:
                    raise ProviderFault(Outcome.UNKNOWN, "unreadable") from error
                if line is not None and since <= line.at < until:
                    found.append(line)
        for line in sorted(found, key=lambda one: (one.at, one.id)):
            yield line

    async def _listed(
        self, path: str, since: datetime, until: datetime
    ) -> AsyncIterator[Mapping[str, Any]]:
        span = {"from": _written(since), "to": _written(until)}
        async for reply in self._client.pages(path, **span):
            if not reply.ok or not isinstance(reply.body.get("data"), list):
                raise reply.fault()
            for document in objects_in(reply.body, "data"):
                yield document

    async def deposited_since(self, since: datetime) -> Mapping[str, int]:
        """What came to our addresses since then, by intent."""
        found = [one async for one in self._listed(_PAYMENTS, since, self._now())]
        try:
            return answers.deposits(found, self._assets)
        except Senseless as error:
            raise ProviderFault(Outcome.UNKNOWN, "unreadable") from error

    # --- Doing -------------------------------------------------------------------------------

    async def _create(self, order: Order) -> Answer:
        if order.manual_capture:
            return Answer(Outcome.OUR_FAULT, cause="nothing_to_authorize")
        money = self._assets.money(order.amount_minor, order.asset)
        body: dict[str, Any] = {
            "idempotencyKey": str(order.key),
            "amount": money,
            "settlementCurrency": money["currency"],
            "paymentMethods": [{"type": "blockchain", "chain": self._chain}],
        }
        if self._wallet:
            body["merchantWalletId"] = self._wallet
        reply = await self._client.post(_INTENTS, body)
        if not reply.ok:
            return reply.answer()
        return answers.of_intent(data_of(reply), reply, self._assets)

    async def _expire(self, order: Order) -> Answer:
        path = f"{_INTENTS}/{quoted(order.parent_reference or '')}"
        reply = await self._client.post(f"{path}/expire", {})
        if not reply.ok and reply.outcome is not Outcome.OUR_FAULT:
            return reply.answer()
        # As the intent tells it: expired now or before, or paid before.
        return await self._given_up(order)

    async def _given_up(self, order: Order) -> Answer:
        """How an intent stands that nobody is to pay; money on its way to it is waited for."""
        found = await self._payment(order.parent_reference or "")
        if found.status is not Status.CANCELED:
            return found
        if any(answers.is_on_its_way(one) for one in await self._payments(order.parent_reference)):
            reference = found.provider_reference
            return Answer(Outcome.OK, Status.PROCESSING, reference, cause=_ON_ITS_WAY)
        return found

    async def _refund(self, order: Order) -> Answer:
        reference = order.parent_reference or ""
        chain, address = order.destination.get("chain"), order.destination.get("address")
        if not chain or not address:
            sources = answers.sources_of(await self._payments(reference))
            if len(sources) != 1:
                # Who of several senders gets how much is nothing that we may guess.
                cause = "several_senders" if sources else "destination_missing"
                return Answer(Outcome.OUR_FAULT, cause=cause)
            chain, address = sources.pop()
        money = self._assets.money(order.amount_minor, order.asset)
        body = {
            "idempotencyKey": str(order.key),
            "destination": {"address": address, "chain": chain},
            "amount": {"currency": money["currency"]},
            "toAmount": money,
        }
        reply = await self._client.post(f"{_INTENTS}/{quoted(reference)}/refund", body)
        if not reply.ok:
            return reply.answer()
        return answers.of_refund(data_of(reply), reply, self._assets)

    async def _transfer(self, order: Order) -> Answer:
        chain, address = order.destination.get("chain"), order.destination.get("address")
        if not chain or not address:
            return Answer(Outcome.OUR_FAULT, cause="destination_missing")
        if not self._wallet:
            return Answer(Outcome.OUR_FAULT, cause="wallet_missing")
        body = {
            "idempotencyKey": str(order.key),
            "source": {"type": "wallet", "id": self._wallet},
            "destination": {"type": "blockchain", "address": address, "chain": chain},
            "amount": self._assets.money(order.amount_minor, order.asset),
        }
        reply = await self._client.post(_TRANSFERS, body)
        if not reply.ok:
            return reply.answer()
        return answers.of_transfer(data_of(reply), reply, self._assets)

    # --- Looking -----------------------------------------------------------------------------

    async def _payment(self, reference: str) -> Answer:
        reply = await self._client.get(f"{_INTENTS}/{quoted(reference)}")
        if not reply.ok:
            return answers.not_there(reply)
        found = answers.of_intent(data_of(reply), reply, self._assets)
        if found.status is not Status.SUCCEEDED:
            return found
        return answers.with_fees(found, await self._payments(reference), self._assets)

    async def _payments(self, reference: str | None) -> list[Mapping[str, Any]]:
        """What came to an intent and went back, the newest first; raises `ProviderFault`."""
        found: list[Mapping[str, Any]] = []
        async for reply in self._client.pages(_PAYMENTS, paymentIntentId=reference or ""):
            if not reply.ok or not isinstance(reply.body.get("data"), list):
                raise reply.fault()
            found += objects_in(reply.body, "data")
        # Whatever the list was narrowed to: only what says that it belongs here does.
        return [one for one in found if one.get("paymentIntentId") == reference]

    async def _find_payment(self, order: Order) -> Answer:
        if order.provider_reference is None:
            # Nobody has its address, so nobody can pay it; a repetition may learn it.
            over = self._now() - order.created_at > KEYS_LIVE + INTENTS_LIVE
            return Answer(Outcome.OK, status=Status.NOT_FOUND, cannot_happen=over)
        return await self._payment(order.provider_reference)

    async def _find_void(self, order: Order) -> Answer:
        found = await self._given_up(order)
        open_still = found.status in (Status.REQUIRES_ACTION, Status.PROCESSING)
        if open_still and found.cause != _ON_ITS_WAY:
            return Answer(Outcome.OK, status=Status.NOT_FOUND)
        return found

    async def _find_refund(self, order: Order) -> Answer:
        return await self._movement(_PAYMENTS, order, answers.of_refund)

    async def _find_transfer(self, order: Order) -> Answer:
        return await self._movement(_TRANSFERS, order, answers.of_transfer)

    async def _movement(
        self,
        path: str,
        order: Order,
        answer: Callable[[Mapping[str, Any], Reply, mapping.Assets], Answer],
    ) -> Answer:
        """By Circle's name for it: what has none here is told by a repetition under its key."""
        if order.provider_reference is None:
            return Answer(Outcome.OK, status=Status.NOT_FOUND)
        reply = await self._client.get(f"{path}/{quoted(order.provider_reference)}")
        if not reply.ok:
            return answers.not_there(reply)
        return answer(data_of(reply), reply, self._assets)


async def _nothing_to_capture(order: Order) -> Answer:
    """Money that came is there; nothing is reserved first."""
    del order
    return Answer(Outcome.OUR_FAULT, cause="nothing_to_capture")


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
