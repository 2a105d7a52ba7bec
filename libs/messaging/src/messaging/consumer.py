"""FastStream's batch subscriber, made safe: no default loses anything (docs/adr/0003)."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from types import MethodType
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage
from faststream.kafka.message import KafkaAckableMessage

from messaging import dead_letters
from messaging.database import Database
from messaging.failpoints import failpoint
from messaging.faults import pause
from messaging.metrics import LAG, LAST_POLL
from messaging.processing import GaveUp, Processor

log = structlog.get_logger()
POLL_MS = 1000
COMMIT_EVERY_S = 0.5
REPLAY_EVERY_S = 1.0
MAX_RECORDS = 500
REBALANCE_TIMEOUT_MS = 60_000


class Offsets(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is not typed
    """Holds a rebalance until the batch in flight is committed; commits offsets in the background.

    Offsets only save work: the inbox carries the guarantee. They are committed explicitly, never
    as "the current position", which may be past a batch that failed.
    """

    def __init__(self, processor: Processor) -> None:
        """Know the processor, to end its retries when the partitions are about to go."""
        self._processor = processor
        self._done: dict[TopicPartition, int] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.consumer: AIOKafkaConsumer | None = None
        self.joined = False

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Wait for the batch in flight, then commit what is done while it is still ours."""
        self._processor.abort.set()
        await self.settle()
        for partition in revoked:
            self._done.pop(partition, None)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Go on."""
        del assigned
        self.joined = True
        self._processor.abort.clear()

    def busy(self) -> None:
        """A batch was polled: from here on, not from its handler on, a rebalance waits for it."""
        self._idle.clear()

    def idle(self) -> None:
        """The next poll begins: nothing is in flight, even where no handler was reached."""
        self._idle.set()

    async def handle(self, records: Sequence[Any]) -> None:
        """Process a batch; on failure seek back to its beginning."""
        self._idle.clear()
        try:
            await self._processor.process(records)
        except GaveUp:
            self._seek_back(records)
        except Exception as error:
            # FastStream would log it and read on, and the next commit would pass these records by.
            log.exception("batch.broken", group=self._processor.group, error=repr(error)[:500])
            self._seek_back(records)
            await pause(1)
        else:
            for record in records:
                place = TopicPartition(record.topic, record.partition)
                self._done[place] = max(self._done.get(place, 0), record.offset + 1)
        finally:
            self._idle.set()

    def _seek_back(self, records: Sequence[Any]) -> None:
        lowest: dict[TopicPartition, int] = {}
        for record in records:
            place = TopicPartition(record.topic, record.partition)
            lowest[place] = min(lowest.get(place, record.offset), record.offset)
        if self.consumer is None:
            return
        for place in lowest.keys() & self.consumer.assignment():
            self.consumer.seek(place, lowest[place])

    async def commit(self) -> None:
        """Commit the offsets of finished batches; a failure only means work done twice."""
        done, self._done = self._done, {}
        consumer = self.consumer
        if not done or consumer is None:
            return
        mine = {place: offset for place, offset in done.items() if place in consumer.assignment()}
        try:
            if mine:
                failpoint("offsets.committing")
                await consumer.commit(mine)
        except KafkaError as error:
            log.info("offsets.not_committed", group=self._processor.group, error=repr(error))
            for place, offset in mine.items():
                self._done.setdefault(place, offset)

    async def settle(self) -> None:
        """Wait for the batch in flight and commit it."""
        await self._idle.wait()
        await self.commit()

    async def run(self) -> None:
        """Commit every half second until cancelled."""
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self.commit()


class Consumer:
    """One consumer group of a service, on FastStream."""

    def __init__(
        self,
        broker: KafkaBroker,
        database: Database,
        processor: Processor,
        *,
        instance_id: str = "",
    ) -> None:
        """Declare the subscriber on the broker; it starts with the broker.

        With an instance id (static membership) a process that restarts gets its partitions back
        at once, instead of after the session of its former life has timed out.
        """
        self.processor = processor
        self._instance_id = instance_id or None
        self.offsets = Offsets(processor)
        self._database = database
        self._last_poll = time.monotonic()
        self._draining = False
        self.subscriber = self._subscribe(broker)

    def _subscribe(self, broker: KafkaBroker) -> Any:
        wanted = self.processor._subscriptions
        subscriber = broker.subscriber(
            *wanted.topics,
            pattern=wanted.pattern,
            batch=True,
            max_records=MAX_RECORDS,
            group_id=self.processor.group,
            ack_policy=AckPolicy.MANUAL,
            parser=self._parse,
            decoder=self._decode,
            listener=self.offsets,
            group_instance_id=self._instance_id,
            auto_offset_reset="earliest",
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            fetch_max_wait_ms=POLL_MS,
        )
        # FastStream sleeps after an empty poll; no setting turns that off (events.md, section 1).
        subscriber.__dict__["get_msg"] = MethodType(self._poll, subscriber)

        @subscriber
        async def handle(message: KafkaMessage) -> None:
            await self.offsets.handle(message.raw_message)

        return subscriber

    async def _poll(self, subscriber: Any, consumer: AIOKafkaConsumer) -> tuple[Any, ...]:
        """One long poll: no sleep of FastStream's between empty polls, which is latency."""
        del subscriber
        self.offsets.consumer = consumer
        self._last_poll = time.monotonic()
        LAST_POLL.labels(self.processor.group).set_to_current_time()
        self.offsets.idle()
        polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
        if self._draining:
            return ()
        batch = tuple(itertools.chain(*polled.values()))
        if batch:
            self.offsets.busy()
        return batch

    async def drain(self) -> None:
        """Take no more records, finish the batch in flight and commit its offsets."""
        self._draining = True
        await self.offsets.settle()

    async def _parse(self, raw: Any) -> KafkaAckableMessage:
        """Wrap the records untouched: FastStream's parser raises on a bad header and loses them."""
        first = raw[0]
        return KafkaAckableMessage(
            body=b"",
            headers={},
            batch_headers=[],
            raw_message=raw,
            consumer=self.subscriber.consumer,
            message_id=f"{first.topic}-{first.partition}-{first.offset}",
            correlation_id="batch",
        )

    async def _decode(self, message: Any) -> None:
        del message

    @property
    def seconds_since_poll(self) -> float:
        """Seconds since the loop last asked for records."""
        return time.monotonic() - self._last_poll

    @property
    def joined(self) -> bool:
        """Whether the group has told this process which partitions to read, were it none."""
        return self.offsets.joined

    async def run(self) -> None:
        """Commit offsets, replay released dead letters and measure the lag until cancelled."""
        committing = asyncio.create_task(self.offsets.run())
        try:
            while True:
                await asyncio.sleep(REPLAY_EVERY_S)
                self._measure_lag()
                try:
                    await self._replay()
                except Exception as error:
                    log.warning("dead_letters.replay_failed", error=repr(error))
        finally:
            committing.cancel()

    async def _replay(self) -> None:
        waiting = await self._database.fetchval(dead_letters.WAITING, self.processor.group)
        if waiting:
            await self.processor.replay()

    def _measure_lag(self) -> None:
        consumer = self.offsets.consumer
        if consumer is None:
            return
        lag: dict[str, int] = {}
        for place in consumer.assignment():
            end, done = consumer.highwater(place), self.offsets._done.get(place)
            if end is not None and done is not None:
                lag[place.topic] = lag.get(place.topic, 0) + max(0, end - done)
        for topic, records in lag.items():
            LAG.labels(self.processor.group, topic).set(records)
