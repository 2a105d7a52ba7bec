"""What a principal tries on the broker, and whether it was let."""

import asyncio
import uuid
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from messaging import KafkaAccess

SECONDS = 30


@asynccontextmanager
async def producing(kafka: KafkaAccess):
    producer = AIOKafkaProducer(**kafka.options(), acks="all", request_timeout_ms=10_000)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def reading(kafka: KafkaAccess):
    consumer = AIOKafkaConsumer(
        **kafka.options(), enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def joined(kafka: KafkaAccess, topic: str, group: str):
    consumer = AIOKafkaConsumer(topic, **kafka.options(), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def first_place(topic: str) -> TopicPartition:
    return TopicPartition(topic, 0)


async def write(producer: AIOKafkaProducer, topic: str, value: bytes = b"forged") -> str:
    """`written`, or the name of the error."""
    try:
        await asyncio.wait_for(producer.send_and_wait(topic, value, key=b"k"), SECONDS)
    except KafkaError as error:
        return type(error).__name__
    return "written"


async def read(consumer: AIOKafkaConsumer, topic: str) -> str:
    """`read`, or the name of the error; of the first partition, as no group."""
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    try:
        async with asyncio.timeout(SECONDS):
            # A consumer waits for a topic it may not even see; this asks whether it may.
            await consumer._client._wait_on_metadata(topic)
            await consumer.seek_to_beginning(place)
            await consumer.getmany(timeout_ms=50)
    except KafkaError as error:
        return type(error).__name__
    return "read"


async def join(kafka: KafkaAccess, group: str, topic: str) -> str:
    """`joined`, or the name of the error."""
    consumer = AIOKafkaConsumer(topic, **kafka.options(), group_id=group)
    try:
        await consumer.start()
        await asyncio.wait_for(consumer.getmany(timeout_ms=2000), SECONDS)
    except KafkaError as error:
        return type(error).__name__
    finally:
        await consumer.stop()
    return "joined"


async def log_in(kafka: KafkaAccess) -> str:
    """`in`, or the name of the error."""
    producer = AIOKafkaProducer(**kafka.options(), request_timeout_ms=5_000)
    try:
        await asyncio.wait_for(producer.start(), SECONDS)
    except KafkaError as error:
        return type(error).__name__
    finally:
        await producer.stop()
    return "in"


def a_group(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex[:8]}"
