"""Which facts this service acts on."""

from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroying
from invoiceos_contracts.ledger_v1 import FundsReservationRefused, FundsReserved
from invoiceos_contracts.wallet_v1 import WalletReady
from messaging import Batch, Tx, consumes
from provider_orchestrator.commands.follow_reservations import follow_reservations
from provider_orchestrator.commands.request_balances import request_balances
from provider_orchestrator.commands.watch_wallets import watch_wallets
from provider_orchestrator.settings import settings


@consumes(WalletReady)
async def on_wallet_ready(tx: Tx, events: Batch[WalletReady]) -> None:
    await watch_wallets(tx, events, confirmations=settings().tempo_confirmations)


@consumes(EphemeralWalletDestroying)
async def on_wallet_destroying(tx: Tx, events: Batch[EphemeralWalletDestroying]) -> None:
    await request_balances(tx, events)


@consumes(FundsReserved, FundsReservationRefused)
async def on_reservation(tx: Tx, events: Batch[FundsReserved | FundsReservationRefused]) -> None:
    await follow_reservations(tx, events)


SUBSCRIPTIONS = (on_wallet_ready, on_wallet_destroying, on_reservation)
