"""Money that went back: refunds and disputes that were lost, whatever the order of the news.

Of each payment there counts as gone what went back of it, and never more than counts of it as
paid. So a refund of money that was never counted changes nothing, and any order of the same facts
ends in the same state.
"""

from collections.abc import Mapping
from uuid import UUID

from invoice.domain import facts
from invoice.domain.states import BookingState, Invoice, Return, ReturnKind, S
from invoiceos_contracts import Amount, Event
from invoiceos_contracts.base import SettlementStatus
from invoiceos_contracts.invoice_v1 import InvoiceChargedBack, InvoiceRefunded
from invoiceos_contracts.ledger_v1 import ChargebackBooked, ReservationSettled
from money import Rounding

LOST = "lost"


def read(fact: ReservationSettled | ChargebackBooked) -> Return | None:
    """What a fact of the ledger says; None where it is of no invoice's money."""
    if isinstance(fact, ChargebackBooked):
        of, kind, gone = fact.dispute_id, ReturnKind.CHARGEBACK, fact.outcome == LOST
    elif fact.purpose == "refund" and fact.payment_id is not None:
        of, kind, gone = fact.reservation_id, ReturnKind.REFUND, True
    else:
        return None
    assert fact.payment_id is not None
    return Return(
        id=of,
        payment_id=fact.payment_id,
        kind=kind,
        is_gone=gone,
        amount_minor=fact.amount.amount_minor,
        asset=fact.amount.asset,
        micros=0,
        booked_at=fact.booked_at,
    )


def is_known(invoice: Invoice, news: Return) -> bool:
    """Whether it says nothing new: of a dispute the latest news counts, by the ledger's time."""
    known = invoice.returns.get(news.id)
    return known is not None and (known.booked_at, known.is_gone) >= (news.booked_at, news.is_gone)


def gone_of(invoice: Invoice) -> Mapping[ReturnKind, int]:
    """Millionths that went back, by kind; nothing where nothing did."""
    counted: dict[UUID, int] = {}
    for booking in invoice.bookings.values():
        if booking.state is BookingState.COUNTED:
            counted[booking.payment_id] = counted.get(booking.payment_id, 0) + booking.micros
    gone: dict[ReturnKind, int] = {}
    for one in sorted(invoice.returns.values(), key=lambda one: (one.kind, one.id)):
        of_it = min(counted.get(one.payment_id, 0), one.micros) if one.is_gone else 0
        if of_it:
            counted[one.payment_id] -= of_it
            gone[one.kind] = gone.get(one.kind, 0) + of_it
    return gone


def settlement_of(left: int, asked: int, gone: Mapping[ReturnKind, int]) -> SettlementStatus:
    """Where an invoice stands that money went back of.

    What was paid too much and given back, or paid again, leaves it paid.
    """
    if left > asked:
        return S.OVERPAID
    if left == asked:
        return S.PAID
    if ReturnKind.CHARGEBACK in gone:
        return S.CHARGED_BACK
    return S.PARTIALLY_REFUNDED if left else S.REFUNDED


def stated(invoice: Invoice, news: Return) -> Event:
    """The fact that money went back."""
    left = invoice.received_micros - sum(gone_of(invoice).values())
    common = {
        **facts.standing(invoice),
        "payment_id": news.payment_id,
        "amount": Amount(amount_minor=news.amount_minor, asset=news.asset),
        "left": facts.amount_of(invoice, left, Rounding.DOWN),
    }
    if news.kind is ReturnKind.REFUND:
        return InvoiceRefunded.model_validate({**common, "refund_id": news.id})
    return InvoiceChargedBack.model_validate({**common, "dispute_id": news.id})
