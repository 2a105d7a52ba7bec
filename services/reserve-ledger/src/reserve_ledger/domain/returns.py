"""What a void or a return finds gone already: refunded to the payer, or spent by the merchant.

A void makes the payer's what is still there, and no more: nobody pays for it. A payment that is
taken back is gone as a whole, so what is missing of it comes from the platform's fee of it, from
what the merchant has, and from the platform, in this order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from reserve_ledger.domain.booking import Booking, BookingState
from reserve_ledger.domain.catalogue import Leg, Legs, Template, fill
from reserve_ledger.domain.chart import MERCHANT_AVAILABLE, MERCHANT_PENDING, PAYER_UNAPPLIED


@dataclass(frozen=True, slots=True)
class Gone:
    """What refunds and chargebacks took of a payment, beside its pending part."""

    from_available_minor: int = 0
    from_credit_minor: int = 0


NOTHING: Final = Gone()


@dataclass(slots=True)
class Till:
    """What merchants have while a batch is decided, and what is gone of its payments."""

    gone: Mapping[tuple[UUID, UUID], Gone] = field(default_factory=dict)
    """By tenant and payment."""
    available: dict[tuple[UUID, str], int] = field(default_factory=dict)
    """By tenant and asset: what can be taken from what the merchant has."""

    def there(self, booking: Booking) -> int:
        """What the merchant has in the payment's asset."""
        return max(0, self.available.get((booking.tenant_id, booking.split.asset), 0))

    def gone_of(self, booking: Booking) -> Gone:
        """What is gone of a payment."""
        return self.gone.get((booking.tenant_id, booking.payment_id), NOTHING)

    def post(self, tenant_id: UUID, legs: Iterable[Leg]) -> None:
        """What was decided is posted before what is decided next."""
        for leg in legs:
            if leg.account == MERCHANT_AVAILABLE and leg.address is None:
                key = (tenant_id, leg.asset)
                self.available[key] = self.available.get(key, 0) - leg.amount_minor


def given_up(bookings: Iterable[Booking], till: Till) -> list[tuple[Booking, dict[str, int]]]:
    """What a void makes the payer's of each payment of its invoice, and the bookings after it.

    What is pending is there. What the payer was given back before is not given a second time, and
    what the merchant has spent cannot be given at all: it stays as it is.
    """
    spent: dict[str, int] = {}
    found: list[tuple[Booking, dict[str, int]]] = []
    for booking in bookings:
        left, asset = booking.left_minor, booking.split.asset
        if booking.waits:
            found.append((replace(booking, reclassed=True), {"applied": left}))
            continue
        due = max(0, left - till.gone_of(booking).from_available_minor)
        fee = min(booking.fee_minor(left), due)
        taken = min(due - fee, max(0, till.there(booking) - spent.get(asset, 0)))
        spent[asset] = spent.get(asset, 0) + taken
        kept = left - fee - taken
        shares = {"applied": fee + taken, "fee": fee}
        found.append((replace(booking, reclassed=True, kept_minor=kept), shares))
    return found


def cover(booking: Booking, till: Till) -> tuple[tuple[Template, Legs] | None, int]:
    """What makes up for what is gone of a payment that is taken back; the platform's part of it."""
    left = booking.left_minor
    gone = till.gone_of(booking).from_credit_minor
    if booking.reclassed:
        fee = booking.fee_minor(left)
        amounts = {
            "fee": fee - min(fee, left - booking.kept_minor),
            "pending": 0,
            "credit": gone + booking.taken_minor + booking.kept_minor,
        }
        owed = 0
    else:
        amounts = {"fee": 0, "pending": booking.taken_minor, "credit": gone}
        owed = 0 if booking.waits else left - booking.fee_minor(left)
    there = till.there(booking)
    missing = amounts["pending"] + amounts["credit"] - amounts["fee"]
    taken = min(missing, max(0, there - owed))
    amounts |= {"topup": max(0, owed - there), "available": taken}
    filled = fill("payment_return_covered", booking.split.asset, amounts)
    return (filled if filled[1] else None), missing + amounts["topup"] - taken


@dataclass(frozen=True, slots=True)
class Onward:
    """Where money goes that is free again, beyond the account it was taken from."""

    booking: Booking
    filled: tuple[Template, Legs] | None = None


def onwards(booking: Booking, taken_from: str, minor: int) -> Onward:
    """Bring so much, free again where it was taken from, to where its payment is by now."""
    pending = taken_from == MERCHANT_PENDING
    if booking.state is BookingState.REVERSED or (pending and booking.taken_minor < minor):
        return _recovered(booking, taken_from, minor)
    if pending:
        after = replace(booking, taken_minor=booking.taken_minor - minor)
        return Onward(after, booking.goes_on(minor))
    owed = min(booking.kept_minor, minor) if taken_from == MERCHANT_AVAILABLE else 0
    if not owed:
        return Onward(booking)
    # A void found it gone: now it is there, and the payer's.
    shares = {"applied": owed, "fee": 0}
    after = replace(booking, kept_minor=booking.kept_minor - owed)
    return Onward(after, fill("invoice_voided_reclass", booking.split.asset, shares))


def _recovered(booking: Booking, taken_from: str, minor: int) -> Onward:
    """It makes good what the platform bore when the payment was taken back; the rest is kept."""
    short = min(booking.short_minor, minor)
    amounts = {"credit": 0, "pending": 0, "available": 0, "short": short}
    if taken_from == MERCHANT_AVAILABLE:
        amounts["available"] = short
    else:
        names = {PAYER_UNAPPLIED: "credit", MERCHANT_PENDING: "pending"}
        amounts[names[taken_from]] = minor
    template, legs = fill("return_recovered", booking.split.asset, amounts)
    after = replace(booking, short_minor=booking.short_minor - short)
    return Onward(after, (template, legs) if legs else None)
