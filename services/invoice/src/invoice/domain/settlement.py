"""How money changes an invoice, whatever the order in which the news of it comes.

The settlement axis is a function of two things alone: the sum of the bookings that count, and
whether a payment is on its way. So any order of the same facts ends in the same state; only the
facts stated on the way differ.
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from invoice.domain import facts, returns
from invoice.domain.states import (
    ISSUED,
    RETURNED,
    SETTLED,
    Booking,
    BookingState,
    D,
    Decision,
    Invoice,
    Payment,
    S,
    Sighting,
    T,
)
from invoiceos_contracts import Amount, Event
from invoiceos_contracts.base import MAX_MINOR, SettlementStatus
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroyed, EphemeralWalletExtended
from invoiceos_contracts.invoice_v1 import (
    InvoiceClosed,
    InvoiceExpired,
    InvoiceOverdue,
    InvoicePaymentFailed,
    InvoicePaymentReversed,
    InvoiceReopened,
    InvoiceSettledLate,
)
from invoiceos_contracts.ledger_v1 import (
    ChargebackBooked,
    FundsBooked,
    FundsReversed,
    ReservationSettled,
)
from invoiceos_contracts.payment_v1 import (
    PaymentCanceled,
    PaymentCreated,
    PaymentExpired,
    PaymentFailed,
    PaymentReverted,
    PaymentSeen,
    PaymentSubmitted,
)

SYSTEM = "system"
_NEXT_WHEN_SEEN = {
    Sighting.UNSEEN: Sighting.SEEN,
    Sighting.SEEN: Sighting.SEEN,
    Sighting.REVERTED: Sighting.SEEN,
    Sighting.REVERTED_FIRST: Sighting.REVERTED,
    Sighting.ENDED: Sighting.ENDED,
}
_NEXT_WHEN_REVERTED = {
    Sighting.UNSEEN: Sighting.REVERTED_FIRST,
    Sighting.SEEN: Sighting.REVERTED,
    Sighting.REVERTED: Sighting.REVERTED,
    Sighting.REVERTED_FIRST: Sighting.REVERTED_FIRST,
    Sighting.ENDED: Sighting.ENDED,
}


def fold(  # noqa: PLR0911 - one return a kind of fact
    invoice: Invoice, fact: Event, *, now: datetime
) -> Decision:
    """What a fact of another service makes of the invoice; nothing for a fact it does not know."""
    match fact:
        case PaymentSeen():
            return see(invoice, fact)
        case PaymentReverted():
            return revert(invoice, fact)
        case FundsBooked():
            return book(invoice, fact)
        case FundsReversed():
            return reverse(invoice, fact, now=now)
        case ReservationSettled() | ChargebackBooked():
            return give_back(invoice, fact)
        case PaymentCreated() | PaymentSubmitted():
            return begin(invoice, fact)
        case PaymentFailed() | PaymentCanceled() | PaymentExpired():
            return end(invoice, fact)
        case EphemeralWalletExtended():
            return extend(invoice, fact.until)
        case EphemeralWalletDestroyed():
            return lose_wallet(invoice, fact.certificate.body.destroyed_at)
        case _:
            return invoice, []


def see(invoice: Invoice, fact: PaymentSeen) -> Decision:
    """A payment is on its way: processing, unless money is already booked."""
    known = _payment(invoice, fact.payment_id, fact.amount)
    sighted = replace(
        known,
        sighting=_NEXT_WHEN_SEEN[known.sighting],
        amount_minor=fact.amount.amount_minor,
        asset=fact.amount.asset,
    )
    after = derive(_with_payment(invoice, sighted))
    return after, _processing(invoice, after, sighted)


def _processing(before: Invoice, after: Invoice, payment: Payment) -> list[Event]:
    if before.settlement is S.PROCESSING or after.settlement is not S.PROCESSING:
        return []
    return [facts.processing(after, payment)]


def begin(invoice: Invoice, fact: PaymentCreated | PaymentSubmitted) -> Decision:
    """Somebody is paying by a provider: processing, unless it has ended or money is booked."""
    known = _payment(invoice, fact.payment_id, fact.amount)
    if known.sighting is not Sighting.UNSEEN:
        return invoice, []
    sighted = replace(known, sighting=Sighting.SEEN)
    after = derive(_with_payment(invoice, sighted))
    return after, _processing(invoice, after, sighted)


def end(invoice: Invoice, fact: PaymentFailed | PaymentCanceled | PaymentExpired) -> Decision:
    """It came to nothing, for good: whatever is told of its beginning later changes nothing."""
    known = _payment(invoice, fact.payment_id, fact.amount)
    if known.sighting is Sighting.ENDED:
        return invoice, []
    ended = replace(known, sighting=Sighting.ENDED)
    after = derive(_with_payment(invoice, ended))
    reason = "expired" if isinstance(fact, PaymentExpired) else fact.cause
    return after, _failing(invoice, after, fact.payment_id, reason)


def give_back(invoice: Invoice, fact: ReservationSettled | ChargebackBooked) -> Decision:
    """Money went back to the payer, or is disputed."""
    news = returns.read(fact)
    if news is None or returns.is_known(invoice, news):
        return invoice, []
    worth = facts.worth(invoice, news.amount_minor, news.asset)
    news = replace(news, micros=worth or 0)
    kept = {**invoice.returns, news.id: news}
    after = derive(replace(invoice, returns=kept))
    if after.document not in ISSUED:
        return after, []
    if returns.gone_of(after) != returns.gone_of(invoice):
        if news.is_gone:
            return after, [returns.stated(after, news)]
        # A dispute that was lost is won after all: the money counts again.
        assert isinstance(fact, ChargebackBooked)
        booking = Booking(
            transaction_id=fact.transaction_id,
            payment_id=news.payment_id,
            state=BookingState.COUNTED,
            amount_minor=0,
            asset=news.asset,
            micros=0,
            booked_at=news.booked_at,
        )
        return after, facts.booked(after, booking)
    return after, []


def revert(invoice: Invoice, fact: PaymentReverted) -> Decision:
    """The payment was taken back; what was booked of it is reversed by the ledger's own fact."""
    known = _payment(invoice, fact.payment_id, fact.amount)
    sighting = _NEXT_WHEN_REVERTED[known.sighting]
    if sighting is known.sighting:
        return invoice, []
    reverts = known.final_reverts + fact.was_final
    after = derive(_with_payment(invoice, replace(known, sighting=sighting, final_reverts=reverts)))
    return after, _failing(invoice, after, fact.payment_id, fact.cause)


