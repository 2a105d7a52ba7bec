"""Money set apart: asked for by a refund or a payout, then sent or free again. Never an overdraft.

A refund of what was paid too much takes only what is left of that very payment's credit, one of a
payment that a provider still clears what is pending of it; all else comes from what the merchant
has available. What was refused was never set apart.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import UUID

from invoiceos_contracts.base import Amount
from invoiceos_contracts.payment_v1 import (
    RefundCanceled,
    RefundEvent,
    RefundFailed,
    RefundRequested,
    RefundSucceeded,
)
from invoiceos_contracts.payout_v1 import (
    PayoutCanceled,
    PayoutEvent,
    PayoutFailed,
    PayoutRequested,
    PayoutSucceeded,
)
from reserve_ledger.domain.booking import Booking
from reserve_ledger.domain.catalogue import Leg, Legs, Template, fill
from reserve_ledger.domain.chain import Ledger, Posted
from reserve_ledger.domain.chart import (
    MERCHANT_AVAILABLE,
    MERCHANT_PENDING,
    PAYER_UNAPPLIED,
    PLATFORM_FEE,
    TREASURY,
)
from reserve_ledger.domain.entries import Entry
from reserve_ledger.domain.templates import CLEARING as CLEARING_PLACE
from reserve_ledger.domain.templates import reversal

CLEARING = "1300"
RELEASED = Template("reservation_released", 1)
ReservationFact = RefundEvent | PayoutEvent
Asked = RefundRequested | PayoutRequested
Sent = RefundSucceeded | PayoutSucceeded
Dropped = RefundFailed | RefundCanceled | PayoutFailed | PayoutCanceled
FACTS = (
    *(RefundRequested, RefundSucceeded, RefundFailed, RefundCanceled),
    *(PayoutRequested, PayoutSucceeded, PayoutFailed, PayoutCanceled),
)
_PARTS: Final = {
    PAYER_UNAPPLIED: "credit",
    MERCHANT_PENDING: "pending",
    MERCHANT_AVAILABLE: "available",
}
"""The part of a refund's template that stands for an account."""
Credits = Mapping[tuple[UUID, UUID, str], int]
"""By tenant, payment and asset: what is left of the credit the payment gave its payer."""


