"""Events of one invoice on the topics: read as oneself, in no group, so that nobody notices."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from invoiceos_contracts import EVENTS, EnvelopeError, from_headers
from messaging.access import KafkaAccess

POLL_MS = 300
CHUNK = 5_000
CLOCKS_APART = timedelta(hours=1)
"""How far the clock that made an id may be before a broker's."""


def born(item: UUID) -> datetime:
    """When an id was made (UUIDv7)."""
    return datetime.fromtimestamp((item.int >> 80) / 1000, UTC)


def owned_topics(service: str | None = None) -> list[str]:
    """Topics a service writes; those of all where none is named."""
    return sorted({e.TOPIC for e in EVENTS.values() if service in (None, e.OWNER)})


async def events_of(
    kafka: KafkaAccess,
    topics: Collection[str],
    correlation: str,
    since: datetime,
    *,
    cause: UUID | None = None,
) -> list[dict[str, Any]]:
    """Events with a correlation id (of one cause, where given), each once, in order of time.

    Only records from an hour before `since` on are read: an id says when it was made.
    """
    places = await partitions_of(kafka, topics)
    if not places:
        return []
    consumer = AIOKafkaConsumer(
        **kafka.options(), client_id="invoiceos.operator", enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await _seek(consumer, places, since - CLOCKS_APART)
        found: dict[UUID, dict[str, Any]] = {}
        wanted = correlation.encode()
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=CHUNK)
            for record in (record for batch in polled.values() for record in batch):
                if dict(record.headers).get("ce_correlationid") == wanted:
                    _add(found, record)
    finally:
        await consumer.stop()
    chosen = [e for e in found.values() if cause is None or e["cause"] == cause]
    return sorted(chosen, key=lambda event: (event["at"], event["id"]))


async def partitions_of(kafka: KafkaAccess, topics: Collection[str]) -> list[TopicPartition]:
    """Every partition of those of the topics that there are."""
    admin = AIOKafkaAdminClient(**kafka.options())
    await admin.start()
    try:
        described = await admin.describe_topics(sorted(topics))
    finally:
        await admin.close()
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]


async def _seek(
    consumer: AIOKafkaConsumer, places: list[TopicPartition], since: datetime
) -> dict[TopicPartition, int]:
    """Go to the first records of a time; where each partition ends now."""
    moment = max(0, int(since.timestamp() * 1000))
    starts = await consumer.offsets_for_times(dict.fromkeys(places, moment))
    ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
    for place in places:
        start = starts.get(place)
        consumer.seek(place, ends[place] if start is None else start.offset)
    return ends


def _add(found: dict[UUID, dict[str, Any]], record: Any) -> None:
    try:
        envelope = from_headers(record.headers)
    except EnvelopeError:
        return
    found.setdefault(
        envelope.id,
        {
            "kind": "event",
            "at": envelope.time,
            "service": envelope.source.rpartition("/")[2],
            "title": envelope.type,
            "id": envelope.id,
            "cause": envelope.causation_id,
            "subject": envelope.subject,
            "details": {
                "version": envelope.aggregate_version,
                "sent_at": datetime.fromtimestamp(record.timestamp / 1000, UTC),
                "place": f"{record.topic}/{record.partition}/{record.offset}",
            },
            "tenant_id": envelope.tenant_id,
        },
    )
