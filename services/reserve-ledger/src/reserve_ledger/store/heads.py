"""Heads of ledgers that were told to the world."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from messaging import Tx


@dataclass(frozen=True, slots=True)
class Due:
    """A ledger that went on since it was last told of."""

    tenant_id: UUID
    sequence: int
    hash: str


async def select_due(tx: Tx, every: timedelta, limit: int) -> list[Due]:
    """Ledgers that are further than what was told of them, long enough ago."""
    rows = await tx.fetch(
        """
        select h.tenant_id, h.sequence, encode(h.hash, 'hex') as hash from ledger_head h
        where h.sequence > 0 and not exists (
            select from published_head p
            where p.tenant_id = h.tenant_id
              and (p.sequence >= h.sequence or p.published_at > $1::timestamptz - $2::interval))
        order by h.tenant_id limit $3
        """,
        tx.now,
        every,
        limit,
    )
    return [Due(**row) for row in rows]


async def insert_heads(
    tx: Tx, due: Sequence[Due], signatures: Sequence[str], key_id: str, at: datetime
) -> set[UUID]:
    """Keep what is told; those ledgers of which nobody else told the same meanwhile."""
    rows = await tx.fetch(
        """
        insert into published_head (tenant_id, sequence, hash, published_at, signature, key_id)
        select tenant_id, sequence, decode(hash, 'hex'), $1, signature, $2
        from unnest($3::uuid[], $4::bigint[], $5::text[], $6::text[])
            as d(tenant_id, sequence, hash, signature)
        on conflict (tenant_id, sequence) do nothing returning tenant_id
        """,
        at,
        key_id,
        [one.tenant_id for one in due],
        [one.sequence for one in due],
        [one.hash for one in due],
        list(signatures),
    )
    return {row["tenant_id"] for row in rows}
