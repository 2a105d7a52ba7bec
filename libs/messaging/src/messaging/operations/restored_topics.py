"""The topics after a restore: every record there is, and where consumer groups go on from."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from invoiceos_contracts import EnvelopeError, from_headers
from messaging.access import KafkaAccess
from messaging.operations.restore import Sent
from messaging.operations.topics import partitions_of

POLL_MS = 500
CHUNK = 5_000
Offsets = Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Topics:
    """What the broker holds."""

    records: list[Sent]
    """Every readable record, the first of each event, in order of each partition."""
    unreadable: int
    ends: dict[TopicPartition, int]
    truncated: frozenset[str]
    """Topics of which a partition no longer begins at its first record."""


async def read_all(kafka: KafkaAccess, topics: Collection[str]) -> Topics:
    """Read every record of the topics, in no group."""
    places = await partitions_of(kafka, topics)
    consumer = AIOKafkaConsumer(
        **kafka.options(), client_id="invoiceos.operator", enable_auto_commit=False
    )
    await consumer.start()
    found: dict[UUID, Sent] = {}
    unreadable = 0
    try:
        consumer.assign(places)
        begins = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        for place, offset in begins.items():
            consumer.seek(place, offset)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=CHUNK)
            for record in (record for batch in polled.values() for record in batch):
                sent = _sent(record)
                if sent is None:
                    unreadable += 1
                else:
                    found.setdefault(sent.event_id, sent)
    finally:
        await consumer.stop()
    truncated = frozenset(place.topic for place, offset in begins.items() if offset)
    return Topics(list(found.values()), unreadable, dict(ends), truncated)


def _sent(record: Any) -> Sent | None:
    try:
        envelope = from_headers(record.headers)
    except EnvelopeError:
        return None
    return Sent(
        record.topic,
        record.partition,
        record.offset,
        envelope.subject,
        envelope.aggregate_version,
        envelope.tenant_id,
        envelope.id,
        envelope.type,
        datetime.fromtimestamp(record.timestamp / 1000, UTC),
        (record.value or b"").decode("utf-8", "replace"),
    )


async def committed(kafka: KafkaAccess, group: str) -> dict[TopicPartition, int]:
    """Where a group goes on from; empty for one nobody knows."""
    admin = AIOKafkaAdminClient(**kafka.options())
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {place: meta.offset for place, meta in found.items() if meta.offset >= 0}


async def occupied(kafka: KafkaAccess, groups: Collection[str]) -> list[str]:
    """Those of the groups that have members; one that died is a member until its session ends."""
    admin = AIOKafkaAdminClient(**kafka.options())
    await admin.start()
    found = []
    try:
        for group in groups:
            # One at a time: aiokafka 0.14 misreads every description after an answer's first.
            (answer,) = await admin.describe_consumer_groups([group])
            (described,) = answer.to_object()["groups"]
            if described["error_code"]:
                raise for_code(described["error_code"])(group)
            if described["members"]:
                found.append(group)
    finally:
        await admin.close()
    return found


def corrected(now: Offsets, ends: Offsets, unhandled: Iterator[Sent]) -> dict[TopicPartition, int]:
    """Where a group must go on from instead: before what it has not handled, within the topic."""
    first: dict[TopicPartition, int] = {}
    for record in unhandled:
        place = TopicPartition(record.topic, record.partition)
        first[place] = min(first.get(place, record.offset), record.offset)
    wanted = {
        place: min(offset, ends.get(place, offset), first.get(place, offset))
        for place, offset in now.items()
    }
    return {place: offset for place, offset in wanted.items() if offset != now[place]}


def from_the_beginning(now: Offsets) -> dict[TopicPartition, int]:
    """Where a group that reads records of strangers goes on from: the first there is of each.

    What such a record led to is not on our topics, so nobody can say which the database forgot;
    those it has not forgotten are known by their ids, and nothing comes of them again.
    """
    return {place: 0 for place, offset in now.items() if offset}


async def commit(kafka: KafkaAccess, group: str, offsets: Offsets) -> None:
    """Move a group; fails while anybody is in it."""
    consumer = AIOKafkaConsumer(
        **kafka.options(),
        client_id="invoiceos.operator",
        group_id=group,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(dict(offsets))
    finally:
        await consumer.stop()
