"""Facts that move money or say whose it is.

One handler for all of them, so that a poll is one batch of postings with one reserve statement, and
every lock is taken once, in one order.
"""

from invoiceos_contracts import Event
from invoiceos_contracts.invoice_v1 import InvoiceVoided
from invoiceos_contracts.payment_v1 import PaymentConflicted, PaymentReverted, PaymentSucceeded
from messaging import Batch, Tx, consumes
from reserve_ledger.commands.book_payments import book_payments
from reserve_ledger.commands.reserve_funds import reserve_funds
from reserve_ledger.domain.reservations import FACTS


@consumes(PaymentSucceeded, PaymentReverted, PaymentConflicted, InvoiceVoided, *FACTS)
async def on_money_moved(tx: Tx, events: Batch[Event]) -> None:
    """Book what came, then set apart what is asked for: what came in one poll is there for it."""
    await book_payments(tx, [event for event in events if not isinstance(event.fact, FACTS)])
    await reserve_funds(tx, events)
