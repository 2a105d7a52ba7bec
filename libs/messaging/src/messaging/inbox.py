"""What this consumer has handled: the mark commits with the effects, so each happens once."""

from collections.abc import Sequence
from uuid import UUID

from messaging.transaction import Tx


async def mark(tx: Tx, consumer: str, event_ids: Sequence[UUID]) -> set[UUID]:
    """Mark events as handled; those that had not been.

    Ids are inserted sorted: two transactions that share some never wait for each other in a ring.
    A second transaction with the same id waits for the first, then finds it handled.
    """
    if not event_ids:
        return set()
    rows = await tx.fetch(
        """
        insert into inbox (event_id, consumer) select id, $1 from unnest($2::uuid[]) as t(id)
        on conflict do nothing returning event_id
        """,
        consumer,
        sorted(set(event_ids)),
    )
    return {row["event_id"] for row in rows}


async def forget_before(tx: Tx, oldest: UUID, limit: int = 10_000) -> int:
    """Remove marks of events older than any that can come again; how many went."""
    tag = await tx.execute(
        """
        delete from inbox where (event_id, consumer) in (
            select event_id, consumer from inbox where event_id < $1 order by event_id limit $2)
        """,
        oldest,
        limit,
    )
    return int(tag.split()[-1])
