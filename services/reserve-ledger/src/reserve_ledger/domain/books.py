"""The fold: obligations and bookings, decided payment after payment.

Several facts of one batch may concern one invoice or one payment, so each is decided on the state
that the facts before it left. The final state does not depend on whether an invoice is voided
before or after its payments arrive.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from invoiceos_contracts import Event
from invoiceos_contracts.base import Amount
from invoiceos_contracts.invoice_v1 import InvoiceVoided
from invoiceos_contracts.payment_v1 import PaymentConflicted, PaymentReverted, PaymentSucceeded
from money import Money, MoneyError, Rounding, asset, from_micros, micros
from reserve_ledger.domain import templates
from reserve_ledger.domain.booking import Booking, BookingState
from reserve_ledger.domain.catalogue import Legs, Template, fill
from reserve_ledger.domain.entries import Entry, Funds
from reserve_ledger.domain.returns import Till, cover, given_up
from reserve_ledger.domain.templates import CLEARING, DEPOSIT, TREASURY, Place, Split

Key = tuple[UUID, UUID]
"""Tenant, and invoice or payment."""


@dataclass(frozen=True, slots=True)
class Obligation:
    """What an invoice asked for, and what has been applied to it, in millionths of its currency."""

    tenant_id: UUID
    invoice_id: UUID
    currency: str | None = None
    """None until the first payment says what is due."""
    due_micros: int | None = None
    applied_micros: int = 0
    voided: bool = False

    @property
    def remaining_micros(self) -> int:
        """What may still be applied; nothing once the invoice is void."""
        if self.voided or self.due_micros is None:
            return 0
        return max(0, self.due_micros - self.applied_micros)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the platform takes."""

    fee_ppm: int = 0