def _failing(before: Invoice, after: Invoice, payment_id: UUID, reason: str) -> list[Event]:
    if before.settlement is not S.PROCESSING or after.settlement is not S.UNPAID:
        return []
    standing = facts.standing(after)
    return [InvoicePaymentFailed(**standing, payment_id=payment_id, reason=reason)]


def book(invoice: Invoice, fact: FundsBooked) -> Decision:
    """The ledger booked a payment: it counts once, as soon as the invoice is open."""
    if fact.transaction_id in invoice.bookings:
        return invoice, []
    worth = _worth(invoice, fact.applied, fact.excess)
    booking = Booking(
        transaction_id=fact.transaction_id,
        payment_id=fact.payment_id,
        state=BookingState.HELD if worth is not None else BookingState.CREDITED,
        amount_minor=_sum(fact.applied, fact.excess),
        asset=fact.applied.asset,
        micros=worth or 0,
        booked_at=fact.booked_at,
    )
    if worth is None or invoice.document is D.VOID:
        return _credit(invoice, replace(booking, state=BookingState.CREDITED))
    if invoice.document not in ISSUED:
        return _with_booking(invoice, booking), []
    return count(invoice, booking)


def count(invoice: Invoice, booking: Booking) -> Decision:
    """A booking counts towards an issued invoice."""
    received = invoice.received_micros + booking.micros
    if received > facts.MICROS_MAX:
        return _credit(invoice, replace(booking, state=BookingState.CREDITED))
    counted = _with_booking(invoice, replace(booking, state=BookingState.COUNTED))
    after = derive(replace(counted, received_micros=received))
    if invoice.document is D.CLOSED:
        return after, [facts.late(after, booking, policy="credit")]
    stated: list[Event] = []
    if invoice.timeliness in (T.EXPIRED, T.PAID_LATE):
        stated.append(facts.late(after, booking, policy="accept"))
    stated += facts.booked(after, booking)
    if invoice.timeliness is T.OVERDUE and after.timeliness is T.SETTLED_LATE:
        assert after.overdue_since is not None
        stated.append(InvoiceSettledLate(**facts.standing(after), since=after.overdue_since))
    if returns.gone_of(after) != returns.gone_of(invoice):
        # Its refund was told of before the payment itself.
        of_it = [one for one in after.returns.values() if one.payment_id == booking.payment_id]
        stated += [returns.stated(after, one) for one in of_it if one.is_gone]
    return after, stated + _closing(invoice, after)


