"""What stands for `AIOKafkaProducer`: idempotent, in order, one request at a time."""

import asyncio
import copy
import inspect
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import RecordMetadata
from tests.simulator.kafka.connection import NO_ANSWER, Connection
from tests.simulator.kafka.log import Sent
from tests.simulator.node import Node

if TYPE_CHECKING:
    from tests.simulator.kafka.simulated import SimKafka

_SIGNATURE = inspect.signature(AIOKafkaProducer)
_LATER_S = (0.5, 30.0)


@dataclass(slots=True)
class Waiting:
    """A record nobody has acknowledged yet."""

    sent: Sent
    size: int
    future: "asyncio.Future[RecordMetadata]"


@dataclass(eq=False)
class Queue:
    """What is to go to one partition."""

    records: deque[Waiting] = field(default_factory=deque)
    size: int = 0
    broken: bool = False
    """Something failed: nothing that comes after it may be appended."""

    def put(self, waiting: Waiting) -> None:
        """Add a record at the end."""
        self.records.append(waiting)
        self.size += waiting.size

    def take(self, count: int) -> list[Waiting]:
        """Remove records from the front."""
        taken = [self.records.popleft() for _ in range(count)]
        self.size -= sum(one.size for one in taken)
        return taken


@dataclass(eq=False)
class Batch:
    """Records of one partition that are appended all or not at all, and once."""

    place: TopicPartition
    waiting: list[Waiting]
    first: int | None = None
    """Offset of the first, once they are appended."""


