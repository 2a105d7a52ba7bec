"""What the ledger answers to a request for money."""

from typing import Any

from invoiceos_contracts import Event
from invoiceos_contracts.base import Amount
from invoiceos_contracts.ledger_v1 import (
    FundsReleased,
    FundsReservationRefused,
    FundsReserved,
    ReservationSettled,
)
from reserve_ledger.domain.reservations import Decided, State


def answer_to(decided: Decided) -> Event:
    """The fact of one decision."""
    kept = decided.reservation
    about: dict[str, Any] = {
        "tenant_id": kept.tenant_id,
        "reservation_id": kept.id,
        "purpose": kept.purpose,
        "amount": kept.amount,
        "invoice_id": kept.invoice_id,
        "payment_id": kept.payment_id,
    }
    if decided.posted is None:
        available = Amount(amount_minor=max(0, decided.available_minor), asset=kept.asset)
        return FundsReservationRefused(**about, cause=decided.cause, available=available)
    booked: dict[str, Any] = {
        "transaction_id": decided.posted.entry.id,
        "booked_at": decided.posted.posted_at,
    }
    if kept.state is State.RESERVED:
        return FundsReserved(**about, **booked)
    if kept.state is State.RELEASED:
        return FundsReleased(**about, **booked, cause=decided.cause)
    return ReservationSettled(**about, **booked)
