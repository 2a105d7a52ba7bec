"""Book payments that became final, undo those the chain took back, follow void invoices."""

from collections.abc import Sequence
from uuid import UUID

from invoiceos_contracts import Event
from invoiceos_contracts.invoice_v1 import InvoiceVoided
from invoiceos_contracts.payment_v1 import PaymentEvent, PaymentReverted
from messaging import Received, Tx
from reserve_ledger.commands.post_transactions import post_transactions
from reserve_ledger.domain.booking import Booking
from reserve_ledger.domain.books import Books, Key, Terms
from reserve_ledger.domain.returns import Till
from reserve_ledger.settings import settings
from reserve_ledger.store.books import (
    select_bookings,
    select_gone,
    select_merchants,
    select_obligations,
    upsert_bookings,
    upsert_obligations,
)
from reserve_ledger.store.chain import lock_heads, select_known_causes

Fact = Received[Event]


async def book_payments(tx: Tx, events: Sequence[Fact]) -> None:
    """Decide each fact on the state the facts before it left, post what follows from it.

    A payment is in the books at most once at any time: what is said again changes nothing, also
    when it is said under another event id.
    """
    if not events:
        return
    heads = await lock_heads(tx, (event.tenant_id for event in events))
    payments = _keys(events, PaymentEvent, "payment_id")
    voided = _keys(events, InvoiceVoided, "invoice_id")
    bookings = await select_bookings(tx, payments, voided)
    known = await _posted_before(tx, events, bookings)
    invoices = [(b.tenant_id, b.invoice_id) for b in bookings]
    obligations = await select_obligations(
        tx, voided + invoices + _keys(events, PaymentEvent, "invoice_id")
    )
    till = await _till(tx, events, bookings)
    books = Books(obligations, bookings, terms=_terms(), new_id=tx.new_id, till=till)
    entries = [
        entry
        for event in events
        if event.id not in known
        for entry in books.take(event.fact, event.id)
    ]
    if books.changed_obligations:
        await upsert_obligations(tx, books.changed_obligations)
    if books.changed_bookings:
        await upsert_bookings(tx, books.changed_bookings)
    await post_transactions(tx, heads, entries)


async def _till(tx: Tx, events: Sequence[Fact], bookings: Sequence[Booking]) -> Till | None:
    """What of these payments is still there; asked only where one is voided or taken back."""
    if not any(isinstance(event.fact, InvoiceVoided | PaymentReverted) for event in events):
        return None
    payments = [(b.tenant_id, b.payment_id) for b in bookings]
    merchants = await select_merchants(tx, {event.tenant_id for event in events})
    return Till(await select_gone(tx, payments), merchants)


async def _posted_before(tx: Tx, events: Sequence[Fact], bookings: Sequence[Booking]) -> set[UUID]:
    """Events that were posted long ago and come again after the inbox forgot them.

    Only a payment that has a booking can have such; the usual payment costs no look-up.
    """
    booked = {(booking.tenant_id, booking.payment_id) for booking in bookings}
    causes = [
        (event.tenant_id, event.id)
        for event in events
        if isinstance(event.fact, PaymentEvent)
        and (event.tenant_id, event.fact.payment_id) in booked
    ]
    return await select_known_causes(tx, causes) if causes else set()


def _keys(events: Sequence[Fact], kind: type[Event], field: str) -> list[Key]:
    return [
        (event.tenant_id, getattr(event.fact, field))
        for event in events
        if isinstance(event.fact, kind)
    ]


def _terms() -> Terms:
    return Terms(fee_ppm=settings().platform_fee_ppm)
