"""What is known of a wallet's payments, and which of them came late.

The rule. A payment is a candidate if it was first announced inside a stretch in which the wallet
was closed: after the time of the fact that closed it, or after the end of its time to live.
"First announced" is the time in the envelope of the payment's first fact (`PaymentSeen`; without
one, when it became final).

- Closed by its end or by a void: a candidate is late.
- Closed because the invoice was paid: a candidate is late if nothing of it counted towards the
  invoice (the ledger booked all of it as excess, or to suspense). If something of it did count,
  the settling payment may have been taken back without our having heard of it yet; so it is late
  only if the closing still stands when the window ends, and it is not the settling payment itself.

Nothing depends on the order in which this service hears of it all: what cannot be decided yet is
decided when the missing fact comes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ephemeral_manager.domain.wallet import PAID, Closure, State, Step, Wallet, restart_window
from invoiceos_contracts import Amount, Event
from invoiceos_contracts.ephemeral_v1 import LateFundsDetected, LateFundsResolved
from invoiceos_contracts.ledger_v1 import FundsBooked
from invoiceos_contracts.payment_v1 import (
    PaymentConflicted,
    PaymentEvent,
    PaymentFailed,
    PaymentReverted,
    PaymentSeen,
    PaymentSucceeded,
)

AWAITS_BOOKING = "await_booking"
"""Policy while late money is not booked: the ledger decides what becomes of it."""
ACCEPT, CREDIT, SUSPENSE, REVERTED = "accept", "credit", "suspense", "reverted"
_ENDED = frozenset({State.DESTROYING, State.DESTROYED})


class PaymentState(StrEnum):
    """What the payment's own facts last said."""

    SEEN = "seen"
    FINAL = "final"
    REVERTED = "reverted"
    CONFLICTED = "conflicted"
    FAILED = "failed"


class Lateness(StrEnum):
    """How far the matter of a late payment is."""

    DETECTED = "detected"
    RESOLVED = "resolved"


