"""How far the telling of links has come."""

from uuid import UUID

from messaging import Tx

Key = tuple[UUID, UUID]


async def next_untold(tx: Tx, limit: int) -> list[Key] | None:
    """The next invoices that may be paid; None where all were told, or another process does it."""
    at = await tx.fetchrow(
        "select after_tenant, after_invoice from link_telling where not done for update skip locked"
    )
    if at is None:
        return None
    rows = await tx.fetch(
        """
        select tenant_id, id from invoice
        where document = 'open' and link_hash is not null and (tenant_id, id) > ($1, $2)
        order by tenant_id, id limit $3
        """,
        at["after_tenant"],
        at["after_invoice"],
        limit,
    )
    return [(row["tenant_id"], row["id"]) for row in rows]


async def save_told(tx: Tx, last: Key | None) -> None:
    """Go on behind this one; none were left where there is none."""
    if last is None:
        await tx.execute("update link_telling set done = true")
        return
    await tx.execute("update link_telling set after_tenant = $1, after_invoice = $2", *last)
