"""From an invoice to the events that show where it stands."""

from typing import Any, Final, TypedDict
from uuid import UUID

from invoice.domain.states import Booking, Invoice, Payment, S
from invoiceos_contracts import Amount, Event
from invoiceos_contracts.invoice_v1 import (
    InvoiceLatePayment,
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePartiallyPaid,
    InvoiceProcessing,
    InvoiceStatus,
)
from money import ASSETS, EXPONENT_MAX, Rounding, asset, divide

MICROS_MAX: Final = 10**18
"""More than this is never counted for one invoice; it is also the largest total."""


class Standing(TypedDict):
    """The fields that every invoice event has."""

    tenant_id: UUID
    invoice_id: UUID
    number: str | None
    status: InvoiceStatus
    total: Amount
    due: Amount
    received: Amount
    received_micros: int


def micros_per_minor(code: str) -> int:
    """How many millionths of its currency one minor unit of an asset is worth."""
    return int(10 ** (EXPONENT_MAX - asset(code).exponent))


def total_micros(invoice: Invoice) -> int:
    """What the invoice asks for, in millionths of its currency."""
    return invoice.asked_micros


def worth(invoice: Invoice, minor: int, code: str) -> int | None:
    """Millionths of the invoice's currency; None where the money cannot count towards it."""
    token = ASSETS.get(code)
    if token is None or token.currency != asset(invoice.terms.asset).currency:
        return None
    micros = minor * micros_per_minor(token.code)
    return micros if 0 < micros <= MICROS_MAX else None


def amount(invoice: Invoice, minor: int) -> Amount:
    """So many minor units of the invoice's asset."""
    return Amount(amount_minor=minor, asset=invoice.terms.asset)


def amount_of(invoice: Invoice, micros: int, rounding: Rounding) -> Amount:
    """So many millionths, in the invoice's asset."""
    return amount(invoice, divide(micros, micros_per_minor(invoice.terms.asset), rounding))


def shortage(invoice: Invoice) -> Amount:
    """What is missing to the total, rounded up; zero when nothing is."""
    missing = max(0, total_micros(invoice) - invoice.received_micros)
    return amount_of(invoice, missing, Rounding.UP)


def excess(invoice: Invoice) -> Amount:
    """What came beyond the total, rounded down."""
    beyond = max(0, invoice.received_micros - total_micros(invoice))
    return amount_of(invoice, beyond, Rounding.DOWN)


def due(invoice: Invoice) -> Amount:
    """What remains to be paid: nothing once settled, for the tolerance forgives the rest."""
    return amount(invoice, 0) if invoice.is_settled else shortage(invoice)


def status(invoice: Invoice) -> InvoiceStatus:
    """The three axes."""
    return InvoiceStatus(
        document=invoice.document, settlement=invoice.settlement, timeliness=invoice.timeliness
    )


def standing(invoice: Invoice) -> Standing:
    """Where the invoice stands, as every event says it."""
    return Standing(
        tenant_id=invoice.tenant_id,
        invoice_id=invoice.id,
        number=invoice.number,
        status=status(invoice),
        total=amount(invoice, invoice.sums.total_minor),
        due=due(invoice),
        received=amount_of(invoice, invoice.received_micros, Rounding.DOWN),
        received_micros=invoice.received_micros,
    )


def about_draft(invoice: Invoice) -> dict[str, Any]:
    """What the events of a draft say beyond its standing."""
    terms = invoice.terms
    return {
        "customer_id": terms.customer_id,
        "reference": terms.reference,
        "due_at": terms.due_at,
    }


def processing(invoice: Invoice, payment: Payment) -> InvoiceProcessing:
    """A payment is on its way."""
    amount_seen = Amount(amount_minor=payment.amount_minor, asset=payment.asset)
    return InvoiceProcessing(**standing(invoice), payment_id=payment.payment_id, amount=amount_seen)


def late(invoice: Invoice, booking: Booking, *, policy: str) -> InvoiceLatePayment:
    """Money came that was not waited for any more."""
    return InvoiceLatePayment(
        **standing(invoice),
        booking_id=booking.transaction_id,
        amount=_amount_of_booking(booking),
        policy=policy,
    )


def _amount_of_booking(booking: Booking) -> Amount:
    return Amount(amount_minor=booking.amount_minor, asset=booking.asset)


def booked(invoice: Invoice, booking: Booking) -> list[Event]:
    """What a booking made of the invoice."""
    common = standing(invoice)
    booking_id, amount = booking.transaction_id, _amount_of_booking(booking)
    match invoice.settlement:
        case S.OVERPAID:
            beyond = excess(invoice)
            return [InvoiceOverpaid(**common, booking_id=booking_id, amount=amount, excess=beyond)]
        case S.PAID:
            missing = shortage(invoice)
            return [InvoicePaid(**common, booking_id=booking_id, amount=amount, shortage=missing)]
        case _:
            missing = shortage(invoice)
            return [
                InvoicePartiallyPaid(
                    **common, booking_id=booking_id, amount=amount, shortage=missing
                )
            ]
