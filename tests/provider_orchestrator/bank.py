"""A bank of tests: a provider in memory, with a truth of its own and faults to order."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from provider_orchestrator.domain.adapters import (
    Action,
    ActionKind,
    Answer,
    Hint,
    Holding,
    Kind,
    NotAuthentic,
    Order,
    StatementLine,
    Status,
    Webhook,
)
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.routing import Capabilities, Operation

SIGNATURE = "good"


@dataclass(slots=True)
class Charge:
    """What really is at the bank."""

    order: Order
    status: Status
    captured_minor: int = 0
    asset: str = "USD"


@dataclass(slots=True)
class Bank:
    """Does an order once for one key, and says how it went as told."""

    name: str = "alpha"
    page: bool = False
    """Whether the payer has to act on a page first."""
    faults: list[str] = field(default_factory=list)
    """Of the next calls, in order: lost, late, refused, declined, wrong_amount, throttled,
    busy."""
    blind: bool = False
    """Nothing can be found out of it now."""
    gone: bool = False
    """What is not there can never come to be."""
    charges: dict[UUID, Charge] = field(default_factory=dict)
    sent: list[Order] = field(default_factory=list)
    probed: int = 0

    @property
    def can(self) -> Capabilities:
        return Capabilities(
            provider=self.name,
            rail="card",
            assets=frozenset({"USD", "EUR"}),
            operations=frozenset(Operation),
            methods=frozenset({"card"}),
        )

    def prepare(self, orders: Sequence[Order], now: datetime) -> Sequence[bytes | None]:
        return [b"prepared" for _ in orders]

    async def send(self, order: Order) -> Answer:
        self.sent.append(order)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "refused":
            return Answer(Outcome.INFRA, cause="connection_refused")
        if fault == "throttled":
            return Answer(Outcome.THROTTLED, cause="throttled")
        if fault == "nowhere":
            return Answer(Outcome.UNKNOWN, cause="timeout")
        if order.kind is not Kind.COLLECT:
            return self._follow(order, fault)
        if order.key not in self.charges:
            self._charge(order, fault)
        if fault == "lost":
            return Answer(Outcome.UNKNOWN, cause="timeout")
        return self._say(self.charges[order.key])

    def _charge(self, order: Order, fault: str) -> None:
        status = Status.SUCCEEDED
        if fault == "declined":
            status = Status.FAILED
        elif self.page:
            status = Status.REQUIRES_ACTION
        elif order.manual_capture:
            status = Status.AUTHORIZED
        taken = order.amount_minor if status is Status.SUCCEEDED else 0
        charge = Charge(order, status, taken, order.asset)
        if fault == "wrong_amount":
            charge.captured_minor -= 1
        self.charges[order.key] = charge

    def _follow(self, order: Order, fault: str) -> Answer:
        charge = self._named(order.parent_reference)
        if fault == "busy":
            return Answer(Outcome.OK, status=Status.PROCESSING)
        if order.kind is Kind.CAPTURE and charge.status is Status.AUTHORIZED:
            charge.status, charge.captured_minor = Status.SUCCEEDED, order.amount_minor
        elif order.kind is Kind.VOID and charge.status is not Status.SUCCEEDED:
            charge.status = Status.CANCELED
        if fault == "lost":
            return Answer(Outcome.UNKNOWN, cause="timeout")
        return self._say(charge)

    def _named(self, reference: str | None) -> Charge:
        return next(one for one in self.charges.values() if str(one.order.id) == reference)

    def _say(self, charge: Charge) -> Answer:
        acts = charge.status is Status.REQUIRES_ACTION
        declined = charge.status is Status.FAILED
        return Answer(
            Outcome.DECLINED if declined else Outcome.OK,
            status=charge.status,
            provider_reference=str(charge.order.id),
            amount_minor=charge.captured_minor or None,
            asset=charge.asset,
            authorized_minor=charge.order.amount_minor,
            fee_minor=30 if charge.captured_minor else None,
            action=Action(ActionKind.REDIRECT, url="https://bank.example/pay") if acts else None,
            cause="card_declined" if declined else "",
            latency_us=1000,
            raw={"id": str(charge.order.id)},
        )

    async def find(self, order: Order) -> Answer:
        if self.blind:
            return Answer(Outcome.UNKNOWN, cause="timeout")
        if order.kind is not Kind.COLLECT:
            charge = self._named(order.parent_reference)
            pending = charge.status is Status.AUTHORIZED
            said = self._say(charge)
            return replace(said, status=Status.NOT_FOUND) if pending else said
        if order.key in self.charges:
            return replace(self._say(self.charges[order.key]), outcome=Outcome.OK)
        return Answer(Outcome.OK, status=Status.NOT_FOUND, cannot_happen=self.gone)

    async def probe(self, rail: str) -> Answer:
        self.probed += 1
        return Answer(Outcome.OK, latency_us=500)

    async def hint(self, webhook: Webhook) -> Hint:
        if webhook.headers.get("signature") != SIGNATURE:
            raise NotAuthentic("wrong")
        event, _, reference = webhook.body.decode().partition(" ")
        if event == "confirm":
            return Hint(event, "confirmation", confirm_url=reference)
        return Hint(event, "charge.changed", (reference,))

    async def holdings(self) -> Sequence[Holding]:
        return []

    async def statement(self, since: datetime, until: datetime) -> AsyncIterator[StatementLine]:
        return
        yield

    def taken(self) -> int:
        """What it really took."""
        return sum(one.captured_minor for one in self.charges.values())

    def pays(self) -> None:
        """Each payer does what its page asks for."""
        for charge in self.charges.values():
            if charge.status is Status.REQUIRES_ACTION:
                charge.status = Status.SUCCEEDED
                charge.captured_minor = charge.order.amount_minor
