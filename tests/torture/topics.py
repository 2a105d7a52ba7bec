"""Reading what lies on the topics, and putting records on them that no relay sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from audit import TopicRecord
from invoiceos_contracts import EVENTS
from invoiceos_contracts import topics as declared
from messaging.records import Received, read

LIMIT_BYTES = 1_048_576
Headers = Sequence[tuple[str, bytes]]


def facts_topics() -> list[str]:
    """The topics of the platform without those of dead letters."""
    return [spec.name for spec in declared() if not spec.name.endswith(".dlq")]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


async def last_facts(bootstrap: str, names: Sequence[str], each: int) -> list[Any]:
    """What can be read of the last `each` records of every partition, in order per partition."""
    return [
        record
        async for record in _records(bootstrap, names, each)
        if isinstance(read(record, EVENTS), Received)
    ]


async def every_record(bootstrap: str) -> list[TopicRecord]:
    """All that lies on the topics, dead letters too, as the auditor sees it."""
    names = [spec.name for spec in declared()]
    return [TopicRecord.of(record) async for record in _records(bootstrap, names, None)]


async def _records(bootstrap: str, names: Sequence[str], each: int | None) -> AsyncIterator[Any]:
    """The last `each` records of every partition, or all of them."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [
            TopicPartition(name, number)
            for name in names
            for number in await _partitions(consumer, name)
        ]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place, start in (await consumer.beginning_offsets(places)).items():
            consumer.seek(place, start if each is None else max(start, ends[place] - each))
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    if record.offset < ends[place]:
                        yield record
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, name: str) -> set[int]:
    await consumer._client._wait_on_metadata(name)
    return consumer.partitions_for_topic(name) or set()


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer as careful as the relay's."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        max_batch_size=512 * 1024,
        max_request_size=LIMIT_BYTES,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send_copies(bootstrap: str, records: Sequence[Any]) -> list[Place]:
    """Put copies of records on their own topics and partitions, in this order."""
    async with producing(bootstrap) as producer:
        sent = [
            await producer.send(
                record.topic,
                record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
            )
            for record in records
        ]
        return [Place(r.topic, r.partition, r.offset) for r in await asyncio.gather(*sent)]
