"""One run: every invariant on one snapshot, all queries on their way at once."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from audit.invariant import Invariant
from audit.invariants import INVARIANTS
from audit.report import Finding, Report
from audit.services import parameters
from audit.topics import TopicRecord, truncated_topics

SAMPLES = 20
"""Rows shown of what breaks an invariant; all are counted."""
GRACE_S = 30.0
"""Age in seconds from which two services must agree."""
LATE_S = 10.0
"""Seconds by which loops may be late, even where all is quiet: what is due then is not done yet."""
STATEMENT_TIMEOUT_S = 120

# Made before the snapshot: a read-only transaction may fill temporary tables, not create them.
_TABLES = """
create temporary table if not exists topic_log (
    topic text not null, partition integer not null, record_offset bigint not null,
    recorded_at timestamptz not null, key text, event_id uuid, version bigint, tenant_id uuid,
    type text, error text not null, letter_of text, consumer text,
    after_snapshot boolean not null
);
create temporary table if not exists topic_key (
    topic text not null, key text not null, partition integer not null, tenant_id uuid not null,
    version bigint not null, types text[] not null, primary key (topic, key)
)
"""
_COPY = """
copy pg_temp.topic_log (topic, partition, record_offset, recorded_at, key, event_id, version,
    tenant_id, type, error, letter_of, consumer, after_snapshot) from stdin
"""
# One row whatever is found: how many, some of them as JSON, and how long it took.
_COUNTED = """
select count(*) as count,
       coalesce(json_agg(v.shown) filter (where v.shown is not null), '[]') as rows,
       extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp())
           * 1000 as ms
from (select case when row_number() over () <= {samples} then to_json(q) end as shown
      from ({sql}) as q) as v
"""
# Of each history the part before its first record that is too young to be judged.
_FOLD_FACTS = """
with young as (
    select topic, key, min(version) as version from pg_temp.topic_log
    where letter_of is null and event_id is not null
      and (after_snapshot or recorded_at >= %(before)s)
    group by topic, key
), gone as (
    delete from pg_temp.topic_log l
    where l.letter_of is null and l.event_id is not null and not l.after_snapshot
      and l.recorded_at < %(before)s and not exists (
        select from young y
        where y.topic = l.topic and y.key = l.key and y.version <= l.version)
    returning topic, key, partition, tenant_id, version, type
)
insert into pg_temp.topic_key as k (topic, key, partition, tenant_id, version, types)
select topic, key, min(partition), (array_agg(tenant_id))[1], max(version),
       array_agg(distinct type) || case when min(version) = 1 then array['whole'] else '{}' end
from gone group by topic, key
on conflict (topic, key) do update
set version = greatest(k.version, excluded.version),
    types = array(select distinct unnest(k.types || excluded.types))
"""
_FOLD_LETTERS = """
with gone as (
    delete from pg_temp.topic_log
    where letter_of is not null and not after_snapshot and recorded_at < %(before)s
    returning topic, consumer, letter_of, partition
)
insert into pg_temp.topic_key (topic, key, partition, tenant_id, version, types)
select distinct topic, consumer || ' ' || letter_of, partition,
       '00000000-0000-0000-0000-000000000000'::uuid, 1::bigint, '{}'::text[]
