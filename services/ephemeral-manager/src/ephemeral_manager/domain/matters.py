"""What keeps a wallet from its end beside the payments to it: money that is still being dealt with.

A payment that somebody begins to collect has no known outcome until it ends one way or the other; a
refund until it is done, failed or given up; a dispute until it is decided.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from invoiceos_contracts import Event
from invoiceos_contracts.payment_v1 import (
    IntentEvent,
    PaymentCanceled,
    PaymentCaptured,
    PaymentConflicted,
    PaymentCreated,
    PaymentDisputeClosed,
    PaymentDisputed,
    PaymentEvent,
    PaymentExpired,
    PaymentFailed,
    PaymentSucceeded,
    PaymentVoided,
    RefundCanceled,
    RefundEvent,
    RefundFailed,
    RefundRequested,
    RefundSucceeded,
)


class Kind(StrEnum):
    """What is open."""

    PAYMENT = "payment"
    REFUND = "refund"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True)
class Matter:
    """Something about an invoice's money, and whether it has come to its end."""

    tenant_id: UUID
    kind: Kind
    id: UUID
    invoice_id: UUID
    ended: bool


@dataclass(frozen=True, slots=True)
class Open:
    """How many of each are open."""

    payments: int = 0
    refunds: int = 0
    disputes: int = 0


_COLLECTED = (PaymentSucceeded, PaymentConflicted, PaymentFailed)
_GIVEN_UP = (PaymentCanceled, PaymentExpired, PaymentVoided)
_REFUND_ENDS = (RefundSucceeded, RefundFailed, RefundCanceled)


def matter_of(fact: Event) -> Matter | None:
    """What a fact says of a matter; None where it says nothing of its beginning or end."""
    match fact:
        case PaymentDisputed() | PaymentDisputeClosed():
            ended = isinstance(fact, PaymentDisputeClosed)
            return _matter(fact, Kind.DISPUTE, fact.dispute_id, ended=ended)
        case RefundRequested():
            return _matter(fact, Kind.REFUND, fact.refund_id, ended=False)
        case RefundEvent() if isinstance(fact, _REFUND_ENDS):
            return _matter(fact, Kind.REFUND, fact.refund_id, ended=True)
        case PaymentCreated():
            return _matter(fact, Kind.PAYMENT, fact.payment_id, ended=False)
        case PaymentEvent() | IntentEvent() if _ends(fact):
            return _matter(fact, Kind.PAYMENT, fact.payment_id, ended=True)
        case _:
            return None


def _ends(fact: Event) -> bool:
    """Whether collecting a payment is over; of several invoices one may have got nothing."""
    nothing = isinstance(fact, PaymentCaptured) and fact.captured.amount_minor == 0
    return nothing or isinstance(fact, _COLLECTED + _GIVEN_UP)


def _matter(
    fact: PaymentEvent | IntentEvent | RefundEvent, kind: Kind, matter_id: UUID, *, ended: bool
) -> Matter:
    return Matter(fact.tenant_id, kind, matter_id, fact.invoice_id, ended)
