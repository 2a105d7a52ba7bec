"""What stands for `AIOKafkaConsumer`: long polls, positions and what was fetched in advance.

As in aiokafka 0.14 a poll waits for the end of a rebalance however long that takes, and fetched
records are forgotten by a seek and by a new assignment. Nobody who reads is asked whether the
partition is his own: a member that was thrown out goes on until it learns of it.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from tests.simulator.kafka.log import Partition
from tests.simulator.kafka.membership import Membership, Reading
from tests.simulator.node import Node

if TYPE_CHECKING:
    from tests.simulator.kafka.simulated import SimKafka

_FETCHED_MAX = 1000


class SimConsumer(Membership):
    """A consumer of a group that commits explicitly."""

    def __init__(self, kafka: "SimKafka", node: Node, *topics: str, **settings: Any) -> None:
        super().__init__(kafka, node, *topics, **settings)
        self._fetching = False
        self._seeking: asyncio.Task[None] | None = None

    # -- reading ---------------------------------------------------------------------------------

    def assignment(self) -> frozenset[TopicPartition]:
        """What this process believes to be its own."""
        return frozenset(self._assigned or ())

    async def getmany(
        self, *, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Any]]:
        """One long poll; raises what the coordination could not mend."""
        if self._closed:
            raise ConsumerStoppedError
        self._raise_errors()
        if self._kafka.chance("poll_failed"):
            self._kafka.reached("kafka.poll_failed")
            raise KafkaError("the poll failed")
        self._polling = True
        try:
            return await self._poll(timeout_ms / 1000, max_records)
        finally:
            self._polling = False
            self._polled_at = self._kafka.now()

    async def _poll(
        self, timeout_s: float, max_records: int | None
    ) -> dict[TopicPartition, list[Any]]:
        while True:
            if self._reassigning:
                await self._until_assigned()
            asked_at = self._kafka.now()
            drained = self._drain(max_records or _FETCHED_MAX)
            if drained or not timeout_s:
                return drained
            waiter = self._waiter()
            done, _ = await asyncio.wait([waiter], timeout=timeout_s)
            if not done or self._closed:
                waiter.cancel()
                return {}
            self._raise_errors()
            timeout_s = max(0.0, timeout_s - (self._kafka.now() - asked_at))

    def _drain(self, limit: int) -> dict[TopicPartition, list[Any]]:
        readings = self._assigned or {}
        ready = sum(len(reading.fetched) for reading in readings.values())
        if ready > 1 and self._kafka.chance("poll_small"):
            small = self._kafka.chooser.randint(1, 5)
            if small < min(limit, ready):
                self._kafka.reached("kafka.poll_small")
                limit = small
        drained: dict[TopicPartition, list[Any]] = {}
        places = [place for place, reading in readings.items() if reading.fetched]
        self._kafka.chooser.shuffle(places)
        for place in places:
            reading = readings[place]
            count = min(limit, len(reading.fetched))
            if not count:
                break
            drained[place] = [reading.fetched.popleft() for _ in range(count)]
            reading.position = drained[place][-1].offset + 1
            limit -= count
        if drained:
            self.nudge()
        return drained

    def nudge(self, place: TopicPartition | None = None) -> None:
        """There may be something to fetch (in this partition): ask for it, a moment later."""
        if self._fetching or self._closed or self.cut or not self._assigned:
            return
        if place is None or place in self._assigned:
            self._fetching = True
            self._kafka.loop.call_later(self._kafka.latency(), self._fetch, context=self._context)

    def _fetch(self) -> None:
        self._fetching = False
        if self._closed or self._kafka.away or not self._assigned:
            return
        now = self._kafka.now()
        for place, reading in self._assigned.items():
            partition = self._kafka.partitions[place]
            if reading.position is None or reading.fetched or partition.leaderless_until > now:
                continue
            reading.highwater = partition.high_watermark
            if reading.position > partition.end:
                reading.position = self._reset_offset(place)
            reading.fetched.extend(partition.readable(reading.position, _FETCHED_MAX))
        if any(reading.fetched for reading in self._assigned.values()):
            self._wake()

    def has_finished(self, partition: Partition) -> bool:
        """Whether this member reads a partition, has handled all of it, and asks for more."""
        reading = (self._assigned or {}).get(partition.place)
        here = reading is not None and reading.position == partition.end and not reading.fetched
        return here and self._polling and not self._reassigning and not self.node.paused

    # -- positions -------------------------------------------------------------------------------

    def _begin(self, readings: dict[TopicPartition, Reading]) -> None:
        self._seeking = asyncio.create_task(self._find_positions(readings))

    async def _find_positions(self, readings: dict[TopicPartition, Reading]) -> None:
        """Begin where the group has committed, else where the log begins or ends."""
        while self._assigned is readings and not self._closed:
            try:
                committed = await self.request(lambda: self._group.committed(readings))
            except KafkaError:
                await asyncio.sleep(self.settings["retry_backoff_ms"] / 1000)
                continue
            for place, reading in readings.items():
                if reading.position is None:
                    reading.position = self._first(place, committed[place])
            self.nudge()
            return

    def _first(self, place: TopicPartition, committed: int | None) -> int:
        if committed is None:
            return self._reset_offset(place)
        if committed > 0 and self._kafka.chance("rewound"):
            self._kafka.reached("kafka.rewound")
            return committed - self._kafka.chooser.randint(1, min(committed, 20))
        return committed

    def _reset_offset(self, place: TopicPartition) -> int:
        earliest = self.settings["auto_offset_reset"] == "earliest"
        return 0 if earliest else self._kafka.partitions[place].high_watermark

    def _reading(self, place: TopicPartition) -> Reading:
        reading = (self._assigned or {}).get(place)
        if reading is None:
            raise IllegalStateError(f"No current assignment for partition {place}")
        return reading

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go on from this offset; what was fetched from elsewhere is forgotten."""
        if not isinstance(offset, int) or offset < 0:
            raise ValueError("Offset must be a positive integer")
        reading = self._reading(place)
        if reading.position is not None and offset < reading.position:
            self._kafka.reached("kafka.seek_back")
        reading.position = offset
        reading.fetched.clear()
        self.nudge()

    def highwater(self, place: TopicPartition) -> int | None:
        """Offset after the last record seen by a fetch; None before the first."""
        assert place in (self._assigned or {}), "Partition is not assigned"
        return self._reading(place).highwater

    async def position(self, place: TopicPartition) -> int:
        """Offset of the record that a poll would return next."""
        while (position := self._reading(place).position) is None:
            await asyncio.sleep(self.settings["retry_backoff_ms"] / 1000)
        return position

    async def committed(self, place: TopicPartition) -> int | None:
        """What the group has committed, whoever did."""
        found: dict[TopicPartition, int | None]
        found = await self.request(lambda: self._group.committed([place]))
        return found[place]
