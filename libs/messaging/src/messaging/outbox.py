"""Facts on their way out: staged in the transaction that made them true, deleted once published."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from invoiceos_contracts import Envelope, Event
from invoiceos_contracts.cloudevents import Headers, schema_uri, to_headers
from invoiceos_contracts.registry import EVENTS
from messaging.records import Received, headers_as_text

SHARDS = 16
"""Fixed in the table's definition; a change re-routes keys, so drain first."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A fact that waits for its transaction's commit."""

    id: UUID
    fact: Event
    cause: UUID | None
    traceparent: str | None
    tracestate: str | None


# The heads are locked in key order and complete before the first outbox row takes its seq: two
# transactions about one aggregate follow one another, and seq, version and commit order agree.
_INSERT = """
with staged as (
    select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                         $7::uuid[], $8::text[], $9::text[], $10::bytea[])
        with ordinality as s(event_id, tenant_id, topic, key, type, correlation_id, causation_id,
                             traceparent, tracestate, payload, place)
), head as (
    insert into stream_head as h (topic, key, tenant_id, version)
    select topic, key, (array_agg(tenant_id))[1], count(*) from staged group by topic, key
    order by topic, key
    on conflict (topic, key) do update set version = h.version + excluded.version
    returning h.topic, h.key, h.version
), numbered as (
    select s.*, head.version - count(*) over (partition by s.topic, s.key)
           + row_number() over (partition by s.topic, s.key order by s.place) as version
    from staged s join head using (topic, key)
), sent as (
    insert into outbox (tenant_id, topic, key, event_id, type, version, occurred_at,
                        correlation_id, causation_id, traceparent, tracestate, payload)
    select tenant_id, topic, key, event_id, type, version, $11, correlation_id, causation_id,
           traceparent, tracestate, payload
    from numbered order by place
    returning shard
)
select distinct shard from sent
"""

_INSERT_RAW = """
insert into outbox (tenant_id, topic, key, event_id, type, version, occurred_at, correlation_id,
                    headers, payload)
select tenant_id, topic, key, event_id, type, 1, now(), key, headers::jsonb, payload
from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::bytea[])
    with ordinality as r(tenant_id, topic, key, event_id, type, headers, payload, place)
order by place
returning shard
"""


async def insert(connection: Any, staged: Sequence[Staged], now: datetime) -> set[int]:
    """Write staged facts with their versions; the shards they went to."""
    facts = [item.fact for item in staged]
    rows = await connection.fetch(
        _INSERT,
        [item.id for item in staged],
        [fact.tenant_id for fact in facts],
        [fact.TOPIC for fact in facts],
        [fact.subject for fact in facts],
        [fact.TYPE for fact in facts],
        [fact.correlation for fact in facts],
        [item.cause for item in staged],
        [item.traceparent for item in staged],
        [item.tracestate for item in staged],
        [fact.write() for fact in facts],
        now,
    )
    return {row["shard"] for row in rows}


def copy_of(row_id: UUID, topic: str, item: Received[Event]) -> tuple[object, ...]:
    """A row that sends an event on to another topic, as it came.

    The row has an id of its own, for one event may go to many topics; the headers keep the event's.
    """
    said = item.envelope
    headers = json.dumps(headers_as_text(item.record))
    return (said.tenant_id, topic, said.subject, row_id, said.type, headers, item.record.value)


async def insert_raw(connection: Any, columns: Sequence[Sequence[object]]) -> set[int]:
    """Write records as they are (dead letters, copies), headers given as JSON text."""
    return {row["shard"] for row in await connection.fetch(_INSERT_RAW, *columns)}


def headers_of(row: Any, source: str) -> Headers:
    """Kafka headers of an outbox row."""
    if row["headers"] is not None:
        return tuple((name, value.encode()) for name, value in row["headers"])
    envelope = Envelope(
        id=row["event_id"],
        type=row["type"],
        source=source,
        subject=row["key"],
        time=row["occurred_at"],
        tenant_id=row["tenant_id"],
        aggregate_version=row["version"],
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        traceparent=row["traceparent"],
        tracestate=row["tracestate"],
    )
    return to_headers(envelope, schema_uri(EVENTS[row["type"]]))
