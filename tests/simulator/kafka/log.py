"""Partitions: append-only logs of records as aiokafka would hand them out."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord, TopicPartition


class Sent(NamedTuple):
    """One record on its way to a partition."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


@dataclass(eq=False)
class Partition:
    """One partition; what is past the high watermark is not seen by consumers yet."""

    place: TopicPartition
    records: list[Any] = field(default_factory=list)
    high_watermark: int = 0
    hidden_until: float = 0.0
    leaderless_until: float = 0.0

    @property
    def end(self) -> int:
        """Offset of the record that comes next."""
        return len(self.records)

    def append(self, sent: Iterable[Sent]) -> int:
        """Add records; the offset of the first."""
        first = self.end
        for one in sent:
            record = ConsumerRecord(
                topic=self.place.topic,
                partition=self.place.partition,
                offset=self.end,
                timestamp=one.timestamp_ms,
                timestamp_type=0,
                key=one.key,
                value=one.value,
                checksum=None,
                serialized_key_size=-1 if one.key is None else len(one.key),
                serialized_value_size=-1 if one.value is None else len(one.value),
                headers=one.headers,
            )
            self.records.append(record)
        return first

    def readable(self, position: int, count: int) -> list[Any]:
        """Records from a position on that consumers may see."""
        return self.records[position : min(self.high_watermark, position + count)]


class Log:
    """All partitions of all topics."""

    def __init__(self, topics: Sequence[str], partitions: int) -> None:
        self._count = partitions
        self._partitions: dict[TopicPartition, Partition] = {}
        for topic in sorted(topics):
            self.add(topic)

    def add(self, topic: str) -> None:
        """Create a topic."""
        for number in range(self._count):
            place = TopicPartition(topic, number)
            self._partitions.setdefault(place, Partition(place))

    def __getitem__(self, place: TopicPartition) -> Partition:
        return self._partitions[place]

    def __contains__(self, place: TopicPartition) -> bool:
        return place in self._partitions

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._partitions.values())

    @property
    def topics(self) -> list[str]:
        """Names of all topics."""
        return sorted({place.topic for place in self._partitions})

    def of(self, topics: Iterable[str]) -> list[Partition]:
        """The partitions of these topics."""
        wanted = set(topics)
        found = [partition for partition in self if partition.place.topic in wanted]
        return sorted(found, key=lambda partition: partition.place)

    def place_of(self, topic: str, key: bytes | None) -> TopicPartition:
        """The partition of a key; aiokafka hashes by murmur2, and nobody may rely on which."""
        return TopicPartition(topic, zlib.crc32(key or b"") % self._count)
