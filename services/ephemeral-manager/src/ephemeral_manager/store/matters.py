"""What is still open about the money of invoices."""

from collections.abc import Sequence

from ephemeral_manager.domain.matters import Kind, Matter, Open
from ephemeral_manager.store import Key
from messaging import Tx


async def upsert_matters(tx: Tx, matters: Sequence[Matter]) -> None:
    """Keep them; what has ended stays so, whatever is heard later."""
    last: dict[tuple[object, ...], Matter] = {}
    for one in matters:
        key = (one.tenant_id, one.kind, one.id)
        if key not in last or not last[key].ended:
            last[key] = one
    ordered = sorted(last.values(), key=lambda one: (one.tenant_id, one.kind, one.id))
    await tx.execute(
        """
        insert into open_matter (tenant_id, kind, id, invoice_id, ended)
        select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::bool[])
        on conflict (tenant_id, kind, id) do update set ended = true
        where excluded.ended and not open_matter.ended
        """,
        [one.tenant_id for one in ordered],
        [one.kind for one in ordered],
        [one.id for one in ordered],
        [one.invoice_id for one in ordered],
        [one.ended for one in ordered],
    )


async def count_open(tx: Tx, invoices: Sequence[Key]) -> dict[Key, Open]:
    """How much is open, by tenant and invoice; none where nothing is."""
    rows = await tx.fetch(
        """
        select tenant_id, invoice_id,
               count(*) filter (where kind = $3) as payments,
               count(*) filter (where kind = $4) as refunds,
               count(*) filter (where kind = $5) as disputes
        from open_matter
        where not ended
          and (tenant_id, invoice_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        group by tenant_id, invoice_id
        """,
        [tenant for tenant, _ in invoices],
        [invoice for _, invoice in invoices],
        Kind.PAYMENT,
        Kind.REFUND,
        Kind.DISPUTE,
    )
    return {
        (row["tenant_id"], row["invoice_id"]): Open(
            row["payments"], row["refunds"], row["disputes"]
        )
        for row in rows
    }
