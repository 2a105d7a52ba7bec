"""What happens to money after a payment succeeded and before it is the platform's to send.

The fold keeps what was said of a payment before it was booked: its fee, that it is cleared, that it
is disputed. So the same facts in any order end in the same books.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from invoiceos_contracts import Event
from invoiceos_contracts.base import Amount
from invoiceos_contracts.ledger_v1 import ChargebackBooked
from invoiceos_contracts.payment_v1 import (
    PaymentDisputeClosed,
    PaymentDisputed,
    PaymentEvent,
    PaymentFeeKnown,
    PaymentFundsAvailable,
    PaymentSucceeded,
)
from invoiceos_contracts.provider_v1 import DepositSwept
from reserve_ledger.domain import disputes, movements
from reserve_ledger.domain.booking import Booking, BookingState
from reserve_ledger.domain.catalogue import Leg, Legs, Template, fill
from reserve_ledger.domain.chain import Ledger, Posted
from reserve_ledger.domain.chart import MERCHANT_AVAILABLE, MERCHANT_PENDING
from reserve_ledger.domain.disputes import DISPUTE_WON, Dispute
from reserve_ledger.domain.entries import Entry
from reserve_ledger.domain.movements import Movement
from reserve_ledger.domain.returns import onwards
from reserve_ledger.domain.templates import CLEARING, DEPOSIT, reversal, summed

Key = tuple[UUID, UUID]
"""Tenant, and payment, dispute, payout or fee."""
FACTS: Final = (
    *(PaymentFeeKnown, PaymentFundsAvailable, PaymentDisputed, PaymentDisputeClosed),
    DepositSwept,
    *movements.FACTS,
)
"""Beside them a success matters: what was said before it is due then."""


@dataclass(slots=True)
class Known:
    """What is stored of everything the facts of a batch concern."""

    bookings: dict[Key, Booking] = field(default_factory=dict)
    cleared: set[Key] = field(default_factory=set)
    fees: dict[tuple[UUID, UUID, str], int] = field(default_factory=dict)
    """What a provider kept of a payment, by tenant, payment and asset."""
    disputes: dict[Key, Dispute] = field(default_factory=dict)
    movements: dict[Key, Movement] = field(default_factory=dict)
    credits: dict[tuple[UUID, UUID, str], int] = field(default_factory=dict)
    """What is left of the credit that payments gave their payers."""


@dataclass(slots=True)
class Changed:
    """What is to be saved."""

    bookings: set[Key] = field(default_factory=set)
    cleared: set[Key] = field(default_factory=set)
    fees: set[tuple[UUID, UUID, str]] = field(default_factory=set)
    disputes: set[Key] = field(default_factory=set)
    movements: set[Key] = field(default_factory=set)


_CODES: Final = ("1200", "1210", "2100", "2110", "2500", "4100", "5100", "5300")


def concerns(fact: Event) -> bool:
    """Whether anything may follow from it: of a success only where its money lies elsewhere."""
    if isinstance(fact, PaymentSucceeded):
        return fact.held_at in (CLEARING, DEPOSIT)
    return isinstance(fact, FACTS)


def payments_of(fact: Event) -> list[Key]:
    """The payments a fact concerns."""
    if isinstance(fact, DepositSwept):
        return [(fact.tenant_id, payment) for payment in fact.payments]
    return [(fact.tenant_id, fact.payment_id)] if isinstance(fact, PaymentEvent) else []


def touched(fact: Event, known: Known) -> list[Leg]:
    """Every account the fact may move."""
    if isinstance(fact, movements.FACTS):
        found = movements.read(fact)
        if found is None:
            return []
        name = (fact.tenant_id, movements.name_of(fact))
        return movements.touched(known.movements.get(name, found[0]))
    keys = payments_of(fact)
    disputed = [d for d in known.disputes.values() if (d.tenant_id, d.payment_id) in keys]
    assets = {b.split.asset for key in keys if (b := known.bookings.get(key))}
    assets |= {d.asset for d in disputed}
    for name_of_amount in ("amount", "fee", "disputed"):
        amount = getattr(fact, name_of_amount, None)
        if isinstance(amount, Amount):
            assets.add(amount.asset)
    legs = [Leg(code, asset, 0) for asset in sorted(assets) for code in _CODES]
    providers = {getattr(fact, "provider", "")} | {d.provider for d in disputed}
    addresses = [f"provider:{name}:clearing" for name in sorted(providers)]
    return legs + [Leg("1300", asset, 0, at) for asset in sorted(assets) for at in addresses]


class Settlements:
    """Settlement of one batch, and what each fact makes of it."""

    def __init__(
        self, known: Known, ledgers: Mapping[UUID, Ledger], new_id: Callable[[], UUID]
    ) -> None:
        """Start from what is stored; the ledgers hold every account that `touched` names."""
        self._known = known
        self._ledgers = ledgers
        self._new_id = new_id
        self.changed = Changed()
        self.posted: list[Posted] = []
        self.stated: list[tuple[Event, UUID]] = []

    def take(self, fact: Event, cause: UUID) -> None:
        """Decide one fact and post what follows."""
        match fact:
            case PaymentSucceeded():
                self._succeeded(fact, cause)
            case PaymentFeeKnown():
                self._fee(fact, fact.fee, cause)
            case PaymentFundsAvailable() | DepositSwept():
                keys = payments_of(fact)
                self._known.cleared.update(keys)
                self.changed.cleared.update(keys)
                self._clear(keys, fact.invoice_id, cause)
            case PaymentDisputed() | PaymentDisputeClosed():
                self._disputed(fact, cause)
            case _ if isinstance(fact, movements.FACTS):
                self._move(fact, cause)
            case _:
                raise TypeError(f"nothing is settled by {fact.TYPE}")

    def _succeeded(self, fact: PaymentSucceeded, cause: UUID) -> None:
        key = (fact.tenant_id, fact.payment_id)
        if fact.fee and fact.held_at == CLEARING and (*key, fact.fee.asset) not in self._known.fees:
            self._fee(fact, fact.fee, cause)
        if key in self._known.cleared:
            self._clear([key], fact.invoice_id, cause)
        waiting = [d for d in self._known.disputes.values() if (d.tenant_id, d.payment_id) == key]
        for dispute in sorted(waiting, key=lambda d: d.id):
            if dispute.transaction_id is None:
                self._follow(dispute, dispute.cause_event_id)

    def _fee(self, fact: PaymentEvent, fee: Amount, cause: UUID) -> None:
        """Book what is more, or less, than was known of it."""
        if fee.amount_minor < 0:
            raise ValueError("a fee cannot be negative")
        key = (fact.tenant_id, fact.payment_id, fee.asset)
        more = fee.amount_minor - self._known.fees.get(key, 0)
        self._known.fees[key] = fee.amount_minor
        self.changed.fees.add(key)
        if more:
            name = "provider_fee_known" if more > 0 else "provider_fee_returned"
            names = {"provider": fact.provider}
            template, legs = fill(name, fee.asset, {"amount": abs(more)}, names)
            self._post(fact, template, legs, cause)

    def _clear(self, keys: Sequence[Key], invoice_id: UUID, cause: UUID) -> None:
        """Sweep what is booked of these payments, and make available what is pending of them."""
        ready = [b for key in keys if (b := self._known.bookings.get(key)) and b.waits]
        if not ready:
            return
        only = ready[0].payment_id if len(ready) == 1 else None
        about = _About(ready[0].tenant_id, invoice_id, only)
        swept = [
            (b.split.asset, {"amount": b.split.amount_minor}) for b in ready if b.lies_at_an_address
        ]
        if swept:
            self._post(about, *summed("deposit_flushed", swept), cause)
        for name in sorted({b.clears_by for b in ready}):
            final = [
                (b.split.asset, b.final) for b in ready if b.clears_by == name and b.pending_minor
            ]
            if final:
                self._post(about, *summed(name, final), cause)
        for booking in ready:
            self._save_booking(replace(booking, cleared=True))

    def _disputed(self, fact: PaymentDisputed | PaymentDisputeClosed, cause: UUID) -> None:
        before = self._known.disputes.get((fact.tenant_id, fact.dispute_id))
        dispute = disputes.told(before, fact, cause)
        if dispute == before:
            return
        if dispute.fee_asset and dispute.fee_minor and (before is None or not before.fee_asset):
            amounts, names = {"amount": dispute.fee_minor}, {"provider": dispute.provider}
            self._post(fact, *fill("chargeback_fee", dispute.fee_asset, amounts, names), cause)
        self._save_dispute(dispute)
        if before is None or before.outcome != dispute.outcome:
            self._follow(dispute, cause)

    def _follow(self, dispute: Dispute, cause: UUID) -> None:
        """Bring the books to where the dispute stands; it waits for its payment where needed."""
        key = (dispute.tenant_id, dispute.payment_id)
        booking = self._known.bookings.get(key)
        if booking is None or booking.state is not BookingState.BOOKED:
            return
        if dispute.outcome == disputes.WON:
            if dispute.is_taken:
                self._give_back(dispute, booking, cause)
            return
        if not dispute.is_taken:
            dispute = self._charge_back(dispute, booking, cause)
        self._state(dispute, dispute.outcome, cause)

    def _charge_back(self, dispute: Dispute, booking: Booking, cause: UUID) -> Dispute:
        credit = (dispute.tenant_id, dispute.payment_id, dispute.asset)
        same = booking.split.asset == dispute.asset
        available = self._ledgers[dispute.tenant_id].account(Leg("2100", dispute.asset, 0))
        taken = dispute.from_whom(
            self._known.credits.get(credit, 0) if same else 0,
            booking.pending_minor if same else 0,
            available.available_minor,
        )
        template, legs = taken.legs()
        posted = self._post(dispute, template, legs, cause)
        if taken.credit_minor:
            self._known.credits[credit] -= taken.credit_minor
        if taken.pending_minor:
            more = booking.taken_minor + taken.pending_minor
            self._save_booking(replace(booking, taken_minor=more))
        taken = replace(
            taken,
            transaction_id=posted.entry.id,
            sequence=posted.sequence,
            template=str(template),
        )
        self._save_dispute(taken)
        return taken

    def _give_back(self, dispute: Dispute, booking: Booking, cause: UUID) -> None:
        legs = reversal(dispute.legs()[1])
        posted = self._post(dispute, DISPUTE_WON, legs, cause, reverses=dispute.transaction_id)
        if dispute.credit_minor:
            credit = (dispute.tenant_id, dispute.payment_id, dispute.asset)
            left = self._known.credits.get(credit, 0)
            self._known.credits[credit] = left + dispute.credit_minor
        for code, minor in (
            (MERCHANT_PENDING, dispute.pending_minor),
            (MERCHANT_AVAILABLE, dispute.available_minor),
        ):
            if not minor or booking.split.asset != dispute.asset:
                continue
            onward = onwards(booking, code, minor)
            if onward.filled is not None:
                self._post(dispute, *onward.filled, cause)
            if onward.booking != booking:
                self._save_booking(booking := onward.booking)
        ended = replace(dispute, ended_by=posted.entry.id)
        self._save_dispute(ended)
        self._state(ended, disputes.WON, cause, posted)

    def _state(
        self, dispute: Dispute, outcome: str, cause: UUID, posted: Posted | None = None
    ) -> None:
        assert dispute.transaction_id is not None
        assert dispute.sequence is not None
        assert dispute.template is not None
        fact = ChargebackBooked(
            tenant_id=dispute.tenant_id,
            transaction_id=posted.entry.id if posted else dispute.transaction_id,
            sequence=posted.sequence if posted else dispute.sequence,
            template=str(DISPUTE_WON) if posted else dispute.template,
            invoice_id=dispute.invoice_id,
            payment_id=dispute.payment_id,
            dispute_id=dispute.id,
            amount=Amount(amount_minor=dispute.amount_minor, asset=dispute.asset),
            outcome=outcome,
            booked_at=self._ledgers[dispute.tenant_id].head.posted_at,
        )
        self.stated.append((fact, cause))

    def _move(self, fact: movements.MovementFact, cause: UUID) -> None:
        found = movements.read(fact)
        if found is None:
            return
        said, state = found
        movement = self._known.movements.get((said.tenant_id, said.id), said)
        path = movements.path(movement, state)
        if path is None:
            return
        after = replace(movement, state=state)
        for name in path:
            template, legs = fill(
                name, movement.asset, {"amount": movement.amount_minor}, movement.names
            )
            undone = movement.transaction_id if name == movements.FAILED else None
            about = _About(movement.tenant_id)
            posted = self._post(about, template, legs, cause, reverses=undone)
            if after.transaction_id is None:
                after = replace(after, transaction_id=posted.entry.id)
        self._known.movements[after.tenant_id, after.id] = after
        self.changed.movements.add((after.tenant_id, after.id))

    def _post(
        self, about: Any, template: Template, legs: Legs, cause: UUID, reverses: UUID | None = None
    ) -> Posted:
        entry = Entry(
            tenant_id=about.tenant_id,
            id=self._new_id(),
            template=template,
            cause_event_id=cause,
            legs=legs,
            invoice_id=about.invoice_id,
            payment_id=about.payment_id,
            reverses=reverses,
        )
        posted = self._ledgers[entry.tenant_id].post(entry)
        self.posted.append(posted)
        return posted

    def _save_booking(self, booking: Booking) -> None:
        key = (booking.tenant_id, booking.payment_id)
        self._known.bookings[key] = booking
        self.changed.bookings.add(key)

    def _save_dispute(self, dispute: Dispute) -> None:
        key = (dispute.tenant_id, dispute.id)
        self._known.disputes[key] = dispute
        self.changed.disputes.add(key)


@dataclass(frozen=True, slots=True)
class _About:
    tenant_id: UUID
    invoice_id: UUID | None = None
    payment_id: UUID | None = None


def bookings_by_key(bookings: Iterable[Booking]) -> dict[Key, Booking]:
    """Bookings by tenant and payment."""
    return {(b.tenant_id, b.payment_id): b for b in bookings}
