"""Facts of others and timers of our own, and the command each leads to."""

from collections.abc import Mapping

from ephemeral_manager.commands.activate_wallets import Issue, activate_wallets
from ephemeral_manager.commands.certify_destructions import Testimony, certify_destructions
from ephemeral_manager.commands.follow_invoices import InvoiceNews, follow_invoices
from ephemeral_manager.commands.follow_matters import follow_matters
from ephemeral_manager.commands.follow_payments import PaymentNews, follow_payments
from ephemeral_manager.commands.order_bulk import ROWS
from ephemeral_manager.commands.request_bulk_rows import request_bulk_rows
from ephemeral_manager.commands.settle_bulk_rows import settle_bulk_rows
from ephemeral_manager.commands.wake_wallets import ask_again, end_watches, expire_wallets
from ephemeral_manager.domain.wallet import Wake
from invoiceos_contracts import Event
from invoiceos_contracts.bulk_v1 import BulkRowRefused
from invoiceos_contracts.invoice_v1 import (
    InvoiceIssued,
    InvoiceIssueFailed,
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePaymentReversed,
    InvoiceVoided,
)
from invoiceos_contracts.ledger_v1 import FundsBooked
from invoiceos_contracts.payment_v1 import (
    PaymentCanceled,
    PaymentCaptured,
    PaymentConflicted,
    PaymentCreated,
    PaymentDisputeClosed,
    PaymentDisputed,
    PaymentEvent,
    PaymentExpired,
    PaymentFailed,
    PaymentReverted,
    PaymentSeen,
    PaymentSucceeded,
    PaymentVoided,
    RefundCanceled,
    RefundFailed,
    RefundRequested,
    RefundSucceeded,
)
from invoiceos_contracts.provider_v1 import WalletBalanceObserved
from invoiceos_contracts.wallet_v1 import WalletSecretsDestroyed
from messaging import Batch, TimerHandler, Tx, consumes

InvoiceFact = InvoicePaid | InvoiceOverpaid | InvoicePaymentReversed | InvoiceVoided


@consumes(InvoiceIssued)
async def on_invoice_issued(tx: Tx, events: Batch[InvoiceIssued]) -> None:
    """A wallet's life begins, and a row of a bulk order may be ready."""
    await activate_wallets(tx, [Issue(event.fact, event.id) for event in events])
    await settle_bulk_rows(tx, [event.fact for event in events])


@consumes(InvoiceIssueFailed, BulkRowRefused)
async def on_row_without_wallet(tx: Tx, events: Batch[InvoiceIssueFailed | BulkRowRefused]) -> None:
    """A row of a bulk order has no wallet."""
    await settle_bulk_rows(tx, [event.fact for event in events])


@consumes(InvoicePaid, InvoiceOverpaid, InvoicePaymentReversed, InvoiceVoided)
async def on_invoice_news(tx: Tx, events: Batch[InvoiceFact]) -> None:
    """An invoice needs its wallet no more, or again."""
    await follow_invoices(
        tx, [InvoiceNews(event.fact, event.envelope.time, event.id) for event in events]
    )


@consumes(
    PaymentSeen, PaymentSucceeded, PaymentReverted, PaymentConflicted, PaymentFailed, FundsBooked
)
async def on_payment_news(tx: Tx, events: Batch[PaymentEvent | FundsBooked]) -> None:
    """Money is on its way, arrived, booked or gone."""
    await follow_payments(
        tx, [PaymentNews(event.fact, event.envelope.time, event.id) for event in events]
    )
    await follow_matters(tx, [event.fact for event in events])


@consumes(
    PaymentCreated,
    PaymentCaptured,
    PaymentCanceled,
    PaymentExpired,
    PaymentVoided,
    PaymentDisputed,
    PaymentDisputeClosed,
    RefundRequested,
    RefundSucceeded,
    RefundFailed,
    RefundCanceled,
)
async def on_matter_news(tx: Tx, events: Batch[Event]) -> None:
    """Money is being collected, given back or disputed, or is no more."""
    await follow_matters(tx, [event.fact for event in events])


@consumes(WalletSecretsDestroyed, WalletBalanceObserved)
async def on_testimony(
    tx: Tx, events: Batch[WalletSecretsDestroyed | WalletBalanceObserved]
) -> None:
    """Somebody says what became of a wallet that is to be destroyed."""
    await certify_destructions(tx, [Testimony(event.fact, event.id) for event in events])


SUBSCRIPTIONS = (
    on_invoice_issued,
    on_row_without_wallet,
    on_invoice_news,
    on_payment_news,
    on_matter_news,
    on_testimony,
)

TIMERS: Mapping[str, TimerHandler] = {
    Wake.TTL.value: expire_wallets,
    Wake.WATCH.value: end_watches,
    Wake.DESTROY.value: ask_again,
    ROWS: request_bulk_rows,
}
