"""What becomes of collected money while a provider holds it: its fee, its release, its disputes.

Pure: what the provider said is handed in with what is known, and comes to what is new. Nothing is
said twice, whatever is told again, late or in another order; what is decided stays so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable
from uuid import UUID

from invoiceos_contracts import Amount, Event
from invoiceos_contracts.payment_v1 import (
    PaymentDisputeClosed,
    PaymentDisputed,
    PaymentFeeKnown,
    PaymentFundsAvailable,
)
from provider_orchestrator.domain.adapters import Order
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.payment_facts import about

LOOK_AGAIN = timedelta(seconds=10)
LOOK_AGAIN_MAX = timedelta(days=1)
LOOKS_MAX = 60
"""Beyond them only a webhook brings it up again: the provider never says."""
DISPUTE_EVERY = timedelta(hours=1)
"""A dispute is asked after so often, should the webhook that it is decided be lost."""


class DisputeState(StrEnum):
    """Where a dispute stands, in our words."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class DisputeSaid:
    """A dispute for which the provider has taken money back, as it tells it."""

    reference: str
    state: DisputeState
    amount_minor: int
    asset: str
    reason: str
    fee_minor: int | None = None
    respond_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a captured payment stands at its provider."""

    outcome: Outcome
    cause: str = ""
    fee_minor: int | None = None
    """What the provider kept of it, in the payment's asset; None where it does not say yet."""
    available_at: datetime | None = None
    disputes: tuple[DisputeSaid, ...] = ()
    names: tuple[str, ...] = ()
    """How webhooks may name it: its objects at the provider."""


@runtime_checkable
class Settles(Protocol):
    """An adapter whose provider holds money for a time and can take it back."""

    async def settlement(self, order: Order, disputes: Sequence[str]) -> Settlement:
        """How a captured order stands, its known disputes included. Moves nothing, never raises."""

    async def disputed_since(self, since: datetime) -> Sequence[tuple[str, str]]:
        """Disputes opened since, each with a name of its payment; raises `ProviderFault`."""


@runtime_checkable
class TakesDeposits(Protocol):
    """An adapter whose provider gives out addresses, to which money may come at any time."""

    async def deposited_since(self, since: datetime) -> Mapping[str, int]:
        """What came since, by its payment there, in minor units; raises `ProviderFault`."""


@dataclass(frozen=True, slots=True)
class Held:
    """A payment that an attempt collected."""

    tenant_id: UUID
    id: UUID
    invoice_id: UUID
    wallet_id: UUID
    provider: str
    rail: str
    amount_minor: int
    asset: str
    fee_minor: int | None
    available_at: datetime | None
    given_back_minor: int


@dataclass(frozen=True, slots=True)
class Dispute:
    """A part of a dispute that concerns one payment."""

    tenant_id: UUID
    id: UUID
    payment_id: UUID
    attempt_id: UUID
    provider: str
    reference: str
    amount_minor: int
    asset: str
    counted_minor: int
    """How much of it counts as given back; nothing counts twice beside refunds."""
    fee_minor: int | None
    reason: str
    respond_by: datetime | None
    state: DisputeState
    opened_at: datetime
    closed_at: datetime | None = None


@dataclass(slots=True)
class Books:
    """What is known of one attempt's money; `payments` in the order of their shares."""

    attempt_id: UUID
    payments: list[Held]
    disputes: dict[tuple[UUID, str], Dispute]
    """By payment and the provider's name."""
    looks: int = 0
    facts: list[Event] = field(default_factory=list)
    opened: list[Dispute] = field(default_factory=list)
    closed: list[Dispute] = field(default_factory=list)
    due_at: datetime | None = None


def settle(books: Books, said: Settlement, now: datetime, new_id: Callable[[], UUID]) -> None:
    """Take over what the provider said."""
    books.looks += 1
    if said.outcome is Outcome.OK:
        _fee(books, said)
        _release(books, said, now)
        for dispute in said.disputes:
            _dispute(books, dispute, now, new_id)
    books.due_at = _next(books, said, now)


def _fee(books: Books, said: Settlement) -> None:
    """The fee is one for all that was captured at once; it is told with the first payment.

    What more is kept of money that came again is told with the last payment, which is of that.
    """
    if said.fee_minor is None:
        return
    first = books.payments[0].fee_minor is None
    place = 0 if first else len(books.payments) - 1
    payment = books.payments[place]
    more = said.fee_minor - sum(one.fee_minor or 0 for one in books.payments)
    if payment.fee_minor is not None or (not first and more <= 0):
        return
    books.payments[place] = replace(payment, fee_minor=more)
    fee = Amount(amount_minor=more, asset=payment.asset)
    books.facts.append(PaymentFeeKnown(**about(payment), fee=fee))


