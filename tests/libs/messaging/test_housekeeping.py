from datetime import UTC, datetime, timedelta

from messaging import housekeeping
from messaging.housekeeping import ANSWER_HOURS, INBOX_DAYS, oldest_id
from testkit.service import a_tenant

NOW = datetime(2030, 1, 1, tzinfo=UTC)


async def test_only_what_can_no_longer_matter_is_removed(toy):
    old, recent = NOW - timedelta(days=INBOX_DAYS + 1), NOW - timedelta(days=INBOX_DAYS - 1)
    for moment in (old, recent):
        await toy.worker.pool.execute(
            "insert into inbox (event_id, consumer) values ($1, 'c')", oldest_id(moment)
        )
    for key, hours in (("old", ANSWER_HOURS + 1), ("recent", ANSWER_HOURS - 1)):
        await toy.worker.pool.execute(
            "insert into idempotency (tenant_id, route, key, request_hash, created_at)"
            " values ($1, 'r', $2, '', $3)",
            a_tenant(),
            key,
            NOW - timedelta(hours=hours),
        )
    assert await housekeeping.clean(toy.worker, NOW) == (1, 1)
    assert await housekeeping.clean(toy.worker, NOW) == (0, 0)
    assert await toy.worker.fetchval("select key from idempotency") == "recent"
