"""The records of the topics, as the auditor compares them with the databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from invoiceos_contracts import EVENTS, EnvelopeError, from_headers, topics
from invoiceos_contracts.registry import COMPACTED
from messaging import KafkaAccess
from messaging.records import Received, Unreadable
from messaging.records import read as parse

LETTERS: Final = ".dlq"
"""How the name of a topic of dead letters ends."""
POLL_MS: Final = 500
CHUNK: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRecord:
    """One record of a topic: where it stands and what its envelope says."""

    topic: str
    partition: int
    offset: int
    recorded_at: datetime
    """When it was sent, UTC."""
    key: str | None = None
    event_id: UUID | None = None
    version: int | None = None
    tenant_id: UUID | None = None
    type: str | None = None
    error: str = ""
    """Why it cannot be read; empty when it can."""
    letter_of: str | None = None
    """Of a dead letter: `topic/partition/offset` of the record that was put aside."""
    consumer: str | None = None
    """Of a dead letter: who put it aside."""

    @classmethod
    def of(cls, record: Any) -> Self:
        """From a Kafka record; never raises, whatever the record holds."""
        key = record.key.decode("utf-8", "replace") if record.key else None
        place = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "recorded_at": datetime.fromtimestamp(record.timestamp / 1000, UTC),
            "key": key,
        }
        if record.topic.endswith(LETTERS):
            return cls(**place, **_letter(record))
        return cls(**place, **_fact(record))


def _fact(record: Any) -> dict[str, Any]:
    found = parse(record, EVENTS.keys())
    if isinstance(found, Received):
        envelope = found.envelope
        error = "" if record.key == envelope.subject.encode() else "the key is not the subject"
    elif isinstance(found, Unreadable):
        return {**_envelope(record), "error": f"{found.reason}: {found.error}"[:500]}
    else:
        error = "of a type that no contract knows"
    return {**_envelope(record), "error": error}


def _letter(record: Any) -> dict[str, Any]:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers if value}
    marks = {"letter_of": headers.get("dlq_source"), "consumer": headers.get("dlq_consumer")}
    error = "" if all(marks.values()) else "a dead letter that does not say where it comes from"
    return {**_envelope(record), **marks, "error": error}


def _envelope(record: Any) -> dict[str, Any]:
    """What the envelope says; nothing where it cannot be read."""
    try:
        envelope = from_headers(record.headers)
    except EnvelopeError:
        return {}
    return {
        "event_id": envelope.id,
        "version": envelope.aggregate_version,
        "tenant_id": envelope.tenant_id,
        "type": envelope.type,
    }


class TopicMissing(Exception):
    """A topic of the contracts is not there: nothing can be said of it."""


class Reader:
    """Reads every topic, each record once: as itself, in no group, so nobody notices.

    It remembers how far it has read, so that what is new since the last time is all it fetches.
    """

    def __init__(self, kafka: KafkaAccess) -> None:
        """Name the broker; `open` connects."""
        self._kafka = kafka
        self._consumer: AIOKafkaConsumer | None = None
        self.truncated: frozenset[str] = frozenset()
        """Topics whose beginning the broker has deleted, for their time of keeping was over."""

    async def open(self) -> None:
        """Connect and go to the earliest record there is of each partition."""
        consumer = AIOKafkaConsumer(
            **self._kafka.options(),
            client_id="invoiceos.auditor",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        self._consumer = consumer
        await consumer.start()
        places = await self._partitions()
        consumer.assign(places)
        first = await consumer.beginning_offsets(places)
        for place, offset in first.items():
            consumer.seek(place, offset)
        gone = (place.topic for place, offset in first.items() if offset)
        self.truncated = COMPACTED | frozenset(gone)

    async def _partitions(self) -> list[TopicPartition]:
        """Every partition of every topic of the contracts; raises `TopicMissing`."""
        admin = AIOKafkaAdminClient(**self._kafka.options())
        await admin.start()
        try:
            described = await admin.describe_topics([spec.name for spec in topics()])
        finally:
            await admin.close()
        found = {topic["topic"]: topic["partitions"] for topic in described}
        for spec in topics():
            if not found.get(spec.name):
                message = f"the topic {spec.name} is missing; `invoiceos topics` makes it"
                raise TopicMissing(message)
        return [
            TopicPartition(name, partition["partition"])
            for name, partitions in sorted(found.items())
            for partition in partitions
        ]

    async def close(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def news(self) -> AsyncIterator[list[TopicRecord]]:
        """What was written up to now and not read yet, in chunks."""
        assert self._consumer is not None, "open it first"
        consumer = self._consumer
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=CHUNK)
            records = [TopicRecord.of(record) for batch in polled.values() for record in batch]
            if records:
                yield records


async def read(kafka: KafkaAccess) -> list[TopicRecord]:
    """Every record there is on every topic of the contracts, from the earliest on."""
    reader = Reader(kafka)
    try:
        await reader.open()
        return [record async for chunk in reader.news() for record in chunk]
    finally:
        await reader.close()


def truncated_topics(records: Iterable[TopicRecord]) -> frozenset[str]:
    """Topics of which a partition begins later than at its first record."""
    first: dict[tuple[str, int], int] = {}
    for record in records:
        place = (record.topic, record.partition)
        first[place] = min(first.get(place, record.offset), record.offset)
    return COMPACTED | {topic for (topic, _), offset in first.items() if offset > 0}
