"""Transactions as they were posted."""

import json
from uuid import UUID

from pydantic import AwareDatetime

from invoiceos_contracts.base import Amount, Shape
from invoiceos_contracts.ids import InvoiceId, PaymentId, TransactionId
from invoiceos_contracts.ledger_v1 import PlacedPosting
from messaging import Tx
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.chain import Posted
from reserve_ledger.errors import TransactionNotFound
from reserve_ledger.store.posted import TRANSACTION, posted_of


class TransactionView(Shape):
    """A transaction with its postings."""

    id: TransactionId
    sequence: int
    template: str
    cause_event_id: UUID
    invoice_id: InvoiceId | None
    payment_id: PaymentId | None
    reverses: TransactionId | None
    posted_at: AwareDatetime
    effective_at: AwareDatetime
    """When it counts; when it was posted, where nobody said otherwise."""
    reference: str | None
    """The caller's name for it."""
    metadata: dict[str, str]
    actor: str | None
    """Who asked for it; null where an event led to it."""
    postings: tuple[PlacedPosting, ...]
    previous_hash: str
    hash: str


async def transaction(tx: Tx, tenant_id: UUID, transaction_id: UUID) -> TransactionView:
    """One transaction; raises `TransactionNotFound`."""
    row = await tx.fetchrow(
        TRANSACTION + " where t.tenant_id = $1 and t.id = $2", tenant_id, transaction_id
    )
    if row is None:
        raise TransactionNotFound
    return view_of(posted_of(row))


async def transactions(
    tx: Tx, tenant_id: UUID, of: tuple[UUID | None, UUID | None], *, before: int, limit: int
) -> list[TransactionView]:
    """Newest first, `limit` and one more; `of` is the invoice and the payment they belong to."""
    invoice_id, payment_id = of
    if payment_id is not None and invoice_id is None:
        # A payment belongs to one invoice: found through it, payments need no index of their own.
        invoice_id = await tx.fetchval(
            "select invoice_id from payment_booking where tenant_id = $1 and payment_id = $2",
            tenant_id,
            payment_id,
        )
        if invoice_id is None:
            return []
    # Each filter is a statement of its own, so that each gets the plan that suits it.
    arguments: list[object] = [tenant_id, before, limit + 1]
    sql = TRANSACTION + " where t.tenant_id = $1 and t.sequence < $2"
    for column, value in (("invoice_id", invoice_id), ("payment_id", payment_id)):
        if value is not None:
            arguments.append(value)
            sql += f" and t.{column} = ${len(arguments)}"
    rows = await tx.fetch(sql + " order by t.sequence desc limit $3", *arguments)
    return [view_of(posted_of(row)) for row in rows]


async def stretch(tx: Tx, tenant_id: UUID, behind: int, last: int) -> list[Posted]:
    """Transactions behind one sequence up to another, in order."""
    rows = await tx.fetch(
        TRANSACTION
        + " where t.tenant_id = $1 and t.sequence > $2 and t.sequence <= $3 order by t.sequence",
        tenant_id,
        behind,
        last,
    )
    return [posted_of(row) for row in rows]


def view_of(posted: Posted) -> TransactionView:
    entry = posted.entry
    return TransactionView(
        id=entry.id,
        sequence=posted.sequence,
        template=str(entry.template),
        cause_event_id=entry.cause_event_id,
        invoice_id=entry.invoice_id,
        payment_id=entry.payment_id,
        reverses=entry.reverses,
        posted_at=posted.posted_at,
        effective_at=entry.effective_at or posted.posted_at,
        reference=entry.reference,
        metadata=json.loads(entry.metadata) if entry.metadata else {},
        actor=entry.actor,
        postings=tuple(
            PlacedPosting(
                account=leg.account,
                amount=Amount(amount_minor=leg.amount_minor, asset=leg.asset),
                address=leg.address or own_address(leg.account),
            )
            for leg in entry.legs
        ),
        previous_hash=posted.previous_hash,
        hash=posted.hash,
    )
