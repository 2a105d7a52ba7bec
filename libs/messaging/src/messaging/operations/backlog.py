"""What a service still has to do: facts not yet sent, timers not yet fired."""

from typing import Any

from messaging.outbox import SHARDS
from messaging.relay import _lock_space
from messaging.transaction import Tx

PARKED_SHOWN = 20
FAILING_SHOWN = 5
LATE_S = 10
"""Seconds after which a due timer is overdue: loops look once a second."""


async def outbox_status(tx: Tx, schema: str) -> dict[str, Any]:
    """Unsent facts, those the broker refused, and which sessions own the shards.

    `staged_total` and `sent_total` count since `counted_since`, so that two looks give a rate.
    """
    found = await tx.fetchrow(
        """
        select o.waiting, o.parked, o.oldest_at, extract(epoch from o.age)::float8 as oldest_age_s,
               s.n_tup_ins as staged_total, s.n_tup_del as sent_total,
               coalesce(d.stats_reset, pg_postmaster_start_time()) as counted_since,
               clock_timestamp() as at
        from (select count(*) filter (where not parked) as waiting,
                     count(*) filter (where parked) as parked, min(staged_at) as oldest_at,
                     clock_timestamp() - min(staged_at) as age from outbox) o
        join pg_stat_user_tables s on s.schemaname = $1 and s.relname = 'outbox'
        join pg_stat_database d on d.datname = current_database()
        """,
        schema,
    )
    parked = await tx.fetch(
        """
        select p.seq, p.topic, p.key, p.type, p.event_id, octet_length(p.payload) as bytes,
               'the broker takes no record of this size' as cause,
               (select count(*) from outbox o where o.topic = p.topic and o.key = p.key
                                                and o.seq > p.seq) as behind
        from outbox p where p.parked order by p.seq limit $1
        """,
        PARKED_SHOWN,
    )
    owners = await tx.fetch(
        """
        select l.pid, a.application_name as session,
               array_agg(l.objid::int order by l.objid) as shards
        from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.granted and l.classid = $1 and l.objsubid = 2
          and l.database = (select oid from pg_database where datname = current_database())
        group by l.pid, a.application_name order by l.pid
        """,
        _lock_space(schema) & 0xFFFFFFFF,
    )
    owned = sum(len(owner["shards"]) for owner in owners)
    return {
        **dict(found),
        "parked_rows": [dict(row) for row in parked],
        "shards": {"all": SHARDS, "owned": owned, "owners": [dict(row) for row in owners]},
    }


async def timers_status(tx: Tx) -> list[dict[str, Any]]:
    """For each kind of timer: how many wait, are due, overdue and failing, and what is next."""
    kinds = await tx.fetch(
        """
        select kind, count(*) as waiting,
               count(*) filter (where due_at <= clock_timestamp()) as due,
               count(*) filter (where due_at < clock_timestamp() - make_interval(secs => $1))
                   as overdue,
               min(due_at) as next_at, count(*) filter (where attempts > 0) as failing
        from timer group by kind order by kind
        """,
        LATE_S,
    )
    failing = await tx.fetch(
        """
        select kind, ref, tenant_id, attempts, due_at, error from (
            select kind, ref, tenant_id, attempts, due_at, error,
                   row_number() over (partition by kind order by attempts desc, ref) as place
            from timer where attempts > 0) t
        where place <= $1 order by kind, place
        """,
        FAILING_SHOWN,
    )
    return [
        {**dict(row), "worst": [dict(f) for f in failing if f["kind"] == row["kind"]]}
        for row in kinds
    ]
