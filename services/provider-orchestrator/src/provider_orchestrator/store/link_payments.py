"""Payments that the holder of a link begins: what there is already, and how often it was tried."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.intents import Intent
from provider_orchestrator.store.intents import lock_intents

Key = tuple[UUID, UUID]
"""Tenant and invoice."""


async def lock_live(tx: Tx, invoices: Sequence[Key]) -> dict[Key, Intent]:
    """By invoice, the intent that may still take its money, locked."""
    rows = await tx.fetch(
        """
        select tenant_id, invoice_id, intent_id from payment_share
        where live and (tenant_id, invoice_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        """,
        [tenant for tenant, _ in invoices],
        [invoice for _, invoice in invoices],
    )
    found = await lock_intents(tx, [(row["tenant_id"], row["intent_id"]) for row in rows])
    return {
        (row["tenant_id"], row["invoice_id"]): found[row["intent_id"]]
        for row in rows
        if found[row["intent_id"]].is_open
    }


async def count_begun(
    tx: Tx, invoices: Sequence[Key], actor: str, since: datetime
) -> dict[Key, int]:
    """How many intents somebody began for each invoice since a time."""
    rows = await tx.fetch(
        """
        select s.tenant_id, s.invoice_id, count(*) as begun from payment_share as s
        join payment_intent as i on i.tenant_id = s.tenant_id and i.id = s.intent_id
        where (s.tenant_id, s.invoice_id) in (select * from unnest($1::uuid[], $2::uuid[]))
          and i.created_by = $3 and i.created_at > $4
        group by s.tenant_id, s.invoice_id
        """,
        [tenant for tenant, _ in invoices],
        [invoice for _, invoice in invoices],
        actor,
        since,
    )
    return {(row["tenant_id"], row["invoice_id"]): row["begun"] for row in rows}


async def hasten_waiting(tx: Tx, invoices: Sequence[Key], unless_after: datetime) -> None:
    """Have the providers asked now how these stand, where they were not just asked."""
    await tx.execute(
        """
        update payment_attempt as a set due_at = $3
        from payment_share as s
        where (s.tenant_id, s.invoice_id) in (select * from unnest($1::uuid[], $2::uuid[]))
          and s.live and a.tenant_id = s.tenant_id and a.intent_id = s.intent_id
          and a.kind = 'collect' and a.state = 'sent' and a.due_at > $3 and a.updated_at < $4
        """,
        [tenant for tenant, _ in invoices],
        [invoice for _, invoice in invoices],
        tx.now,
        unless_after,
    )