class Books:
    """Obligations and bookings of one batch, and what each fact changes in them."""

    def __init__(
        self,
        obligations: Iterable[Obligation],
        bookings: Iterable[Booking],
        *,
        terms: Terms,
        new_id: Callable[[], UUID],
        till: Till | None = None,
    ) -> None:
        """Start from what is stored; `new_id` names the transactions to come.

        A batch that voids or takes back needs the till: what of it is there.
        """
        self._obligations = {(o.tenant_id, o.invoice_id): o for o in obligations}
        self._bookings: dict[Key, Booking] = {}
        self._payments_of: dict[Key, set[Key]] = {}
        for booking in bookings:
            self._remember(booking)
        self._terms = terms
        self._new_id = new_id
        self._till = till
        self._changed_obligations: set[Key] = set()
        self._changed_bookings: set[Key] = set()

    @property
    def changed_obligations(self) -> list[Obligation]:
        """Those to be saved, in order of their keys."""
        return [self._obligations[key] for key in sorted(self._changed_obligations)]

    @property
    def changed_bookings(self) -> list[Booking]:
        """Those to be saved, in order of their keys."""
        return [self._bookings[key] for key in sorted(self._changed_bookings)]

    def take(self, fact: Event, cause: UUID) -> list[Entry]:
        """Decide one fact; what is to be posted for it, nothing where it changes nothing."""
        entries = self._decide(fact, cause)
        if self._till is not None:
            for entry in entries:
                self._till.post(entry.tenant_id, entry.legs)
        return entries

    def _decide(self, fact: Event, cause: UUID) -> list[Entry]:
        match fact:
            case PaymentSucceeded():
                return self._succeeded(fact, cause)
            case PaymentReverted():
                return self._reverted(fact, cause)
            case PaymentConflicted():
                return self._conflicted(fact, cause)
            case InvoiceVoided():
                return self._voided(fact, cause)
            case _:
                raise TypeError(f"the ledger books nothing for {fact.TYPE}")

    def _succeeded(self, fact: PaymentSucceeded, cause: UUID) -> list[Entry]:
        before = self._bookings.get((fact.tenant_id, fact.payment_id))
        if (before and before.state is BookingState.BOOKED) or not _moves(fact.amount):
            return []
        obligation = self._obligation_of(fact)
        if obligation is None:
            return self._hold(fact, cause, before)
        entries = self._release(fact, cause, before)
        split = self._split(fact.amount, obligation)
        template, legs = templates.payment(split, _place(fact))
        entry = Entry(
            tenant_id=fact.tenant_id,
            id=self._new_id(),
            template=template,
            cause_event_id=cause,
            legs=legs,
            invoice_id=fact.invoice_id,
            payment_id=fact.payment_id,
            funds=Funds(fact.wallet_id, fact.payment_id, split),
        )
        self._apply(obligation, _micros(split))
        self._book(fact, BookingState.BOOKED, split, before, entry.id)
        return [*entries, entry]

    def _reverted(self, fact: PaymentReverted, cause: UUID) -> list[Entry]:
        before = self._bookings.get((fact.tenant_id, fact.payment_id))
        if before is None or before.state is BookingState.REVERSED:
            return []
        if before.state is BookingState.SUSPENSE:
            entries = self._release(fact, cause, before)
            self._save(replace(before, state=BookingState.REVERSED, transaction_id=entries[0].id))
            return entries
        if not fact.was_final:
            return []
        covered, short = self._covered(before, cause)
        back = self._taken_back(before, cause)
        entry = self._reversal(before, fact, cause)
        obligation = self._obligations[before.tenant_id, before.invoice_id]
        if not before.reclassed:
            self._apply(obligation, -_micros(before.split))
        ended = replace(before, state=BookingState.REVERSED, transaction_id=entry.id)
        fresh = replace(ended, reclassed=False, cleared=False, taken_minor=0, kept_minor=0)
        self._save(replace(fresh, short_minor=short))
        return [*covered, *back, entry]

    def _conflicted(self, fact: PaymentConflicted, cause: UUID) -> list[Entry]:
        before = self._bookings.get((fact.tenant_id, fact.payment_id))
        if not _moves(fact.amount):
            return []
        return self._hold(fact, cause, before)

    def _voided(self, fact: InvoiceVoided, cause: UUID) -> list[Entry]:
        key = (fact.tenant_id, fact.invoice_id)
        obligation = self._obligations.get(key) or Obligation(*key)
        if obligation.voided:
            return []
        self._save_obligation(replace(obligation, voided=True, applied_micros=0))
        applied = [
            booking
            for payment in sorted(self._payments_of.get(key, ()))
            if (booking := self._bookings[payment]).state is BookingState.BOOKED
            and booking.invoice_id == fact.invoice_id
            and booking.split.applied_minor
        ]
        if not applied:
            return []
        assert self._till is not None
        given = given_up(applied, self._till)
        for booking, _ in given:
            self._save(booking)
        parts = {
            name: [(b.split.asset, shares) for b, shares in given if b.waits is waits]
            for name, waits in (
                ("invoice_voided_reclass", False),
                ("invoice_voided_pending_reclass", True),
            )
        }
        filled = [templates.summed(name, shares) for name, shares in parts.items() if shares]
        return [
            Entry(
                tenant_id=fact.tenant_id,
                id=self._new_id(),
                template=template,
                cause_event_id=cause,
                legs=legs,
                invoice_id=fact.invoice_id,
            )
            for template, legs in filled
            if legs
        ]

    def _hold(
        self, fact: PaymentSucceeded | PaymentConflicted, cause: UUID, before: Booking | None
    ) -> list[Entry]:
        """Book to suspense what cannot count towards the invoice, unless it is in the books."""
        if before and before.state is not BookingState.REVERSED:
            return []
        template, legs = templates.suspense(fact.amount.asset, fact.amount.amount_minor)
        entry = Entry(
            tenant_id=fact.tenant_id,
            id=self._new_id(),
            template=template,
            cause_event_id=cause,
            legs=legs,
            invoice_id=fact.invoice_id,
            payment_id=fact.payment_id,
        )
        split = Split(fact.amount.asset, fact.amount.amount_minor, 0, 0)
        self._book(fact, BookingState.SUSPENSE, split, before, entry.id)
        return [entry]

    def _release(
        self, fact: PaymentSucceeded | PaymentReverted, cause: UUID, before: Booking | None
    ) -> list[Entry]:
        """Take out of suspense what is held there."""
        if before is None or before.state is not BookingState.SUSPENSE:
            return []
        split = before.split
        return [
            Entry(
                tenant_id=fact.tenant_id,
                id=self._new_id(),
                template=templates.SUSPENSE_RELEASED,
                cause_event_id=cause,
                legs=templates.reversal(templates.suspense(split.asset, split.amount_minor)[1]),
                invoice_id=before.invoice_id,
                payment_id=fact.payment_id,
                reverses=before.transaction_id,
            )
        ]

    def _covered(self, before: Booking, cause: UUID) -> tuple[list[Entry], int]:
        """What is gone of it is made up first; the platform's part of that."""
        assert self._till is not None
        filled, short = cover(before, self._till)
        if filled is None:
            return [], short
        template, legs = filled
        return [self._about(before, template, legs, cause)], short

    def _taken_back(self, before: Booking, cause: UUID) -> list[Entry]:
        """What made it available, and swept it, is undone first."""
        if not before.cleared:
            return []
        undone: list[tuple[Template, Legs]] = []
        if not before.reclassed:
            _, legs = fill(before.clears_by, before.split.asset, before.final)
            undone.append((templates.CLEARED_REVERTED, legs))
        if before.lies_at_an_address:
            amount = {"amount": before.split.amount_minor}
            undone.append(
                (templates.SWEEP_REVERTED, fill("deposit_flushed", before.split.asset, amount)[1])
            )
        return [
            self._about(before, template, templates.reversal(legs), cause)
            for template, legs in undone
            if legs
        ]

    def _about(self, booking: Booking, template: Template, legs: Legs, cause: UUID) -> Entry:
        return Entry(
            tenant_id=booking.tenant_id,
            id=self._new_id(),
            template=template,
            cause_event_id=cause,
            legs=legs,
            invoice_id=booking.invoice_id,
            payment_id=booking.payment_id,
        )

    def _reversal(self, before: Booking, fact: PaymentReverted, cause: UUID) -> Entry:
        """The exact opposite of the booking, as a void may have changed it since."""
        if before.reclassed:
            template, legs = templates.voided_payment_reverted(before.split, before.place)
        else:
            template = templates.PAYMENT_REVERTED
            legs = templates.reversal(templates.payment(before.split, before.place)[1])
        return Entry(
            tenant_id=fact.tenant_id,
            id=self._new_id(),
            template=template,
            cause_event_id=cause,
            legs=legs,
            invoice_id=before.invoice_id,
            payment_id=fact.payment_id,
            reverses=before.transaction_id,
            funds=Funds(fact.wallet_id, fact.payment_id, before.split, fact.cause),
        )

    def _obligation_of(self, fact: PaymentSucceeded) -> Obligation | None:
        """The invoice's obligation; None where the payment's asset cannot count towards it."""
        due = _read(fact.invoice_due)
        paid = _read(fact.amount)
        if due is None or paid is None:
            return None
        key = (fact.tenant_id, fact.invoice_id)
        known = self._obligations.get(key) or Obligation(*key)
        if known.currency is None:
            known = replace(known, currency=due.asset.currency, due_micros=max(0, micros(due)))
        if paid.asset.currency != known.currency:
            return None
        return known

    def _split(self, amount: Amount, obligation: Obligation) -> Split:
        """Apply what the invoice still needs; a last fraction of a minor unit takes a whole one."""
        paid_in = asset(amount.asset)
        needed = from_micros(obligation.remaining_micros, paid_in, Rounding.UP).minor
        applied = min(amount.amount_minor, needed)
        fee = templates.fee_on(applied, self._terms.fee_ppm)
        return Split(amount.asset, amount.amount_minor, applied, fee)

    def _apply(self, obligation: Obligation, change_micros: int) -> None:
        applied = obligation.applied_micros + change_micros
        self._save_obligation(replace(obligation, applied_micros=applied))

    def _book(
        self,
        fact: PaymentSucceeded | PaymentConflicted,
        state: BookingState,
        split: Split,
        before: Booking | None,
        transaction_id: UUID,
    ) -> None:
        generation = before.generation + 1 if before else 1
        self._save(
            Booking(
                tenant_id=fact.tenant_id,
                payment_id=fact.payment_id,
                invoice_id=fact.invoice_id,
                state=state,
                generation=generation,
                transaction_id=transaction_id,
                split=split,
                place=_place(fact),
            )
        )

    def _save_obligation(self, obligation: Obligation) -> None:
        key = (obligation.tenant_id, obligation.invoice_id)
        self._obligations[key] = obligation
        self._changed_obligations.add(key)

    def _save(self, booking: Booking) -> None:
        self._remember(booking)
        self._changed_bookings.add((booking.tenant_id, booking.payment_id))

    def _remember(self, booking: Booking) -> None:
        key = (booking.tenant_id, booking.payment_id)
        self._bookings[key] = booking
        invoice = (booking.tenant_id, booking.invoice_id)
        self._payments_of.setdefault(invoice, set()).add(key)


def _place(fact: PaymentSucceeded | PaymentConflicted) -> Place:
    held_at = fact.held_at if isinstance(fact, PaymentSucceeded) else None
    if held_at not in (None, TREASURY, DEPOSIT, CLEARING):
        message = f"nobody knows a place {held_at[:40]}"
        raise ValueError(message)
    return Place(held_at or TREASURY, fact.provider)


def _moves(amount: Amount) -> bool:
    """Whether money moved at all; a chain lets anyone state a transfer of nothing.

    Raises ValueError for less than nothing: whoever states that has a bug, and must be told.
    """
    if amount.amount_minor < 0:
        raise ValueError("a payment cannot be negative")
    return amount.amount_minor > 0


def _read(amount: Amount) -> Money | None:
    """The amount in an asset we know, within the limits of amounts; else None."""
    try:
        return Money(amount.amount_minor, asset(amount.asset))
    except MoneyError:
        return None


def _micros(split: Split) -> int:
    return micros(Money(split.applied_minor, asset(split.asset)))
