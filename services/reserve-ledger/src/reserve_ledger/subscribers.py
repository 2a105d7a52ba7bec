"""Facts that move money or say whose it is.

One handler for all of them, so that a poll is one batch of postings with one reserve statement, and
every lock is taken once, in one order.
"""

from invoiceos_contracts import Event
from invoiceos_contracts.invoice_v1 import InvoiceVoided
from invoiceos_contracts.payment_v1 import PaymentConflicted, PaymentReverted, PaymentSucceeded
from invoiceos_contracts.provider_v1 import ProviderStatementLinesObserved, ReserveSourceObserved
from messaging import Batch, Tx, consumes
from reserve_ledger.commands.book_payments import book_payments
from reserve_ledger.commands.import_statements import import_pages
from reserve_ledger.commands.note_references import note_references
from reserve_ledger.commands.observe_sources import observe_sources
from reserve_ledger.commands.reserve_funds import reserve_funds
from reserve_ledger.commands.settle_payments import settle_payments
from reserve_ledger.domain import reservations, settling

CAME = (PaymentSucceeded, PaymentReverted, PaymentConflicted, InvoiceVoided)


@consumes(*CAME, *settling.FACTS, *reservations.FACTS)
async def on_money_moved(tx: Tx, events: Batch[Event]) -> None:
    """Book what came, what became of it, then set apart what is asked for.

    What came in one poll is there for what is asked for in it.
    """
    await book_payments(tx, [event for event in events if isinstance(event.fact, CAME)])
    await settle_payments(tx, events)
    await reserve_funds(tx, events)
    await note_references(tx, events)


@consumes(ReserveSourceObserved)
async def on_reserve_source_observed(tx: Tx, events: Batch[ReserveSourceObserved]) -> None:
    """Somebody looked at what is held."""
    await observe_sources(tx, events)


@consumes(ProviderStatementLinesObserved)
async def on_statement_lines_observed(
    tx: Tx, events: Batch[ProviderStatementLinesObserved]
) -> None:
    """The other side listed what moved."""
    await import_pages(tx, events)


SUBSCRIPTIONS = (on_money_moved, on_reserve_source_observed, on_statement_lines_observed)
