"""Records put aside: what could not be read or handled, and what waits behind it by key."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord

from invoiceos_contracts import PLATFORM, EnvelopeError, from_headers
from messaging import outbox
from messaging.metrics import DEAD_LETTERS
from messaging.records import OWN_TOPICS, headers_as_text, key_of
from messaging.transaction import Tx

_RELEASED = """
    l.consumer = $1 and (l.state = 'replaying' or l.state = 'parked' and not exists (
        select from dead_letter d where d.consumer = l.consumer and d.topic = l.topic
        and d.record_key = l.record_key and d.state = 'dead'))
"""
"""What an operator released, and what was parked behind it since: no culprit is left before it."""
WAITING = f"select exists (select from dead_letter l where {_RELEASED})"
"""Whether there is anything for a consumer to replay."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record to put aside, and why."""

    record: Any
    state: str
    """dead: the culprit; parked: waits behind a culprit of the same key."""
    reason: str
    error: str
    attempts: int = 1


async def blocked_keys(tx: Tx, consumer: str, records: Sequence[Any]) -> set[tuple[str, bytes]]:
    """Topics and keys among these records that have a dead letter still open."""
    rows = await tx.fetch(
        """
        select distinct topic, record_key from dead_letter
        where consumer = $1 and topic = any($2) and record_key = any($3)
          and state <> 'resolved' and state <> 'discarded'
        """,
        consumer,
        list({record.topic for record in records}),
        list({key_of(record) for record in records}),
    )
    return {(row["topic"], row["record_key"]) for row in rows}


async def put_aside(tx: Tx, consumer: str, letters: Sequence[DeadLetter]) -> None:
    """Keep records with cause and origin, and publish the culprits to `<topic>.dlq`."""
    if not letters:
        return
    ids = [tx.new_id() for _ in letters]
    identities = [_identity(letter.record) for letter in letters]
    inserted = await tx.fetch(
        """
        insert into dead_letter (id, tenant_id, consumer, topic, partition, record_offset,
            record_key, event_id, type, headers, payload, state, reason, error, attempts)
        select id, tenant_id, $1, topic, partition, record_offset, record_key, event_id, type,
               headers::jsonb, payload, state, reason, error, attempts
        from unnest($2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::bigint[], $7::bytea[],
            $8::uuid[], $9::text[], $10::text[], $11::bytea[], $12::text[], $13::text[],
            $14::text[], $15::int[]) as d(id, tenant_id, topic, partition, record_offset,
            record_key, event_id, type, headers, payload, state, reason, error, attempts)
        order by topic, partition, record_offset
        on conflict (consumer, topic, partition, record_offset) do nothing returning id
        """,
        consumer,
        ids,
        [identity[0] for identity in identities],
        [letter.record.topic for letter in letters],
        [letter.record.partition for letter in letters],
        [letter.record.offset for letter in letters],
        [key_of(letter.record) for letter in letters],
        [identity[1] for identity in identities],
        [identity[2] for identity in identities],
        [json.dumps(headers_as_text(letter.record)) for letter in letters],
        [letter.record.value for letter in letters],
        [letter.state for letter in letters],
        [letter.reason for letter in letters],
        [letter.error.replace("\x00", "") for letter in letters],
        [letter.attempts for letter in letters],
    )
    new = {row["id"] for row in inserted}
    for letter in letters:
        DEAD_LETTERS.labels(consumer, letter.reason).inc()
    culprits = [(i, d) for i, d in zip(ids, letters, strict=True) if i in new and d.state == "dead"]
    await _publish(tx, consumer, culprits)


def _identity(record: Any) -> tuple[UUID, UUID | None, str | None]:
    """Tenant, event id and type of a record, as far as they can be read and believed."""
    if record.topic not in OWN_TOPICS:
        return PLATFORM, None, None
    try:
        envelope = from_headers(record.headers)
    except EnvelopeError:
        return PLATFORM, None, None
    return envelope.tenant_id, envelope.id, envelope.type


async def _publish(tx: Tx, consumer: str, letters: Sequence[tuple[UUID, DeadLetter]]) -> None:
    publishable = [
        (i, d)
        for i, d in letters
        if d.record.topic in OWN_TOPICS and len(d.record.value or b"") < 900_000
    ]
    if not publishable:
        return
    records = [letter.record for _, letter in publishable]
    headers = [
        json.dumps(
            [
                *headers_as_text(letter.record),
                ["dlq_consumer", consumer],
                ["dlq_reason", letter.reason],
                ["dlq_error", letter.error[:500].replace("\x00", "")],
                ["dlq_source", f"{r.topic}/{r.partition}/{r.offset}"],
                ["dlq_attempts", str(letter.attempts)],
            ]
        )
        for (_, letter), r in zip(publishable, records, strict=True)
    ]
    tx.committed.shards |= await outbox.insert_raw(
        tx,
        [
            [_identity(record)[0] for record in records],
            [f"{record.topic}.dlq" for record in records],
            [key_of(record).decode("utf-8", "replace").replace("\x00", "") for record in records],
            [letter_id for letter_id, _ in publishable],
            ["dead_letter"] * len(records),
            headers,
            [record.value or b"" for record in records],
        ],
    )


async def take_for_replay(tx: Tx, consumer: str, limit: int) -> list[tuple[UUID, Any]]:
    """Dead letters that may be handled again, in their order, as records again."""
    rows = await tx.fetch(
        f"""
        select * from dead_letter l where {_RELEASED}
        order by topic, partition, record_offset limit $2 for update
        """,
        consumer,
        limit,
    )
    return [(row["id"], _as_record(row)) for row in rows]


def _as_record(row: Any) -> Any:
    headers = tuple((name, value.encode()) for name, value in row["headers"])
    return ConsumerRecord(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["record_offset"],
        timestamp=0,
        timestamp_type=0,
        key=row["record_key"],
        value=row["payload"],
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=headers,
    )


async def release(tx: Tx, ids: Sequence[UUID]) -> int:
    """Let the letters of the same keys as these be handled again, in their order; how many.

    The consumer picks them up by itself; a letter that fails again is dead again.
    """
    tag = await tx.execute(
        """
        update dead_letter set state = 'replaying' where state in ('dead', 'parked')
        and (consumer, topic, record_key) in (
            select consumer, topic, record_key from dead_letter where id = any($1))
        """,
        list(ids),
    )
    return int(tag.split()[-1])


async def settle(tx: Tx, resolved: Sequence[UUID], failed: Sequence[tuple[UUID, str]]) -> None:
    """Record how a replay ended; what was still to come of a key that failed waits behind it."""
    await tx.execute(
        "update dead_letter set state = 'resolved', resolved_at = now() where id = any($1)",
        list(resolved),
    )
    await tx.execute(
        """
        update dead_letter d set state = case when f.error = '' then 'parked' else 'dead' end,
            error = coalesce(nullif(f.error, ''), d.error), attempts = attempts + 1
        from unnest($1::uuid[], $2::text[]) as f(id, error) where d.id = f.id
        """,
        [letter for letter, _ in failed],
        [error for _, error in failed],
    )
    await tx.execute(
        """
        update dead_letter set state = 'parked' where state = 'replaying'
        and (consumer, topic, record_key) in (
            select consumer, topic, record_key from dead_letter where id = any($1))
        """,
        [letter for letter, _ in failed],
    )