def reverse(invoice: Invoice, fact: FundsReversed, *, now: datetime) -> Decision:
    """The ledger undid a booking; one that has not come yet is remembered, and will not count."""
    known = invoice.bookings.get(fact.reverses)
    if known is None:
        minor = _sum(fact.applied, fact.excess)
        state = BookingState.REVERSED
        stub = Booking(
            fact.reverses, fact.payment_id, state, minor, fact.applied.asset, 0, fact.booked_at
        )
        after = derive(_with_booking(invoice, stub))
        return after, _failing(invoice, after, fact.payment_id, fact.cause)
    if known.state is BookingState.REVERSED:
        return invoice, []
    after = _with_booking(invoice, replace(known, state=BookingState.REVERSED))
    if known.state is BookingState.HELD:
        return derive(after), []
    if known.state is BookingState.COUNTED:
        after = replace(after, received_micros=after.received_micros - known.micros)
    after, lapsed = _lapse(invoice, derive(after), now)
    reversal = InvoicePaymentReversed(
        **facts.standing(after),
        booking_id=fact.transaction_id,
        amount=Amount(amount_minor=-known.amount_minor, asset=known.asset),
        shortage=facts.shortage(after),
    )
    return after, [reversal, *_reopening(invoice, after), *lapsed]


def extend(invoice: Invoice, until: datetime) -> Decision:
    """The wallet lives longer; never shorter, whatever the order of the news."""
    if invoice.expires_at is None or until <= invoice.expires_at:
        return invoice, []
    return replace(invoice, expires_at=until), []


def lose_wallet(invoice: Invoice, destroyed_at: datetime) -> Decision:
    """The wallet is gone: a settled invoice is closed, another closes when it is settled."""
    if invoice.wallet_destroyed_at is not None:
        return invoice, []
    after = derive(replace(invoice, wallet_destroyed_at=destroyed_at))
    return after, _closing(invoice, after)


def fall_due(invoice: Invoice, at: datetime) -> Decision:
    """The due date passed; a timer of an earlier due date changes nothing."""
    waiting = invoice.document is D.OPEN and invoice.timeliness is T.ON_TIME
    if not waiting or invoice.is_settled or invoice.terms.due_at != at:
        return invoice, []
    after = derive(replace(invoice, overdue_since=at))
    return after, [InvoiceOverdue(**facts.standing(after), since=at)]


def expire(invoice: Invoice, at: datetime) -> Decision:
    """The time to pay is over; a timer from before an extension changes nothing."""
    waiting = invoice.document is D.OPEN and invoice.expired_since is None
    if not waiting or invoice.is_settled or invoice.expires_at != at:
        return invoice, []
    after = derive(replace(invoice, expired_since=at))
    return after, [InvoiceExpired(**facts.standing(after), since=at)]