class SimProducer(Connection):
    """The relay's producer.

    With idempotence aiokafka never gives a batch up: it asks again until the broker answers, and
    so does this one, half of the time. The other half it is harsher and raises. Once it has raised,
    everything that is later sent to that partition fails as well, so what was appended of the
    records of a partition is always a prefix of what was sent.
    """

    def __init__(self, kafka: "SimKafka", node: Node, **settings: Any) -> None:
        given = _SIGNATURE.bind(**settings)
        given.apply_defaults()
        self.settings = given.arguments
        super().__init__(kafka, node, self.settings["request_timeout_ms"])
        self._queues: dict[TopicPartition, Queue] = {}
        self._outstanding = 0
        self.on_their_way = 0
        """Batches that the broker has not seen yet."""
        self._flushing = False
        self._closed = False
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Connect; raises `KafkaConnectionError` where the broker is away."""
        try:
            await self.request(lambda: None)
        except NO_ANSWER as error:
            self._kafka.closed(self)
            raise KafkaConnectionError("Unable to bootstrap") from error

    async def stop(self) -> None:
        """Wait until everything that was sent is decided."""
        if self._closed:
            return
        self._closed = True
        while self._outstanding or self._has_more():
            self._changed.clear()
            await self._changed.wait()
        self._kafka.closed(self)

    async def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        """Queue a record; the future is there when it is acknowledged.

        Raises `MessageSizeTooLargeError`, `UnknownTopicOrPartitionError`, `ProducerClosed`, and
        `KafkaTimeoutError` where the queue of a partition stays full.
        """
        assert not (value is None and key is None), "Need at least one: key or value"
        place = self._place(topic, partition, key)
        kept = tuple((name, bytes(data)) for name, data in headers or ())
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, list(kept))
        if size > self.settings["max_request_size"]:
            raise MessageSizeTooLargeError(f"The message is {size} bytes when serialized")
        now_ms = int(self._kafka.now() * 1000) if timestamp_ms is None else timestamp_ms
        queue = self._queues.setdefault(place, Queue())
        await self._room(queue, size)
        if self._closed:
            raise ProducerClosed
        waiting = Waiting(Sent(key, value, kept, now_ms), size, self._kafka.future())
        queue.put(waiting)
        self._flush_soon()
        return waiting.future

    async def send_and_wait(self, topic: str, *arguments: Any, **named: Any) -> RecordMetadata:
        """Send a record and wait for its acknowledgement."""
        return await (await self.send(topic, *arguments, **named))

    def _place(self, topic: str, partition: int | None, key: bytes | None) -> TopicPartition:
        log = self._kafka.partitions
        place = log.place_of(topic, key) if partition is None else TopicPartition(topic, partition)
        if place not in log:
            raise UnknownTopicOrPartitionError(topic)
        return place

    async def _room(self, queue: Queue, size: int) -> None:
        deadline = self._kafka.now() + self._timeout_s
        while queue.records and queue.size + size > self.settings["max_batch_size"]:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), deadline - self._kafka.now())
            except TimeoutError:
                raise KafkaTimeoutError from None

    # -- the request that is under way -----------------------------------------------------------

    def _flush_soon(self) -> None:
        if not self._flushing and not self._outstanding:
            self._flushing = True
            self._kafka.loop.call_later(self._kafka.latency(), self._flush, context=self._context)

    def _flush(self) -> None:
        """Send what is queued: a batch for each partition, which may leave some for the next."""
        self._flushing = False
        batches = []
        for place, queue in self._queues.items():
            count = len(queue.records)
            if queue.broken:
                self._fail(queue.take(count), OutOfOrderSequenceNumber())
            elif count:
                if self._kafka.chooser.random() < 0.2:
                    count = self._kafka.chooser.randint(1, count)
                batches.append(Batch(place, queue.take(count)))
        self._outstanding = len(batches)
        for batch in batches:
            self._transmit(batch)
        self._changed.set()

    def _has_more(self) -> bool:
        return any(queue.records for queue in self._queues.values())

    def _transmit(self, batch: Batch) -> None:
        self.on_their_way += 1
        self._kafka.carry(self._kafka.latency(), self._arrive_batch, batch)

    def _arrive_batch(self, batch: Batch) -> None:
        """The broker has the batch before it, or the network has lost it on the way."""
        kafka = self._kafka
        self.on_their_way -= 1
        if self.cut:
            self._outlive(batch, "crash", (0.0, 1.0))
        elif self.node.paused and not kafka.away and kafka.even():
            self._outlive(batch, "pause", _LATER_S)
        elif kafka.away:
            self._unanswered(batch, kafka.back_in_s)
        elif (leader_in_s := self._leader_in_s(batch)) > 0:
            self._unanswered(batch, leader_in_s)
        elif kafka.chance("append_refused"):
            kafka.reached("kafka.append_refused")
            self._fail_later(batch)
        else:
            self._append(batch)
            self._acknowledge(batch)

    def _leader_in_s(self, batch: Batch) -> float:
        return self._kafka.partitions[batch.place].leaderless_until - self._kafka.now()

    def _append(self, batch: Batch) -> None:
        """Once for each batch, however often it is sent: that is idempotence."""
        kafka = self._kafka
        if batch.first is not None:
            return
        partition = kafka.partitions[batch.place]
        records = [one.sent for one in batch.waiting]
        batch.first = kafka.append(partition, records)
        if kafka.chance("append_doubled"):
            kafka.reached("kafka.append_doubled")
            kafka.carry(kafka.chooser.uniform(0, 3), kafka.append, partition, records)

    def _acknowledge(self, batch: Batch) -> None:
        kafka = self._kafka
        delay = kafka.latency()
        if kafka.chance("ack_lost"):
            kafka.reached("kafka.ack_lost")
            self._fail_later(batch)
            return
        if kafka.chance("ack_slow"):
            kafka.reached("kafka.ack_slow")
            delay = kafka.chooser.uniform(0.5, 14)
        kafka.later(delay, self._succeed, batch)

    def _unanswered(self, batch: Batch, wait_s: float) -> None:
        """Nobody there: ask again until somebody is, or fail when the request times out."""
        if self._kafka.even():
            self._kafka.reached("kafka.append_retried")
            # The client asks again: not while it is paused, and never once it is dead.
            self._kafka.loop.call_later(wait_s + 0.1, self._transmit, batch, context=self._context)
        else:
            self._kafka.later(self._timeout_s, self._give_up, batch, KafkaTimeoutError())

    def _outlive(self, batch: Batch, what: str, delay_s: tuple[float, float]) -> None:
        """What was sent before a crash or a pause comes later than it should, or never."""
        kafka = self._kafka
        if kafka.even():
            kafka.reached(f"kafka.append_lost_in_{what}")
            self._fail_later(batch)
        else:
            kafka.reached(f"kafka.append_after_{what}")
            kafka.carry(kafka.chooser.uniform(*delay_s), self._arrive_late, batch)

    def _arrive_late(self, batch: Batch) -> None:
        self._append(batch)
        self._succeed(batch)

    def _fail_later(self, batch: Batch) -> None:
        """A connection that breaks is noticed at once, a silent one when the request times out."""
        if self._kafka.even():
            self._kafka.later(self._kafka.latency(), self._give_up, batch, KafkaConnectionError())
        else:
            self._kafka.later(self._timeout_s, self._give_up, batch, RequestTimedOutError())

    # -- the answer ------------------------------------------------------------------------------

    def _succeed(self, batch: Batch) -> None:
        assert batch.first is not None
        if self._kafka.away and not self.cut:
            self._unanswered(batch, self._kafka.back_in_s)
            return
        for offset, one in enumerate(batch.waiting, batch.first):
            place, at = batch.place, one.sent.timestamp_ms
            metadata = RecordMetadata(place.topic, place.partition, place, offset, at, 0, 0)
            self._settle(one.future, metadata)
        self._finish()

    def _give_up(self, batch: Batch, error: KafkaError) -> None:
        if not self.cut:
            self._kafka.reached("kafka.append_failed")
        self._queues[batch.place].broken = True
        self._fail(batch.waiting, error)
        self._finish()

    def _fail(self, waiting: Sequence[Waiting], error: KafkaError) -> None:
        for one in waiting:
            self._settle(one.future, None, copy.copy(error))

    def _finish(self) -> None:
        self._outstanding -= 1
        self._changed.set()
        if not self.cut and self._has_more():
            self._flush_soon()
