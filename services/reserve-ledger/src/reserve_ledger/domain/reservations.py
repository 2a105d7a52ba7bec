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
from reserve_ledger.domain.booking import Booking, BookingState
from reserve_ledger.domain.catalogue import Leg, Legs, Template, fill
from reserve_ledger.domain.chain import Ledger, Posted
from reserve_ledger.domain.chart import (
    CHARGEBACK_LOSS,
    MERCHANT_AVAILABLE,
    MERCHANT_PENDING,
    PAYER_UNAPPLIED,
    PLATFORM_FEE,
    TREASURY,
)
from reserve_ledger.domain.entries import Entry
from reserve_ledger.domain.returns import onwards
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
    from_treasury: bool = False
    """It is to leave from the treasury: what is promised there is promised once."""

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
    """Why it was released, or refused."""
    onwards: Posted | None = None
    """Where it was released to what is not pending any more."""


def id_of(fact: ReservationFact) -> UUID:
    """Id of the refund or payout, which names the reservation too."""
    return fact.refund_id if isinstance(fact, RefundEvent) else fact.payout_id


def touched(fact: ReservationFact) -> list[Leg]:
    """Every account the fact may move."""
    owed = (MERCHANT_AVAILABLE, MERCHANT_PENDING, PAYER_UNAPPLIED, "2300", "2400")
    codes = (TREASURY, *owed, PLATFORM_FEE, CHARGEBACK_LOSS)
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
    promised: Mapping[tuple[UUID, str], int]
    """By tenant and asset: what is set apart already to leave from the treasury."""


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
        self._promised = dict(lots.promised)
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
        template, legs = wanted.legs()
        there, short = self._there(wanted, legs)
        if wanted.amount_minor > there:
            refused = replace(wanted, state=State.REFUSED)
            return Decided(refused, available_minor=there, cause=short)
        if wanted.taken_from == PAYER_UNAPPLIED:
            self._credits[_lot(wanted)] -= wanted.amount_minor
        if wanted.taken_from == MERCHANT_PENDING:
            self._take(wanted, wanted.amount_minor)
        self._promise(wanted, wanted.amount_minor)
        posted = self._post(wanted, template, legs, cause)
        return Decided(replace(wanted, transaction_id=posted.entry.id), posted)

    def _there(self, wanted: Reservation, legs: Legs) -> tuple[int, str]:
        """What there is for it, and the word for what it is short of."""
        ledger = self._ledgers[wanted.tenant_id]
        if wanted.taken_from == PAYER_UNAPPLIED:
            owed = self._credits.get(_lot(wanted), 0)
        else:
            owed = ledger.account(legs[0]).available_minor
        held = ledger.balances.get((TREASURY, wanted.asset))
        promised = self._promised.get((wanted.tenant_id, wanted.asset), 0)
        free = (held.net_minor if held else 0) - promised
        if not wanted.from_treasury or owed <= free or wanted.amount_minor > owed:
            return owed, "insufficient_funds"
        # It is owed, and lies with a provider or at an address: it cannot leave from here.
        return free, "not_in_treasury"

    def _promise(self, of: Reservation, minor: int) -> None:
        if of.from_treasury:
            key = (of.tenant_id, of.asset)
            self._promised[key] = self._promised.get(key, 0) + minor

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
        self._promise(known, -known.amount_minor)
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
        self._promise(known, -known.amount_minor)
        booking = self.booking_of(known)
        in_books = booking is not None and booking.state is BookingState.BOOKED
        if in_books and known.taken_from == PAYER_UNAPPLIED:
            credit = _lot(known)
            self._credits[credit] = self._credits.get(credit, 0) + known.amount_minor
        ended = replace(known, state=State.RELEASED, ended_by=posted.entry.id)
        return Decided(ended, posted, cause=why, onwards=self._goes_on(known, cause))

    def _goes_on(self, known: Reservation, cause: UUID) -> Posted | None:
        """Free again, of a payment that may be available by now, or void, or taken back."""
        booking = self.booking_of(known)
        if booking is None or booking.split.asset != known.asset:
            return None
        onward = onwards(booking, known.taken_from, known.amount_minor)
        credit = _lot(known)
        more = booking.gone_minor - onward.booking.gone_minor if booking.reclassed else 0
        self._credits[credit] = self._credits.get(credit, 0) + more
        self.bookings[booking.tenant_id, booking.payment_id] = onward.booking
        self.changed.add((booking.tenant_id, booking.payment_id))
        return self._post(known, *onward.filled, cause) if onward.filled else None

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


def _lot(of: Reservation) -> tuple[UUID, UUID, str]:
    """The credit that the refund's payment left."""
    assert of.payment_id is not None
    return of.tenant_id, of.payment_id, of.asset


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
        from_treasury=fact.held_at == "treasury",
    )