def derive(invoice: Invoice) -> Invoice:
    """The axes as money, dates and wallet make them; drafts and void stay as they are."""
    if invoice.document not in ISSUED:
        return invoice
    settlement = _settlement_of(invoice)
    settled = settlement in SETTLED or (settlement in RETURNED and invoice.is_covered)
    if invoice.expired_since is not None:
        timeliness = T.PAID_LATE if settled else T.EXPIRED
    elif invoice.overdue_since is not None:
        timeliness = T.SETTLED_LATE if settled else T.OVERDUE
    else:
        timeliness = T.ON_TIME
    closed = settled and invoice.wallet_destroyed_at is not None
    document = D.CLOSED if closed else D.OPEN
    if (document, settlement, timeliness) == invoice.axes:
        return invoice
    return replace(invoice, document=document, settlement=settlement, timeliness=timeliness)


def _settlement_of(invoice: Invoice) -> SettlementStatus:
    received, asked = invoice.received_micros, invoice.asked_micros
    gone = returns.gone_of(invoice)
    if gone:
        return returns.settlement_of(received - sum(gone.values()), asked, gone)
    if received > asked:
        return S.OVERPAID
    if received == 0:
        return S.PROCESSING if has_pending(invoice) else S.UNPAID
    return S.PAID if invoice.is_covered else S.PARTIAL


def has_pending(invoice: Invoice) -> bool:
    """Whether a payment is on its way: seen, and not booked since it was last final."""
    bookings: dict[UUID, int] = {}
    for booking in invoice.bookings.values():
        bookings[booking.payment_id] = bookings.get(booking.payment_id, 0) + 1
    return any(
        payment.sighting is Sighting.SEEN
        and bookings.get(payment.payment_id, 0) <= payment.final_reverts
        for payment in invoice.payments.values()
    )


def _payment(invoice: Invoice, payment_id: UUID, amount: Amount) -> Payment:
    known = invoice.payments.get(payment_id)
    if known is not None:
        return known
    return Payment(payment_id, Sighting.UNSEEN, 0, amount.amount_minor, amount.asset)


def _with_payment(invoice: Invoice, payment: Payment) -> Invoice:
    if invoice.payments.get(payment.payment_id) == payment:
        return invoice
    return replace(invoice, payments={**invoice.payments, payment.payment_id: payment})


def _with_booking(invoice: Invoice, booking: Booking) -> Invoice:
    return replace(invoice, bookings={**invoice.bookings, booking.transaction_id: booking})


def _sum(applied: Amount, excess: Amount) -> int:
    """Both together; never more than an amount may be, whatever the ledger says."""
    return max(-MAX_MINOR, min(applied.amount_minor + excess.amount_minor, MAX_MINOR))


def _worth(invoice: Invoice, applied: Amount, excess: Amount) -> int | None:
    """Millionths of the invoice's currency; None where the money cannot count towards it."""
    if applied.asset != excess.asset or min(applied.amount_minor, excess.amount_minor) < 0:
        return None
    return facts.worth(invoice, applied.amount_minor + excess.amount_minor, applied.asset)


def _credit(invoice: Invoice, booking: Booking) -> Decision:
    after = derive(_with_booking(invoice, booking))
    return after, [facts.late(after, booking, policy="credit")]


def _closing(before: Invoice, after: Invoice) -> list[Event]:
    if before.document is D.OPEN and after.document is D.CLOSED:
        return [InvoiceClosed(**facts.standing(after), reason="wallet_destroyed", by=SYSTEM)]
    return []


def _reopening(before: Invoice, after: Invoice) -> list[Event]:
    if before.document is D.CLOSED and after.document is D.OPEN:
        return [InvoiceReopened(**facts.standing(after), reason="payment_reversed", by=SYSTEM)]
    return []


def _lapse(before: Invoice, after: Invoice, now: datetime) -> Decision:
    """A settled invoice let its dates pass; once it is owed again they count."""
    if not before.is_settled or after.is_settled or after.document is not D.OPEN:
        return after, []
    stated: list[Event] = []
    if after.timeliness is T.ON_TIME and after.terms.due_at <= now:
        after, overdue = fall_due(after, after.terms.due_at)
        stated += overdue
    if after.expires_at is not None and after.expires_at <= now:
        after, expired = expire(after, after.expires_at)
        stated += expired
    return after, stated
