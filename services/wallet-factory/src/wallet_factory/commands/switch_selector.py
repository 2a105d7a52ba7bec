"""Switch the model off or on: for a tenant, or by the platform for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class Switch:
    """The kill switch of a tenant as it is to be."""

    tenant_id: UUID
    engaged: bool
    reason: str
    actor: str
    at: datetime | None = None


async def switch_selector(tx: Tx, asked: Sequence[Switch]) -> list[Switch | Refusal]:
    """Store each switch, the last of a tenant; while it is engaged rules alone decide."""
    last = {item.tenant_id: item for item in asked}
    ordered = [last[tenant] for tenant in sorted(last)]
    await tx.execute(
        """
        insert into selector_switch (tenant_id, engaged, reason, switched_by, switched_at)
        select tenant_id, engaged, reason, actor, $5
        from unnest($1::uuid[], $2::bool[], $3::text[], $4::text[])
            as new(tenant_id, engaged, reason, actor)
        on conflict (tenant_id) do update set engaged = excluded.engaged,
            reason = excluded.reason, switched_by = excluded.switched_by,
            switched_at = excluded.switched_at
        """,
        [item.tenant_id for item in ordered],
        [item.engaged for item in ordered],
        [item.reason for item in ordered],
        [item.actor for item in ordered],
        tx.now,
    )
    return [Switch(i.tenant_id, i.engaged, i.reason, i.actor, tx.now) for i in asked]
