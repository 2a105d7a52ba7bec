"""Which facts this service acts on."""

from collections.abc import Mapping

from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroying
from invoiceos_contracts.invoice_v1 import (
    InvoiceClosed,
    InvoiceEvent,
    InvoiceExpired,
    InvoiceIssued,
    InvoiceLatePayment,
    InvoiceLinkTold,
    InvoiceOverdue,
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePartiallyPaid,
    InvoicePaymentReversed,
    InvoiceReopened,
    InvoiceVoided,
)
from invoiceos_contracts.ledger_v1 import (
    FundsReservationRefused,
    FundsReserved,
    ReserveBreached,
    ReserveFreezeLifted,
)
from invoiceos_contracts.wallet_v1 import WalletReady
from messaging import Batch, TimerHandler, Tx, consumes
from provider_orchestrator.commands.create_intents import EXPIRY
from provider_orchestrator.commands.follow_freeze import follow_freeze
from provider_orchestrator.commands.follow_intents import expire_intents
from provider_orchestrator.commands.follow_invoices import follow_invoices
from provider_orchestrator.commands.follow_reservations import follow_reservations
from provider_orchestrator.commands.request_balances import request_balances
from provider_orchestrator.commands.watch_wallets import watch_wallets
from provider_orchestrator.providers.catalogue import watching
from provider_orchestrator.settings import settings


@consumes(WalletReady)
async def on_wallet_ready(tx: Tx, events: Batch[WalletReady]) -> None:
    await watch_wallets(tx, events, chains=watching(settings()))


@consumes(EphemeralWalletDestroying)
async def on_wallet_destroying(tx: Tx, events: Batch[EphemeralWalletDestroying]) -> None:
    await request_balances(tx, events, chains=frozenset(watching(settings())))


@consumes(
    InvoiceIssued,
    InvoiceVoided,
    InvoiceReopened,
    InvoiceClosed,
    InvoicePartiallyPaid,
    InvoicePaid,
    InvoiceOverpaid,
    InvoicePaymentReversed,
    InvoiceLatePayment,
    InvoiceExpired,
    InvoiceOverdue,
    InvoiceLinkTold,
)
async def on_invoice(tx: Tx, events: Batch[InvoiceEvent]) -> None:
    await follow_invoices(tx, events)


@consumes(FundsReserved, FundsReservationRefused)
async def on_reservation(tx: Tx, events: Batch[FundsReserved | FundsReservationRefused]) -> None:
    await follow_reservations(tx, events)


@consumes(ReserveBreached, ReserveFreezeLifted)
async def on_reserve_freeze(tx: Tx, events: Batch[ReserveBreached | ReserveFreezeLifted]) -> None:
    await follow_freeze(tx, events)


SUBSCRIPTIONS = (
    on_wallet_ready,
    on_wallet_destroying,
    on_invoice,
    on_reservation,
    on_reserve_freeze,
)
TIMERS: Mapping[str, TimerHandler] = {EXPIRY: expire_intents}
