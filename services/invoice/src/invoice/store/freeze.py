"""Whether the reserve lets anything be issued."""

from datetime import datetime

from messaging import Tx


async def save_freeze(tx: Tx, *, frozen: bool, version: int, at: datetime) -> None:
    """Take over what is newer: the reserve's facts have an order of their own."""
    await tx.execute(
        """
        insert into issuing_freeze as f (frozen, version, changed_at) values ($1, $2, $3)
        on conflict (only_row) do update
        set frozen = excluded.frozen, version = excluded.version, changed_at = excluded.changed_at
        where f.version < excluded.version
        """,
        frozen,
        version,
        at,
    )


async def is_frozen(tx: Tx) -> bool:
    """Whether nothing may be issued now."""
    return bool(await tx.fetchval("select frozen from issuing_freeze"))