_STATE_OF: Mapping[type[Event], PaymentState] = {
    PaymentSeen: PaymentState.SEEN,
    PaymentSucceeded: PaymentState.FINAL,
    PaymentReverted: PaymentState.REVERTED,
    PaymentConflicted: PaymentState.CONFLICTED,
    PaymentFailed: PaymentState.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment to a wallet."""

    tenant_id: UUID
    id: UUID
    wallet_id: UUID
    invoice_id: UUID
    amount: Amount
    state: PaymentState | None = None
    """None while only the ledger has spoken of it."""
    first_seen_at: datetime | None = None
    finals: int = 0
    """How often it became final; more than once after a reorganisation of the chain."""
    booking_ids: tuple[UUID, ...] = ()
    booked_sequence: int = 0
    policy: str | None = None
    """What became of it by its latest booking."""
    late: Lateness | None = None

    @property
    def unknown(self) -> bool:
        """Whether its end is open: on its way, or final and not booked."""
        if self.state is PaymentState.SEEN:
            return True
        return self.state is PaymentState.FINAL and len(self.booking_ids) < self.finals

    @property
    def outcome(self) -> str | None:
        """What became of it, once that is certain."""
        if self.policy is not None:
            return self.policy
        if self.state is PaymentState.CONFLICTED:
            return SUSPENSE
        gone = self.state in (PaymentState.REVERTED, PaymentState.FAILED)
        # One that had become final is booked before its reversal is: then the ledger's word counts.
        return REVERTED if gone and self.finals == 0 else None


def announced(fact: PaymentEvent | FundsBooked) -> Payment:
    """A payment nothing was known of until this fact."""
    if isinstance(fact, FundsBooked):
        total = fact.applied.amount_minor + fact.excess.amount_minor
        amount = Amount(amount_minor=total, asset=fact.applied.asset)
    else:
        amount = fact.amount
    return Payment(
        tenant_id=fact.tenant_id,
        id=fact.payment_id,
        wallet_id=fact.wallet_id,
        invoice_id=fact.invoice_id,
        amount=amount,
    )


def note(payment: Payment, fact: PaymentEvent | FundsBooked, at: datetime) -> Payment:
    """The payment after a fact that was stated at a time."""
    if isinstance(fact, FundsBooked):
        return _note_booking(payment, fact)
    final = isinstance(fact, PaymentSucceeded)
    first = fact.final_at if isinstance(fact, PaymentSucceeded) else at
    return replace(
        payment,
        state=_STATE_OF[type(fact)],
        amount=fact.amount,
        first_seen_at=payment.first_seen_at or first,
        finals=payment.finals + final,
    )


def _note_booking(payment: Payment, fact: FundsBooked) -> Payment:
    if fact.transaction_id in payment.booking_ids:
        return payment
    booked = replace(payment, booking_ids=(*payment.booking_ids, fact.transaction_id))
    if fact.sequence <= payment.booked_sequence:
        return booked
    policy = ACCEPT if fact.applied.amount_minor > 0 else CREDIT
    return replace(booked, booked_sequence=fact.sequence, policy=policy)


def unknown_payments(payments: Iterable[Payment]) -> int:
    """How many payments' ends are open."""
    return sum(payment.unknown for payment in payments)


def is_late(
    wallet: Wallet, payment: Payment, payer_of: Mapping[UUID, UUID], *, final: bool = False
) -> bool | None:
    """Whether a payment came late; None while that cannot be said yet.

    `payer_of` maps bookings to the payments they book; `final` says that the window is over.
    """
    first = payment.first_seen_at
    if first is None:
        return None
    verdicts = []
    for closure in wallet.closures:
        if closure.covers(first):
            if closure.reason != PAID or first > wallet.expires_at:
                return True
            settled_by = None if closure.booking_id is None else payer_of.get(closure.booking_id)
            certain = wallet.state in _ENDED or (final and payment.outcome == ACCEPT)
            verdicts.append(_late_after_payment(closure, payment, settled_by, certain=certain))
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _late_after_payment(
    closure: Closure, payment: Payment, settled_by: UUID | None, *, certain: bool
) -> bool | None:
    """Whether a payment announced after the invoice was paid is late."""
    if payment.id == settled_by:
        return False
    if payment.outcome in (CREDIT, SUSPENSE):
        return True
    if closure.until is not None:
        return False
    return True if certain and settled_by is not None else None


def review(
    wallet: Wallet, payments: Iterable[Payment], now: datetime, *, final: bool = False
) -> tuple[Step, list[Payment]]:
    """Judge every payment that is not settled yet: the step, and the payments that changed."""
    ordered = sorted(payments, key=lambda payment: payment.id)
    payer_of = {booking: payment.id for payment in ordered for booking in payment.booking_ids}
    step, changed = Step(wallet), []
    for payment in ordered:
        judged = payment
        if judged.late is None and is_late(wallet, judged, payer_of, final=final):
            judged = replace(judged, late=Lateness.DETECTED)
            step = step.then(Step(step.wallet, (_detected(wallet, judged),)))
        if judged.late is Lateness.DETECTED and judged.outcome is not None:
            fact = _resolved(wallet, judged, judged.outcome)
            judged = replace(judged, late=Lateness.RESOLVED)
            step = step.then(Step(step.wallet, (fact,)))
            step = step.then(restart_window(step.wallet, now))
        if judged is not payment:
            changed.append(judged)
    return step, changed


def _detected(wallet: Wallet, payment: Payment) -> LateFundsDetected:
    return LateFundsDetected(
        **wallet.names, payment_id=payment.id, amount=payment.amount, policy=AWAITS_BOOKING
    )


def _resolved(wallet: Wallet, payment: Payment, policy: str) -> LateFundsResolved:
    return LateFundsResolved(
        **wallet.names, payment_id=payment.id, amount=payment.amount, policy=policy
    )
