"""What can be read of payments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from invoiceos_contracts import Amount
from invoiceos_contracts.ids import InvoiceId, PaymentId, WalletId
from invoiceos_contracts.payment_v1 import OnChain
from messaging import Tx
from provider_orchestrator.errors import PaymentNotFound


class PaymentView(BaseModel):
    """Money that came for an invoice."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: PaymentId
    invoice_id: InvoiceId
    wallet_id: WalletId
    provider: str
    rail: str
    state: str
    """One of seen, succeeded, conflicted, reverted; more may come."""
    cause: str | None
    """Why it does not pay the invoice; null where it does."""
    amount: Amount
    invoice_due: Amount
    """What the invoice asked for when its wallet was made."""
    chain: OnChain | None
    """Null for what a provider collected."""
    payer: str | None
    memo_matches: bool | None
    provider_reference: str
    seen_at: datetime
    """Time of the block the payment stands in, or when its provider said that it was captured."""
    final_at: datetime | None
    updated_at: datetime


_PAYMENT = """
    position, id, invoice_id, wallet_id, provider, rail, state, cause, amount_minor, asset,
    due_minor, due_asset, chain_id, block_number, block_hash, block_at, transaction_hash,
    log_index, payer, memo_matches, reference, final_at, updated_at
"""


async def payment_of(tx: Tx, tenant_id: UUID, payment_id: UUID) -> PaymentView:
    """One payment; raises `PaymentNotFound`."""
    row = await tx.fetchrow(
        f"select {_PAYMENT} from payment where tenant_id = $1 and id = $2",
        tenant_id,
        payment_id,
    )
    if row is None:
        raise PaymentNotFound
    return _payment(row)


async def payments_of(
    tx: Tx,
    tenant_id: UUID,
    *,
    invoice_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[tuple[UUID, PaymentView]]:
    """The newest payments and their places in the list."""
    rows = await tx.fetch(
        f"""
        select {_PAYMENT} from payment
        where tenant_id = $1 and ($2::uuid is null or invoice_id = $2)
          and ($3::text is null or state = $3) and ($4::uuid is null or position < $4)
        order by position desc limit $5
        """,
        tenant_id,
        invoice_id,
        state,
        after,
        limit,
    )
    return [(row["position"], _payment(row)) for row in rows]


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _chain(row: Any) -> OnChain:
    return OnChain(
        chain_id=row["chain_id"],
        block_number=row["block_number"],
        block_hash=_hex(row["block_hash"]),
        transaction_hash=_hex(row["transaction_hash"]),
        log_index=row["log_index"],
    )


def _payment(row: Any) -> PaymentView:
    return PaymentView(
        id=row["id"],
        invoice_id=row["invoice_id"],
        wallet_id=row["wallet_id"],
        provider=row["provider"],
        rail=row["rail"],
        state=row["state"],
        cause=row["cause"],
        amount=Amount(amount_minor=row["amount_minor"], asset=row["asset"]),
        invoice_due=Amount(amount_minor=row["due_minor"], asset=row["due_asset"]),
        chain=None if row["chain_id"] is None else _chain(row),
        payer=_hex(row["payer"]) if row["payer"] else None,
        memo_matches=row["memo_matches"],
        provider_reference=row["reference"],
        seen_at=row["block_at"] or row["final_at"],
        final_at=row["final_at"],
        updated_at=row["updated_at"],
    )
