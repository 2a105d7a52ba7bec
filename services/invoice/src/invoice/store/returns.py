"""Money of invoices that went back, or that somebody disputes."""

from collections.abc import Sequence
from uuid import UUID

from invoice.domain.states import Invoice, Return, ReturnKind
from messaging import Tx

Key = tuple[UUID, UUID]
"""Tenant and invoice."""


async def select_returns(
    tx: Tx, wanted: tuple[list[UUID], list[UUID]]
) -> dict[Key, dict[UUID, Return]]:
    """What went back of invoices; tenants and ids, a list a column."""
    rows = await tx.fetch(
        """
        select r.tenant_id, r.invoice_id, r.id, r.payment_id, r.kind, r.is_gone, r.amount_minor,
               r.asset, r.micros, r.booked_at
        from invoice_return r join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, invoice_id)
            using (tenant_id, invoice_id)
        """,
        *wanted,
    )
    known: dict[Key, dict[UUID, Return]] = {}
    for row in rows:
        key = (row["tenant_id"], row["invoice_id"])
        known.setdefault(key, {})[row["id"]] = Return(
            id=row["id"],
            payment_id=row["payment_id"],
            kind=ReturnKind(row["kind"]),
            is_gone=row["is_gone"],
            amount_minor=row["amount_minor"],
            asset=row["asset"],
            micros=row["micros"],
            booked_at=row["booked_at"],
        )
    return known


async def upsert_returns(tx: Tx, returns: Sequence[tuple[Invoice, Return]]) -> None:
    """Store what went back; a dispute that is known changes its outcome alone."""
    if not returns:
        return
    await tx.execute(
        """
        insert into invoice_return (tenant_id, invoice_id, id, payment_id, kind, is_gone,
            amount_minor, asset, micros, booked_at, updated_at)
        select *, $11 from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[],
            $6::bool[], $7::bigint[], $8::text[], $9::bigint[], $10::timestamptz[])
        on conflict (tenant_id, invoice_id, id) do update
            set is_gone = excluded.is_gone, amount_minor = excluded.amount_minor,
                micros = excluded.micros, booked_at = excluded.booked_at,
                updated_at = excluded.updated_at
        """,
        [invoice.tenant_id for invoice, _ in returns],
        [invoice.id for invoice, _ in returns],
        [one.id for _, one in returns],
        [one.payment_id for _, one in returns],
        [one.kind for _, one in returns],
        [one.is_gone for _, one in returns],
        [one.amount_minor for _, one in returns],
        [one.asset for _, one in returns],
        [one.micros for _, one in returns],
        [one.booked_at for _, one in returns],
        tx.now,
    )