def _release(books: Books, said: Settlement, now: datetime) -> None:
    at = said.available_at
    if at is None or at > now:
        return
    for place, payment in enumerate(books.payments):
        if payment.available_at is None:
            books.payments[place] = replace(payment, available_at=at)
            books.facts.append(PaymentFundsAvailable(**about(payment), available_at=at))


def _dispute(books: Books, said: DisputeSaid, now: datetime, new_id: Callable[[], UUID]) -> None:
    known = [d for (_, reference), d in books.disputes.items() if reference == said.reference]
    if not known:
        known = _open(books, said, now, new_id)
    for dispute in known:
        if dispute.state is DisputeState.OPEN and said.state is not DisputeState.OPEN:
            _close(books, replace(dispute, state=said.state, closed_at=now))


def _open(
    books: Books, said: DisputeSaid, now: datetime, new_id: Callable[[], UUID]
) -> list[Dispute]:
    """Divided over the payments in their order; what is more than all of them is the last one's."""
    rest = said.amount_minor
    made: list[Dispute] = []
    for place, payment in enumerate(books.payments):
        last = place == len(books.payments) - 1
        part = rest if last else min(rest, payment.amount_minor)
        rest -= part
        if part == 0:
            continue
        left = payment.amount_minor - payment.given_back_minor
        dispute = Dispute(
            tenant_id=payment.tenant_id,
            id=new_id(),
            payment_id=payment.id,
            attempt_id=books.attempt_id,
            provider=payment.provider,
            reference=said.reference,
            amount_minor=part,
            asset=said.asset,
            counted_minor=min(part, left),
            fee_minor=None if made else said.fee_minor,
            reason=said.reason,
            respond_by=said.respond_by,
            state=DisputeState.OPEN,
            opened_at=now,
        )
        made.append(dispute)
        back = payment.given_back_minor + dispute.counted_minor
        books.payments[place] = replace(payment, given_back_minor=back)
        books.facts.append(_disputed(payment, dispute))
        books.disputes[payment.id, said.reference] = dispute
    books.opened += made
    return made


def _disputed(payment: Held, dispute: Dispute) -> PaymentDisputed:
    fee = dispute.fee_minor
    return PaymentDisputed(
        **about(payment),
        dispute_id=dispute.id,
        provider_reference=dispute.reference,
        disputed=Amount(amount_minor=dispute.amount_minor, asset=dispute.asset),
        fee=None if fee is None else Amount(amount_minor=fee, asset=dispute.asset),
        reason=dispute.reason,
        respond_by=dispute.respond_by,
    )


def _close(books: Books, dispute: Dispute) -> None:
    place, payment = next(
        (place, one) for place, one in enumerate(books.payments) if one.id == dispute.payment_id
    )
    if dispute.state is DisputeState.WON:
        back = payment.given_back_minor - dispute.counted_minor
        payment = books.payments[place] = replace(payment, given_back_minor=back)
    books.disputes[dispute.payment_id, dispute.reference] = dispute
    books.closed.append(dispute)
    books.facts.append(
        PaymentDisputeClosed(
            **about(payment),
            dispute_id=dispute.id,
            disputed=Amount(amount_minor=dispute.amount_minor, asset=dispute.asset),
            outcome=str(dispute.state),
        )
    )


def _next(books: Books, said: Settlement, now: datetime) -> datetime | None:
    """When to look again without being told to: the net below the webhooks."""
    times: list[datetime] = []
    released = all(payment.available_at is not None for payment in books.payments)
    known = said.outcome is Outcome.OK and (released or said.available_at is not None)
    if (not known or books.payments[0].fee_minor is None) and books.looks < LOOKS_MAX:
        times.append(now + min(LOOK_AGAIN * 2 ** min(books.looks, 20), LOOK_AGAIN_MAX))
    if not released and said.available_at is not None:
        times.append(max(said.available_at, now + LOOK_AGAIN))
    if any(dispute.state is DisputeState.OPEN for dispute in books.disputes.values()):
        times.append(now + DISPUTE_EVERY)
    return min(times, default=None)
