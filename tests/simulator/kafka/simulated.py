"""The simulated broker: partitions, groups, time, and the faults the seed has chosen."""

import asyncio
import functools
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiokafka import TopicPartition
from tests.simulator.kafka.broker import SimBroker
from tests.simulator.kafka.connection import Connection
from tests.simulator.kafka.consumer import SimConsumer
from tests.simulator.kafka.faults import KafkaFaults
from tests.simulator.kafka.groups import Group
from tests.simulator.kafka.log import Log, Partition, Sent
from tests.simulator.kafka.producer import SimProducer
from tests.simulator.node import Node, context_of

LATENCY_S = (0.0002, 0.004)


class SimKafka:
    """One broker, always the same for the same chooser and the same calls.

    What it does by itself belongs to no node: it goes on while nodes crash and pause.
    """

    def __init__(
        self,
        chooser: random.Random,
        topics: Sequence[str],
        partitions: int = 3,
        faults: KafkaFaults | None = None,
        reached: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.chooser = chooser
        self.reached = reached
        self.faults = KafkaFaults() if faults is None else faults
        self.partitions = Log(topics, partitions)
        self.groups: dict[str, Group] = {}
        self._world = context_of(None)
        self._connections: list[Connection] = []
        self._dead: list[Connection] = []
        """Kept, for to be tidied up would be to do something."""
        self._away_until = 0.0
        self._names = 0
        self._in_flight = 0
        self._season = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- what services are given -----------------------------------------------------------------

    def producer(self, node: Node) -> Callable[..., SimProducer]:
        """What stands for the class `AIOKafkaProducer` in this node."""
        return functools.partial(SimProducer, self, node)

    def consumer(self, node: Node) -> Callable[..., SimConsumer]:
        """What stands for the class `AIOKafkaConsumer` in this node."""
        return functools.partial(SimConsumer, self, node)

    def broker(self, node: Node) -> Callable[..., SimBroker]:
        """What stands for FastStream's class `KafkaBroker` in this node."""
        return functools.partial(SimBroker, self, node)

    # -- what a run asks -------------------------------------------------------------------------

    def log(self) -> list[Any]:
        """Every record, by topic, partition and offset."""
        ordered = sorted(self.partitions, key=lambda partition: partition.place)
        return [record for partition in ordered for record in partition.records]

    def drained(self, groups: Iterable[str]) -> bool:
        """Whether nothing is on its way and every group has read and handled all there is."""
        return not self._in_flight and all(self._is_drained(name) for name in groups)

    def _is_drained(self, name: str) -> bool:
        group = self.groups.get(name)
        return group is not None and all(
            group.offsets.get(partition.place, 0) >= partition.end
            or any(member.has_finished(partition) for member in self._consumers(name))
            for partition in self.partitions.of(group.topics)
        )

    def _consumers(self, group: str | None = None) -> list[SimConsumer]:
        return [
            one
            for one in self._connections
            if isinstance(one, SimConsumer) and (group is None or one.group_id == group)
        ]

    def sending(self) -> list[Node]:
        """Nodes with records on their way to the broker, in a fixed order."""
        return [
            one.node
            for one in self._connections
            if isinstance(one, SimProducer) and one.on_their_way and not one.cut
        ]

    def crashed(self, node: Node) -> None:
        """A node is dead: what it had sent arrives or does not, and it sends no more."""
        for connection in [one for one in self._connections if one.node is node]:
            connection.cut = True
            self._connections.remove(connection)
            self._dead.append(connection)

    def calm(self) -> None:
        """End all faults, also those under way."""
        self.faults = KafkaFaults()
        self._season += 1
        self._come_back(self.now())
        for partition in self.partitions:
            partition.leaderless_until = partition.hidden_until = 0.0
            self.show(partition)

    def disturb(self, faults: KafkaFaults) -> None:
        """From now on these faults, instead of those before."""
        self.faults = faults
        self._season += 1
        self._plan()

    # -- faults that come by themselves, or when a script asks for them --------------------------

    def go_away(self, seconds: float) -> None:
        """Answer nobody for a while."""
        self.reached("kafka.broker_away")
        self._away_until = max(self._away_until, self.now() + seconds)
        self.later(seconds, self._come_back, self._away_until)

    def _come_back(self, until: float) -> None:
        if until >= self._away_until or not self.away:
            self._away_until = 0.0
            for consumer in self._consumers():
                consumer.nudge()

    @property
    def away(self) -> bool:
        """Whether nothing is answered now."""
        return self.now() < self._away_until

    @property
    def back_in_s(self) -> float:
        """How long the broker will still be away."""
        return max(0.0, self._away_until - self.now())

    def lose_leader(self, place: TopicPartition, seconds: float) -> None:
        """Let a partition neither take nor give records for a while."""
        self.reached("kafka.leader_away")
        partition = self.partitions[place]
        partition.leaderless_until = self.now() + seconds
        self.later(seconds, self.show, partition)

    def rebalance(self, group: str) -> None:
        """Share the partitions of a group out anew."""
        if self.groups[group].rebalance():
            self.reached("kafka.rebalance_forced")

    def throw_out(self, group: str) -> None:
        """Let one member of a group lose its session, without its knowing."""
        members = list(self.groups[group].members.values())
        if members:
            self.reached("kafka.member_thrown_out")
            self.groups[group].throw_out(self.chooser.choice(members))

    def _plan(self) -> None:
        happens = {
            "broker_away_per_minute": lambda: self.go_away(self.chooser.uniform(0.1, 30)),
            "leader_away_per_minute": lambda: self.lose_leader(
                self.chooser.choice([one.place for one in self.partitions]),
                self.chooser.uniform(0.1, 20),
            ),
            "rebalance_forced_per_minute": lambda: self._to_a_group(self.rebalance),
            "member_thrown_out_per_minute": lambda: self._to_a_group(self.throw_out),
        }
        for name, happen in happens.items():
            rate = getattr(self.faults, name)
            if rate:
                self._expect(rate / 60, happen, self._season)

    def _expect(self, per_second: float, happen: Callable[[], None], season: int) -> None:
        def fire() -> None:
            if season == self._season:
                happen()
                self._expect(per_second, happen, season)

        self.later(self.chooser.expovariate(per_second), fire)

    def _to_a_group(self, happen: Callable[[str], None]) -> None:
        if self.groups:
            happen(self.chooser.choice(sorted(self.groups)))

    # -- what producers and consumers ask --------------------------------------------------------

    def connected(self, connection: Connection) -> None:
        """A client has been made."""
        self._connections.append(connection)
        if self._loop is None:
            self._plan()

    def closed(self, connection: Connection) -> None:
        """A client is no longer there."""
        if connection in self._connections:
            self._connections.remove(connection)

    def group(self, name: str) -> Group:
        """A group, made when it is first named."""
        return self.groups.setdefault(name, Group(self, name))

    def append(self, partition: Partition, sent: Sequence[Sent]) -> int:
        """Add records to a partition; the offset of the first."""
        first = partition.append(sent)
        if self.chance("records_late"):
            self.reached("kafka.records_late")
            delay = self.chooser.uniform(0.1, 10)
            partition.hidden_until = max(partition.hidden_until, self.now() + delay)
            self.later(delay, self.show, partition)
        self.show(partition)
        return first

    def show(self, partition: Partition) -> None:
        """Let consumers see what they may see by now."""
        now = self.now()
        # A timer may come a rounding error before the moment it was set for.
        if partition.hidden_until <= now + 1e-6:
            partition.high_watermark = partition.end
        if partition.leaderless_until <= now + 1e-6:
            for consumer in self._consumers():
                consumer.nudge(partition.place)

    def carry(self, seconds: float, append: Callable[..., Any], *arguments: Any) -> None:
        """Let something arrive that may append; until then nothing is drained."""

        def arrive() -> None:
            self._in_flight -= 1
            append(*arguments)

        self._in_flight += 1
        self.later(seconds, arrive)

    def chance(self, fault: str) -> bool:
        """Whether a fault of the first group comes now."""
        probability: float = getattr(self.faults, fault)
        return probability > 0 and self.chooser.random() < probability

    def even(self) -> bool:
        """One of two."""
        return self.chooser.random() < 0.5

    def latency(self) -> float:
        """Seconds one way."""
        return self.chooser.uniform(*LATENCY_S)

    def thread_s(self) -> float:
        """Seconds until a thread has done something small."""
        return self.chooser.uniform(0.0001, 0.003)

    def name_of(self, client: str) -> str:
        """A member id nobody else has; its place among the others is chance, as in Kafka."""
        self._names += 1
        return f"{client}-{self.chooser.getrandbits(32):08x}-{self._names}"

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one it lives in."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def now(self) -> float:
        """Virtual seconds."""
        return self.loop.time()

    def later(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        """Do something that belongs to no node."""
        self.loop.call_later(seconds, call, *arguments, context=self._world)

    def future(self) -> "asyncio.Future[Any]":
        """An answer to come."""
        return self.loop.create_future()

    def done(self, result: Any) -> "asyncio.Future[Any]":
        """An answer that is there."""
        future = self.future()
        future.set_result(result)
        return future
