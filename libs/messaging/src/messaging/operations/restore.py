"""After a restore: what database and topics know of each other, and how they agree again.

Every service must be stopped. Owners and consumers are looked at apart: `compare` and `agree` are
about the facts a service states, `unhandled` and `forget` about those it reads.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from messaging.operations import journal
from messaging.operations.journal import Act
from messaging.transaction import Tx


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as it stands on a topic; the first of its event."""

    topic: str
    partition: int
    offset: int
    key: str
    version: int
    tenant_id: UUID
    event_id: UUID
    type: str
    at: datetime
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lost:
    """A fact that was stated and is neither on its topic nor in the outbox: its words are gone."""

    topic: str
    key: str
    tenant_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What one service's database and its topics do not agree on."""

    forgotten: Sequence[Sent]
    """On the topic, and the database knows nothing of it."""
    lost: Sequence[Lost]
    already_sent: Sequence[int]
    """Rows of the outbox (seq) whose facts are on the topic."""
    unjudged: int
    """Histories whose beginning retention removed from the topic: the rest was compared."""


async def compare(
    tx: Tx, topics: Collection[str], sent: Iterable[Sent], truncated: Collection[str]
) -> Difference:
    """Compare a service's histories with the records of its topics; changes nothing."""
    records = [record for record in sent if record.topic in topics]
    rows = await tx.fetch("select topic, key, tenant_id, version from stream_head")
    heads = {(row["topic"], row["key"]): row for row in rows}
    outbox = await tx.fetch(
        "select seq, topic, key, version, event_id from outbox where headers is null"
    )
    known = await tx.fetch("select topic, key, version, kind from restored_history")
    settled = {(row["topic"], row["key"], row["version"], row["kind"]) for row in known}
    on_topic = {record.event_id for record in records}
    forgotten = [
        record
        for record in records
        if record.version > _head(heads, record)
        and (record.topic, record.key, record.version, "forgotten") not in settled
    ]
    present: dict[tuple[str, str], set[int]] = {}
    for record in records:
        present.setdefault((record.topic, record.key), set()).add(record.version)
    for row in outbox:
        present.setdefault((row["topic"], row["key"]), set()).add(row["version"])
    lost, unjudged = _lost(heads, present, truncated, settled)
    already = [row["seq"] for row in outbox if row["event_id"] in on_topic]
    return Difference(forgotten, lost, already, unjudged)


def _head(heads: Mapping[tuple[str, str], Any], record: Sent) -> int:
    row = heads.get((record.topic, record.key))
    return 0 if row is None else int(row["version"])


def _lost(
    heads: Mapping[tuple[str, str], Any],
    present: Mapping[tuple[str, str], set[int]],
    truncated: Collection[str],
    settled: Collection[tuple[str, str, int, str]],
) -> tuple[list[Lost], int]:
    lost, unjudged = [], 0
    for (topic, key), row in heads.items():
        there = present.get((topic, key), set())
        first = 1
        if topic in truncated:
            unjudged += 1
            first = min(there, default=row["version"] + 1)
        lost += [
            Lost(topic, key, row["tenant_id"], version)
            for version in range(first, row["version"] + 1)
            if version not in there and (topic, key, version, "lost") not in settled
        ]
    return lost, unjudged


async def agree(tx: Tx, difference: Difference, act: Act) -> None:
    """Let histories go on after what the topics hold of them, and note where the two differ.

    A forgotten fact keeps its version: the next one the service states comes after it. Rows of the
    outbox that are on the topic need not be sent again.
    """
    forgotten, lost = difference.forgotten, difference.lost
    noted: list[tuple[Any, ...]] = [
        (r.topic, r.key, r.version, "forgotten", r.tenant_id, r.event_id, r.type) for r in forgotten
    ]
    noted += [(r.topic, r.key, r.version, "lost", r.tenant_id, None, None) for r in lost]
    columns: list[list[Any]] = [list(column) for column in zip(*noted, strict=True)] or [[]] * 7
    await tx.execute(
        """
        insert into restored_history (topic, key, version, kind, tenant_id, event_id, type)
        select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::uuid[],
                             $6::uuid[], $7::text[])
        on conflict do nothing
        """,
        *columns,
    )
    await tx.execute(
        """
        insert into stream_head as h (topic, key, tenant_id, version)
        select topic, key, (array_agg(tenant_id))[1], max(version)
        from unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[])
            as f(topic, key, tenant_id, version)
        group by topic, key order by topic, key
        on conflict (topic, key) do update set version = greatest(h.version, excluded.version)
        """,
        [record.topic for record in forgotten],
        [record.key for record in forgotten],
        [record.tenant_id for record in forgotten],
        [record.version for record in forgotten],
    )
    await tx.execute(
        "delete from outbox where seq = any($1::bigint[])", list(difference.already_sent)
    )
    count = len(forgotten) + len(lost) + len(difference.already_sent)
    if count:
        details = {
            "forgotten": len(forgotten),
            "lost": len(lost),
            "already_sent": len(difference.already_sent),
        }
        await journal.write(
            tx, act, "restore.apply", subject="histories", count=count, details=details
        )


async def unhandled(tx: Tx, consumer: str, records: Sequence[Sent]) -> list[Sent]:
    """Those of the records a consumer subscribed to that it neither handled nor put aside."""
    rows = await tx.fetch(
        """
        select place from unnest($2::uuid[], $3::text[], $4::int[], $5::bigint[])
            with ordinality as r(event_id, topic, partition, record_offset, place)
        where not exists (select from inbox i where i.event_id = r.event_id and i.consumer = $1)
          and not exists (select from dead_letter d
                          where d.consumer = $1 and d.topic = r.topic
                            and d.partition = r.partition and d.record_offset = r.record_offset)
        """,
        consumer,
        [record.event_id for record in records],
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
    )
    return [records[row["place"] - 1] for row in rows]


async def forget(tx: Tx, consumer: str, forgotten: Sequence[Sent]) -> None:
    """Mark facts their owner knows nothing of as handled: what follows from them never happens."""
    await tx.execute(
        """
        insert into inbox (event_id, consumer) select id, $1 from unnest($2::uuid[]) as t(id)
        on conflict do nothing
        """,
        consumer,
        [record.event_id for record in forgotten],
    )


async def move_letters_away(tx: Tx, ends: Mapping[tuple[str, int], int]) -> int:
    """Give letters from beyond the end of a partition places nobody will ever write to again.

    The topic was made anew and counts from 0: a new record must not be taken for an old letter.
    """
    tag = await tx.execute(
        """
        update dead_letter d set record_offset = d.record_offset - 4611686018427387904
        from unnest($1::text[], $2::int[], $3::bigint[]) as e(topic, partition, ending)
        where d.topic = e.topic and d.partition = e.partition and d.record_offset >= e.ending
        """,
        [topic for topic, _ in ends],
        [partition for _, partition in ends],
        list(ends.values()),
    )
    return int(tag.split()[-1])
