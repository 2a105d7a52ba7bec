"""Money, wallets and dates change invoices: every piece of news is folded in, in any order."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from invoice import store
from invoice.commands.deciding import aged
from invoice.domain import settlement
from invoice.domain.states import Decision, Invoice
from invoice.store.returns import upsert_returns
from messaging import Received, Timer, Tx

DUE = "invoice.due"
EXPIRY = "invoice.expiry"


async def settle_invoices(tx: Tx, events: Sequence[Received[Any]]) -> None:
    """Fold what other services said into the invoices it concerns, and state what became true.

    News of an invoice that does not exist is not ours and changes nothing.
    """
    events = [event for event in events if event.fact.invoice_id is not None]
    keys = [(event.fact.tenant_id, event.fact.invoice_id) for event in events]
    before = await store.lock_invoices(tx, keys)
    states = dict(before)
    for event, key in zip(events, keys, strict=True):
        if key not in states:
            continue
        after, facts = settlement.fold(states[key], event.fact, now=tx.now)
        if after is not states[key]:
            states[key] = aged(after, tx)
        tx.stage((fact, event.id) for fact in facts)
    changed = [(before[key], after) for key, after in states.items() if after is not before[key]]
    await save_money(tx, changed)
    tx.schedule(timer for old, new in changed for timer in _timers_anew(old, new))


async def save_money(tx: Tx, changed: Sequence[tuple[Invoice, Invoice]]) -> None:
    """Store where invoices stand, and payments, bookings and returns that are new or changed."""
    await store.update_states(tx, [after for _, after in changed])
    await store.upsert_payments(
        tx,
        [
            (after, payment)
            for before, after in changed
            for payment_id, payment in after.payments.items()
            if before.payments.get(payment_id) is not payment
        ],
    )
    await store.upsert_bookings(
        tx,
        [
            (after, booking)
            for before, after in changed
            for booking_id, booking in after.bookings.items()
            if before.bookings.get(booking_id) is not booking
        ],
    )
    await upsert_returns(
        tx,
        [
            (after, one)
            for before, after in changed
            for return_id, one in after.returns.items()
            if before.returns.get(return_id) is not one
        ],
    )


def timers_of(invoice: Invoice) -> Iterator[Timer]:
    """The dates of an open invoice. Each timer carries its date: one that was moved is ignored."""
    for kind, at in ((DUE, invoice.terms.due_at), (EXPIRY, invoice.expires_at)):
        if at is not None:
            yield Timer(kind, str(invoice.id), invoice.tenant_id, at, {"at": at.isoformat()})


def _timers_anew(old: Invoice, new: Invoice) -> Iterator[Timer]:
    """Dates that were moved, and all of them where an invoice is owed again.

    While it was settled they passed without effect, perhaps in this very moment: our time was
    taken before we had the row.
    """
    owed_again = old.is_settled and not new.is_settled
    for timer in timers_of(new):
        if owed_again or (timer.kind == EXPIRY and old.expires_at != new.expires_at):
            yield timer


async def pass_due_dates(tx: Tx, timers: Sequence[Timer]) -> None:
    """Due dates passed: what is still owed is overdue; `InvoiceOverdue`."""
    await _pass(tx, timers, settlement.fall_due)


async def pass_expiries(tx: Tx, timers: Sequence[Timer]) -> None:
    """The time to pay is over for what is still owed; `InvoiceExpired`."""
    await _pass(tx, timers, settlement.expire)


async def _pass(
    tx: Tx, timers: Sequence[Timer], decide: Callable[[Invoice, datetime], Decision]
) -> None:
    keys = [(timer.tenant_id, UUID(timer.ref)) for timer in timers]
    states = await store.lock_invoices(tx, keys)
    changed = []
    for timer, key in zip(timers, keys, strict=True):
        if key not in states:
            continue
        after, facts = decide(states[key], datetime.fromisoformat(timer.payload["at"]))
        if after is not states[key]:
            changed.append(aged(after, tx))
            tx.stage(facts)
    await store.update_states(tx, changed)
