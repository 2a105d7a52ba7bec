"""What can be paid, as the facts of invoices said: a copy of our own."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Tx


@dataclass(frozen=True, slots=True)
class Payable:
    """What an invoice asks for now, as its facts said."""

    tenant_id: UUID
    invoice_id: UUID
    wallet_id: UUID | None
    """None where the fact does not say; it never changes."""
    document: str
    asset: str
    due_minor: int
    version: int


async def save_payables(tx: Tx, payables: Sequence[Payable]) -> None:
    """Take over what is newer; one that was never issued is not kept."""
    rows = [
        (p.tenant_id, p.invoice_id, p.wallet_id, p.document, p.asset, p.due_minor, p.version)
        for p in sorted(payables, key=lambda p: (p.tenant_id, p.invoice_id))
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    await tx.execute(
        """
        insert into payable_invoice (tenant_id, invoice_id, wallet_id, document, asset, due_minor,
                                     version)
        select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[],
                             $6::bigint[], $7::bigint[])
            as n(tenant_id, invoice_id, wallet_id, document, asset, due_minor, version)
        where wallet_id is not null
        on conflict (tenant_id, invoice_id) do nothing
        """,
        *columns,
    )
    await tx.execute(
        """
        update payable_invoice as p
        set document = n.document, due_minor = n.due_minor, version = n.version
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[],
                    $7::bigint[])
            as n(tenant_id, invoice_id, wallet_id, document, asset, due_minor, version)
        where p.tenant_id = n.tenant_id and p.invoice_id = n.invoice_id and p.version < n.version
        """,
        *columns,
    )


async def lock_payables(
    tx: Tx, invoices: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], Payable]:
    """Invoices by tenant and id, locked in one order: whoever takes a charge lease holds these."""
    rows = await tx.fetch(
        """
        select tenant_id, invoice_id, wallet_id, document, asset, due_minor, version
        from payable_invoice
        where (tenant_id, invoice_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, invoice_id for no key update
        """,
        [tenant for tenant, _ in invoices],
        [invoice for _, invoice in invoices],
    )
    return {(row["tenant_id"], row["invoice_id"]): Payable(**row) for row in rows}