class State(StrEnum):
    """Where a reservation stands."""

    RESERVED = "reserved"
    REFUSED = "refused"
    RELEASED = "released"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money for one refund or payout, named by its id."""

    tenant_id: UUID
    id: UUID
    purpose: str
    state: State
    asset: str
    amount_minor: int
    taken_from: str
    """2100; 2110 for what is pending of the payment; 2500 for the payer's credit of it."""
    invoice_id: UUID | None = None
    payment_id: UUID | None = None
    transaction_id: UUID | None = None
    """The transaction that set it apart."""
    ended_by: UUID | None = None
    """The transaction that sent it or set it free."""
    paid_from: str | None = None

    @property
    def amount(self) -> Amount:
        """The amount with its asset."""
        return Amount(amount_minor=self.amount_minor, asset=self.asset)

    def legs(self) -> tuple[Template, Legs]:
        """What sets it apart."""
        if self.purpose == "payout":
            return fill("payout_requested", self.asset, {"amount": self.amount_minor})
        amounts = dict.fromkeys(_PARTS.values(), 0) | {_PARTS[self.taken_from]: self.amount_minor}
        return fill("refund_requested", self.asset, amounts)


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a reservation by one fact."""

    reservation: Reservation
    posted: Posted | None = None
    available_minor: int = 0
    """Where it was refused: what there would have been."""
    cause: str = ""
    """Where it was released."""
    onwards: Posted | None = None
    """Where it was released to what is not pending any more."""


def id_of(fact: ReservationFact) -> UUID:
    """Id of the refund or payout, which names the reservation too."""
    return fact.refund_id if isinstance(fact, RefundEvent) else fact.payout_id


def touched(fact: ReservationFact) -> list[Leg]:
    """Every account the fact may move."""
    owed = (MERCHANT_AVAILABLE, MERCHANT_PENDING, PAYER_UNAPPLIED, "2300", "2400")
    codes = (TREASURY, *owed, PLATFORM_FEE)
    legs = [Leg(code, fact.amount.asset, 0) for code in codes]
    if isinstance(fact, Sent) and fact.held_at == "clearing":
        legs.append(Leg(CLEARING, fact.amount.asset, 0, f"provider:{fact.provider}:clearing"))
    return legs


@dataclass(frozen=True, slots=True)
class Lots:
    """What is left of the payments that refunds are of."""

    credits: Credits
    bookings: Mapping[tuple[UUID, UUID], Booking]
    """By tenant and payment."""


class Desk:
    """Reservations of one batch, and what each fact makes of them."""

    def __init__(
        self,
        reservations: Iterable[Reservation],
        lots: "Lots",
        ledgers: Mapping[UUID, Ledger],
        new_id: Callable[[], UUID],
    ) -> None:
        """Start from what is stored; the ledgers hold every account that `touched` names."""
        self._known = {(r.tenant_id, r.id): r for r in reservations}
        self._credits = dict(lots.credits)
        self.bookings = dict(lots.bookings)
        self.changed: set[tuple[UUID, UUID]] = set()
        """Payments whose booking is to be saved."""
        self._ledgers = ledgers
        self._new_id = new_id

    def take(self, fact: ReservationFact, cause: UUID) -> Decided | None:
        """Decide one fact and post what follows; None where it changes nothing.

        Raises `ValueError` where money was sent that had never been set apart.
        """
        known = self._known.get((fact.tenant_id, id_of(fact)))
        if isinstance(fact, Asked):
            decided = None if known else self._ask(fact, cause)
        elif isinstance(fact, Sent):
            decided = self._settle(known, fact, cause)
        elif isinstance(fact, Dropped):
            decided = self._release(known, fact.cause, cause)
        else:
            raise TypeError(f"the ledger books nothing for {fact.TYPE}")
        if decided is not None:
            kept = decided.reservation
            self._known[kept.tenant_id, kept.id] = kept
        return decided

    def _ask(self, fact: Asked, cause: UUID) -> Decided:
        if fact.amount.amount_minor <= 0:
            raise ValueError("only more than nothing can be set apart")
        wanted = self._pending_first(_wanted(fact))
        ledger = self._ledgers[fact.tenant_id]
        credit = (
            None
            if wanted.payment_id is None
            else (wanted.tenant_id, wanted.payment_id, wanted.asset)
        )
        template, legs = wanted.legs()
        if wanted.taken_from == PAYER_UNAPPLIED:
            available = self._credits.get(credit, 0) if credit else 0
        else:
            available = ledger.account(legs[0]).available_minor
        if wanted.amount_minor > available:
            return Decided(replace(wanted, state=State.REFUSED), available_minor=available)
        if credit is not None and wanted.taken_from == PAYER_UNAPPLIED:
            self._credits[credit] = available - wanted.amount_minor
        if wanted.taken_from == MERCHANT_PENDING:
            self._take(wanted, wanted.amount_minor)
        posted = self._post(wanted, template, legs, cause)
        return Decided(replace(wanted, transaction_id=posted.entry.id), posted)

    def _pending_first(self, wanted: Reservation) -> Reservation:
        """A refund of a payment that a provider still clears takes what is pending of it."""
        booking = self.booking_of(wanted)
        if booking is None or booking.place.held_at != CLEARING_PLACE:
            return wanted
        if wanted.taken_from == PAYER_UNAPPLIED or booking.split.asset != wanted.asset:
            return wanted
        pending = booking.pending_minor >= wanted.amount_minor
        return replace(wanted, taken_from=MERCHANT_PENDING) if pending else wanted

    def booking_of(self, of: Reservation) -> Booking | None:
        """The booking of a refund's payment."""
        return None if of.payment_id is None else self.bookings.get((of.tenant_id, of.payment_id))

    def _take(self, of: Reservation, minor: int) -> None:
        booking = self.booking_of(of)
        assert booking is not None
        key = (booking.tenant_id, booking.payment_id)
        self.bookings[key] = replace(booking, taken_minor=booking.taken_minor + minor)
        self.changed.add(key)

    def _settle(self, known: Reservation | None, fact: Sent, cause: UUID) -> Decided | None:
        if known is None or known.state in (State.REFUSED, State.RELEASED):
            message = f"{id_of(fact)} was sent, but nothing is set apart for it"
            raise ValueError(message)
        if known.state is State.SETTLED:
            return None
        by_provider = fact.held_at == "clearing"
        name = f"{known.purpose}_paid_{'by_provider' if by_provider else 'on_chain'}"
        names = {"provider": fact.provider} if by_provider else {}
        template, legs = fill(name, known.asset, {"amount": known.amount_minor}, names)
        posted = self._post(known, template, legs, cause)
        ended = replace(
            known,
            state=State.SETTLED,
            ended_by=posted.entry.id,
            paid_from=CLEARING if by_provider else TREASURY,
        )
        return Decided(ended, posted)

    def _release(self, known: Reservation | None, why: str, cause: UUID) -> Decided | None:
        if known is None or known.state is not State.RESERVED:
            return None
        legs = reversal(known.legs()[1])
        posted = self._post(known, RELEASED, legs, cause, reverses=known.transaction_id)
        if known.payment_id is not None and known.taken_from == PAYER_UNAPPLIED:
            credit = (known.tenant_id, known.payment_id, known.asset)
            self._credits[credit] = self._credits.get(credit, 0) + known.amount_minor
        ended = replace(known, state=State.RELEASED, ended_by=posted.entry.id)
        onwards = None
        if known.taken_from == MERCHANT_PENDING:
            onwards = self._goes_on(known, cause)
            self._take(known, -known.amount_minor)
        return Decided(ended, posted, cause=why, onwards=onwards)

    def _goes_on(self, known: Reservation, cause: UUID) -> Posted | None:
        """Pending again, of a payment that may have become available since, or void."""
        booking = self.booking_of(known)
        filled = booking.goes_on(known.amount_minor) if booking else None
        return self._post(known, *filled, cause) if filled else None

    def _post(
        self,
        of: Reservation,
        template: Template,
        legs: Legs,
        cause: UUID,
        reverses: UUID | None = None,
    ) -> Posted:
        return self._ledgers[of.tenant_id].post(
            Entry(
                tenant_id=of.tenant_id,
                id=self._new_id(),
                template=template,
                cause_event_id=cause,
                legs=legs,
                invoice_id=of.invoice_id,
                payment_id=of.payment_id,
                reverses=reverses,
            )
        )


def _wanted(fact: Asked) -> Reservation:
    refund = isinstance(fact, RefundRequested)
    return Reservation(
        tenant_id=fact.tenant_id,
        id=id_of(fact),
        purpose="refund" if refund else "payout",
        state=State.RESERVED,
        asset=fact.amount.asset,
        amount_minor=fact.amount.amount_minor,
        taken_from=(
            PAYER_UNAPPLIED
            if isinstance(fact, RefundRequested) and fact.source == "payer_credit"
            else MERCHANT_AVAILABLE
        ),
        invoice_id=fact.invoice_id if isinstance(fact, RefundRequested) else None,
        payment_id=fact.payment_id if isinstance(fact, RefundRequested) else None,
    )
