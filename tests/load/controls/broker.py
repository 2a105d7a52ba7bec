"""Controls on the bare broker: a hop, a producer, a consumer that validates."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import BaseModel

BATCH = 1000
Message = tuple[bytes, bytes, Sequence[tuple[str, bytes]]]
"""Key, value, headers."""


@asynccontextmanager
async def topic(bootstrap: str, partitions: int = 6) -> AsyncIterator[str]:
    """A topic of its own, removed afterwards."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


@asynccontextmanager
async def producer(bootstrap: str, linger_ms: int = 0) -> AsyncIterator[AIOKafkaProducer]:
    """As safe as the relay's: all replicas acknowledge, nothing is doubled."""
    made = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        linger_ms=linger_ms,
        max_batch_size=512 * 1024,
    )
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def consumer(bootstrap: str, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """Reads from the end, unless told otherwise."""
    made = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        **{
            "auto_offset_reset": "latest",
            "enable_auto_commit": False,
            "max_partition_fetch_bytes": 4 * 1024 * 1024,
            **options,
        },
    )
    await made.start()
    try:
        if "group_id" not in options:
            await made.seek_to_end()
            for place in made.assignment():
                await made.position(place)
        yield made
    finally:
        await made.stop()


async def hops(bootstrap: str, count: int, value: bytes = b"x" * 1000) -> list[float]:
    """Seconds from send to a waiting consumer, one at a time."""
    found = []
    async with topic(bootstrap) as name, producer(bootstrap) as sender:
        await sender.send_and_wait(name, value)
        async with consumer(bootstrap, name) as waiting:
            for number in range(count + 20):
                began = time.perf_counter()
                acknowledged = await sender.send(name, value, key=b"%d" % number)
                await waiting.getone()
                found.append(time.perf_counter() - began)
                await acknowledged
    return found[20:]


async def produce(sender: AIOKafkaProducer, name: str, messages: Sequence[Message]) -> None:
    """Send in runs of a thousand, each awaited as a whole."""
    for start in range(0, len(messages), BATCH):
        pending = [
            await sender.send(name, value, key=key, headers=list(headers))
            for key, value, headers in messages[start : start + BATCH]
        ]
        await asyncio.gather(*pending)


async def consume(reader: AIOKafkaConsumer, model: type[BaseModel], count: int) -> int:
    """Read and validate as many as there are; the sum keeps the work from being dropped."""
    seen = 0
    while seen < count:
        polled = await reader.getmany(timeout_ms=1000, max_records=500)
        for records in polled.values():
            for record in records:
                model.model_validate_json(record.value)
                seen += 1
    return seen
