"""Facts of other services that change invoices."""

from invoice.commands.answer_requests import answer_requests
from invoice.commands.follow_freeze import follow_freeze
from invoice.commands.follow_methods import follow_circuits, follow_methods
from invoice.commands.make_bulk_invoices import make_bulk_invoices
from invoice.commands.open_invoices import fail_issues, open_invoices
from invoice.commands.settle_invoices import settle_invoices
from invoiceos_contracts import Event
from invoiceos_contracts.bulk_v1 import BulkRowRequested
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroyed, EphemeralWalletExtended
from invoiceos_contracts.ledger_v1 import (
    ChargebackBooked,
    FundsBooked,
    FundsReversed,
    ReservationSettled,
    ReserveBreached,
    ReserveFreezeLifted,
)
from invoiceos_contracts.partner_v1 import InvoiceRequested
from invoiceos_contracts.payment_v1 import (
    PaymentCanceled,
    PaymentCreated,
    PaymentExpired,
    PaymentFailed,
    PaymentReverted,
    PaymentSeen,
    PaymentSubmitted,
)
from invoiceos_contracts.provider_v1 import ProviderHealthChanged, ProviderMethodsDeclared
from invoiceos_contracts.wallet_v1 import WalletFailed, WalletReady
from messaging import Batch, Tx, consumes


@consumes(WalletReady)
async def on_wallet_ready(tx: Tx, events: Batch[WalletReady]) -> None:
    """The invoice can be paid: it opens."""
    await open_invoices(tx, events)


@consumes(WalletFailed)
async def on_wallet_failed(tx: Tx, events: Batch[WalletFailed]) -> None:
    """The invoice cannot be paid on any rail now."""
    await fail_issues(tx, events)


@consumes(
    PaymentSeen,
    PaymentReverted,
    PaymentCreated,
    PaymentSubmitted,
    PaymentFailed,
    PaymentCanceled,
    PaymentExpired,
    FundsBooked,
    FundsReversed,
    ReservationSettled,
    ChargebackBooked,
    EphemeralWalletExtended,
    EphemeralWalletDestroyed,
)
async def on_news(tx: Tx, events: Batch[Event]) -> None:
    """Money came, went or is on its way, or the wallet changed."""
    await settle_invoices(tx, events)


@consumes(InvoiceRequested)
async def on_invoice_requested(tx: Tx, events: Batch[InvoiceRequested]) -> None:
    """A partner asked for an invoice by topic."""
    await answer_requests(tx, events)


@consumes(BulkRowRequested)
async def on_bulk_row_requested(tx: Tx, events: Batch[BulkRowRequested]) -> None:
    """A row of a bulk order is to become an invoice."""
    await make_bulk_invoices(tx, events)


@consumes(ProviderHealthChanged)
async def on_provider_health_changed(tx: Tx, events: Batch[ProviderHealthChanged]) -> None:
    """A provider is well, or is not: what it takes is offered, or is not."""
    await follow_circuits(tx, events)


@consumes(ProviderMethodsDeclared)
async def on_methods_declared(tx: Tx, events: Batch[ProviderMethodsDeclared]) -> None:
    """Payers can pay in other ways than before."""
    await follow_methods(tx, events)


@consumes(ReserveBreached, ReserveFreezeLifted)
async def on_reserve_freeze(tx: Tx, events: Batch[ReserveBreached | ReserveFreezeLifted]) -> None:
    """Nothing may be issued from now on, or again."""
    await follow_freeze(tx, events)


SUBSCRIPTIONS = (
    on_wallet_ready,
    on_wallet_failed,
    on_news,
    on_invoice_requested,
    on_bulk_row_requested,
    on_methods_declared,
    on_provider_health_changed,
    on_reserve_freeze,
)
