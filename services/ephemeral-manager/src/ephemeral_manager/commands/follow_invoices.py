"""Close a wallet when its invoice is settled or called off; open it when that is undone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ephemeral_manager.commands.lives import Lives
from ephemeral_manager.domain import wallet as domain
from ephemeral_manager.domain.wallet import Step, Wallet
from invoiceos_contracts.base import SettlementStatus
from invoiceos_contracts.invoice_v1 import (
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePaymentReversed,
    InvoiceVoided,
)
from messaging import Tx

_SETTLED = frozenset({SettlementStatus.PAID, SettlementStatus.OVERPAID})


@dataclass(frozen=True, slots=True)
class InvoiceNews:
    """What happened to an invoice, when that was stated, and by which fact."""

    fact: InvoicePaid | InvoiceOverpaid | InvoicePaymentReversed | InvoiceVoided
    at: datetime
    cause: UUID


async def follow_invoices(tx: Tx, news: Sequence[InvoiceNews]) -> None:
    """Take the steps the invoices ask for; news of invoices without a wallet here are ignored."""
    lives = await Lives.of_invoices(tx, [(n.fact.tenant_id, n.fact.invoice_id) for n in news])
    wallet_of = lives.by_invoice()
    for item in news:
        key = wallet_of.get((item.fact.tenant_id, item.fact.invoice_id))
        if key is not None:
            lives.apply(key, _step(lives.wallets[key], item, tx.now), item.cause)
            lives.review(key, item.cause)
    await lives.save(tx)


def _step(wallet: Wallet, news: InvoiceNews, now: datetime) -> Step:
    match news.fact:
        case InvoicePaid() | InvoiceOverpaid() as paid:
            return domain.settle(wallet, paid.booking_id, news.at, now)
        case InvoiceVoided():
            return domain.void(wallet, news.at, now)
        case InvoicePaymentReversed() as reverted:
            if reverted.status.settlement in _SETTLED:
                return Step(wallet)
            return domain.unsettle(wallet, news.at, now)
