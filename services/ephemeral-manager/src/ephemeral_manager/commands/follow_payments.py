"""Know every payment to a wallet, and notice the late ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ephemeral_manager import store
from ephemeral_manager.commands.lives import Lives
from ephemeral_manager.domain import payments as domain
from invoiceos_contracts.ledger_v1 import FundsBooked
from invoiceos_contracts.payment_v1 import PaymentEvent
from messaging import Tx


@dataclass(frozen=True, slots=True)
class PaymentNews:
    """What happened to a payment, when that was stated, and by which fact."""

    fact: PaymentEvent | FundsBooked
    at: datetime
    cause: UUID


async def follow_payments(tx: Tx, news: Sequence[PaymentNews]) -> None:
    """Note what became of payments, whether or not their wallet is known here yet.

    Payments to persistent wallets are noted too: which mode a wallet has may be heard later.
    """
    wallets = {(item.fact.tenant_id, item.fact.wallet_id): item.cause for item in news}
    lives = await Lives.alone(tx, wallets)
    first = {item.fact.payment_id: domain.announced(item.fact) for item in reversed(news)}
    await store.insert_payments(tx, first.values())
    await lives.load_payments(tx, wallets)
    for item in news:
        group = lives.payments.get((item.fact.tenant_id, item.fact.wallet_id), {})
        payment = group.get(item.fact.payment_id)
        if payment is not None:
            group[payment.id] = domain.note(payment, item.fact, item.at)
    for key, cause in wallets.items():
        lives.review(key, cause)
    await lives.save(tx)
