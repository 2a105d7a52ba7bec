"""Removing what can no longer matter: old marks of the inbox and old stored answers."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from messaging import inbox
from messaging.database import Database

log = structlog.get_logger()
EVERY_S = 600
INBOX_DAYS = 100
"""Longer than the longest retention of a topic (dead letters, 90 days): nothing older can come."""
ANSWER_HOURS = 72
"""How long a request may be repeated under its Idempotency-Key."""
BATCH = 10_000


def oldest_id(moment: datetime) -> UUID:
    """The smallest UUIDv7 of a moment."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def clean(database: Database, now: datetime) -> tuple[int, int]:
    """Remove one batch of marks and of answers; how many of each went."""
    async with database.transaction() as tx:
        marks = await inbox.forget_before(tx, oldest_id(now - timedelta(days=INBOX_DAYS)), BATCH)
        tag = await tx.execute(
            """
            delete from idempotency where (tenant_id, route, key) in (
                select tenant_id, route, key from idempotency where created_at < $1
                order by created_at limit $2)
            """,
            now - timedelta(hours=ANSWER_HOURS),
            BATCH,
        )
    return marks, int(tag.split()[-1])


async def run(database: Database) -> None:
    """Clean every ten minutes until cancelled."""
    while True:
        while BATCH in (gone := await clean(database, datetime.now(UTC))):
            log.info("housekeeping.cleaned", marks=gone[0], answers=gone[1])
        await asyncio.sleep(EVERY_S)