from gone on conflict do nothing
"""


class CannotAudit(Exception):
    """The audit itself did not work: nothing is known, which is no good news either."""


def run(
    where: str | psycopg.Connection[Any],
    records: Sequence[TopicRecord] | None = None,
    *,
    grace_s: float = GRACE_S,
    truncated: Collection[str] | None = None,
) -> Report:
    """Look at every invariant; with `records` (what `topics.read` gave) at the topics too.

    `where` is an address or an open connection; one that is inside a transaction is used as it
    is, and sees what that transaction sees. Nothing may be published between the reading of the
    topics and this call: `Monitor` is for a system that goes on working. `truncated` names topics
    whose beginning is gone; else that is seen from the offsets. Raises `CannotAudit`.
    """
    try:
        if isinstance(where, str):
            with psycopg.connect(where) as connection:
                return run(connection, records, grace_s=grace_s, truncated=truncated)
        session = Session(where)
        session.clear()
        if records is not None:
            session.load(records)
            session.truncated = frozenset(
                truncated_topics(records) if truncated is None else truncated
            )
        with session.snapshot():
            return session.judge(grace_s, topics=records is not None)
    except psycopg.Error as error:
        raise CannotAudit(str(error)) from error


class Session:
    """The steps of a run on one connection, for whoever repeats them."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Use a connection; a transaction it is in stays open."""
        self._connection = connection
        self._shared = connection.info.transaction_status is not TransactionStatus.IDLE
        self.truncated: frozenset[str] = frozenset()
        self._taken_at: datetime | None = None
        connection.prepared_max = max(connection.prepared_max or 0, 4 * len(INVARIANTS))
        with connection.transaction():
            connection.execute(_TABLES)

    def clear(self) -> None:
        """Forget the records of an earlier run."""
        with self._connection.transaction():
            self._connection.execute("delete from pg_temp.topic_log")
            self._connection.execute("delete from pg_temp.topic_key")

    def load(self, records: Iterable[TopicRecord]) -> None:
        """Add records that were read before the snapshot is taken."""
        with self._connection.transaction():
            self._copy(records, after_snapshot=False)

    def load_late(self, records: Iterable[TopicRecord]) -> None:
        """Add records that were read after it: they only show that nothing was lost."""
        self._copy(records, after_snapshot=True)

    def _copy(self, records: Iterable[TopicRecord], *, after_snapshot: bool) -> None:
        with self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for r in records:
                place = (r.topic, r.partition, r.offset, r.recorded_at)
                said = (r.key, r.event_id, r.version, r.tenant_id, r.type, r.error)
                copy.write_row((*place, *said, r.letter_of, r.consumer, after_snapshot))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything inside sees the database as it was at one moment, and changes nothing."""
        connection = self._connection
        if self._shared:
            yield
            return
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            connection.execute(f"set local statement_timeout = '{STATEMENT_TIMEOUT_S}s'")
            connection.execute("set local jit = off; set local work_mem = '64MB'")
            # The first query takes the snapshot. Nothing is late that was not late by then.
            taken = connection.execute("select clock_timestamp()").fetchone()
            self._taken_at = taken and taken[0]
            try:
                yield
            finally:
                self._taken_at = None

    def judge(
        self,
        grace_s: float,
        *,
        topics: bool,
        invariants: Sequence[Invariant] = INVARIANTS,
    ) -> Report:
        """Look at every invariant, inside a snapshot."""
        declared = parameters()
        began = time.perf_counter()
        connection = self._connection
        connection.execute("analyze pg_temp.topic_log")
        at, before, records = self._now(grace_s)
        values = {
            **declared,
            "before": before,
            "due": min(before, at - timedelta(seconds=LATE_S)),
            "truncated": list(self.truncated),
        }
        chosen = [i for i in invariants if topics or not i.topics]
        cursors = [connection.cursor(row_factory=dict_row) for _ in chosen]
        try:
            with connection.pipeline():
                for invariant, cursor in zip(chosen, cursors, strict=True):
                    cursor.execute(_statement(invariant), values, prepare=True)
        except psycopg.Error as error:
            failed = next(i for i, c in zip(chosen, cursors, strict=True) if c.pgresult is None)
            raise CannotAudit(f"{failed.name}: {error}") from error
        looked_at = [_finding(i, c) for i, c in zip(chosen, cursors, strict=True)]
        return Report(
            looked_at,
            at=at,
            seconds=time.perf_counter() - began,
            records=records if topics else None,
            grace_s=grace_s,
        )

    def fold(self, report: Report) -> None:
        """Forget the records that were found right, all but where each history stands.

        So what a later run compares is what came since, however long the topics are. Nothing is
        forgotten while anything on the topics is wrong: it has to be found again. The connection
        is one that commits by itself.
        """
        settled = {"before": report.at - timedelta(seconds=report.grace_s)}
        with self._connection.transaction():
            if not any(finding.invariant.topics for finding in report.findings):
                self._connection.execute(_FOLD_FACTS, settled)
                self._connection.execute(_FOLD_LETTERS, settled)
            self._connection.execute(
                "update pg_temp.topic_log set after_snapshot = false where after_snapshot"
            )
        # Nobody else vacuums a temporary table.
        self._connection.execute("vacuum pg_temp.topic_log, pg_temp.topic_key")

    def _now(self, grace_s: float) -> tuple[datetime, datetime, int]:
        row = self._connection.execute(
            """
            select now, now - make_interval(secs => %s), (select count(*) from pg_temp.topic_log)
            from coalesce(%s, clock_timestamp()) as now
            """,
            [grace_s, self._taken_at],
        ).fetchone()
        assert row is not None
        return row[0], row[1], row[2]


def _statement(invariant: Invariant) -> str:
    if invariant.judge is not None:
        return invariant.sql
    return _COUNTED.replace("{samples}", str(SAMPLES)).replace("{sql}", invariant.sql)


def _finding(invariant: Invariant, cursor: psycopg.Cursor[dict[str, Any]]) -> Finding:
    rows = cursor.fetchall()
    if invariant.judge is None:
        (row,) = rows
        return Finding(invariant, row["count"], row["rows"], float(row["ms"]))
    began = time.perf_counter()
    wrong = list(invariant.judge(rows))
    took = (time.perf_counter() - began) * 1000
    return Finding(invariant, len(wrong), wrong[:SAMPLES], took)
