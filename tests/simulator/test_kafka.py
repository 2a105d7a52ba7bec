"""The simulated broker behaves as a broker does, well or badly, and always the same for a seed."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
)
from faststream import AckPolicy
from tests.simulator.kafka import CONSEQUENCES, FAULTS, RARE, KafkaFaults, SimKafka
from tests.simulator.loop import SimLoop
from tests.simulator.node import Node, context_of

from messaging import faults
from messaging.consumer import Consumer

TOPIC, OTHER = "invoice", "wallet"
GROUP = "ledger"


class World:
    """A simulated broker, and nodes that may crash and pause."""

    def __init__(self, seed: int, faults: KafkaFaults | None = None) -> None:
        self.reached: Counter[str] = Counter()
        self.tasks: list[asyncio.Task[Any]] = []
        self.loop = SimLoop(random.Random(seed))
        self.loop.set_task_factory(self._task)
        self.kafka = SimKafka(
            random.Random(seed + 1),
            [TOPIC, OTHER],
            faults=faults,
            reached=lambda name: self.reached.update([name]),
        )

    def run(self, scenario: Callable[["World"], Awaitable[Any]]) -> Any:
        """Play a scenario to its end."""
        try:
            return self.loop.run_until_complete(scenario(self))
        finally:
            self.end()

    def end(self) -> None:
        """Leave nothing over; what the dead wait for never comes, and nobody is to complain."""
        left = [task for task in self.tasks if not task.done()]
        for task in left:
            task._log_destroy_pending = False
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=1))
        self.loop.close()

    def _task(self, loop: Any, coroutine: Any, **named: Any) -> "asyncio.Task[Any]":
        """Keep every task: a dead one must not be tidied up, for that runs its `finally`."""
        task = asyncio.Task(coroutine, loop=loop, **named)
        self.tasks.append(task)
        return task

    def on(self, node: Node, running: Any) -> "asyncio.Task[Any]":
        """Start something in a node."""
        return self.loop.create_task(running, context=context_of(node))

    def crash(self, node: Node) -> None:
        """Kill a node."""
        node.alive = False
        self.kafka.crashed(node)

    async def until(
        self, condition: Callable[[], Any], seconds: float = 300, step_s: float = 0.05
    ) -> None:
        """Wait, in virtual time, until something holds."""
        end = self.loop.time() + seconds
        while not condition():
            assert self.loop.time() < end, f"not within {seconds} virtual seconds"
            await asyncio.sleep(step_s)

    def digest(self) -> str:
        """Stands for the whole log."""
        return hashlib.sha256(repr(self.kafka.log()).encode()).hexdigest()


def simulated(scenario, seed=1, faults=None):
    world = World(seed, faults)
    return world.run(scenario)


def values(records):
    return [record.value for record in records]


def by_key(records):
    found = {}
    for record in records:
        found.setdefault(record.key, []).append(int(record.value))
    return found


def firsts(numbers):
    return list(dict.fromkeys(numbers))


async def produce(world, node, numbers, key=b"k", **named):
    producer = world.kafka.producer(node)(enable_idempotence=True)
    await producer.start()
    futures = [await producer.send(TOPIC, b"%d" % n, key=key, **named) for n in numbers]
    await asyncio.gather(*futures)
    await producer.stop()
    return futures


class Relay:
    """Sends as our relay does: in order, all or from the beginning with a new producer."""

    def __init__(self, world, node, rows):
        self.world, self.node, self.rows = world, node, list(rows)
        self.idle_s = 0.0

    async def run(self):
        producer = None
        while self.rows:
            try:
                if producer is None:
                    producer = self.world.kafka.producer(self.node)(
                        acks="all", enable_idempotence=True, request_timeout_ms=15_000
                    )
                    await producer.start()
                batch = self.rows[:10]
                sent = [await producer.send(TOPIC, v, key=k, headers=[]) for k, v in batch]
                await asyncio.gather(*sent)
                del self.rows[: len(batch)]
                await asyncio.sleep(self.idle_s)
            except KafkaError:
                producer = None
                await asyncio.sleep(0.2)


class Handled:
    """Stands for the processor: remembers what it was given."""

    def __init__(self, topics=(TOPIC,)):
        self.group = GROUP
        self.records = []
        self.abort = asyncio.Event()
        self.duration_s = 0.0
        self._subscriptions = mock.Mock(topics=topics, pattern=None)

    async def process(self, records):
        await asyncio.sleep(self.duration_s)
        self.records += records


async def service(world, node, handled, instance_id=""):
    """Our real consumer on the simulated broker."""
    broker = world.kafka.broker(node)(
        "sim", logger=None, allow_auto_create_topics=False, enable_idempotence=True
    )
    consumer = Consumer(broker, None, handled, instance_id=instance_id)
    await broker.start()
    world.on(node, consumer.offsets.run())
    return broker


# -- producing -------------------------------------------------------------------------------------


def test_what_is_sent_is_appended_once_in_order_with_its_key_and_headers():
    async def scenario(world):
        headers = [("type", b"InvoiceIssued"), ("id", bytearray(b"7"))]
        (future,) = await produce(world, Node("a"), [7], headers=headers)
        await produce(world, Node("a"), range(100))
        record = world.kafka.log()[0]
        assert (record.topic, record.key, record.value) == (TOPIC, b"k", b"7")
        assert record.headers == (("type", b"InvoiceIssued"), ("id", b"7"))
        assert (future.result().partition, future.result().offset) == (record.partition, 0)
        assert by_key(world.kafka.log()) == {b"k": [7, *range(100)]}
        assert not world.reached

    simulated(scenario)


def test_the_key_alone_says_the_partition():
    async def scenario(world):
        for key in (b"a", b"b", b"c", b"d", b"e"):
            await produce(world, Node("a"), range(5), key=key)
        places = {}
        for record in world.kafka.log():
            places.setdefault(record.key, set()).add(record.partition)
        assert all(len(found) == 1 for found in places.values())
        return {key: min(found) for key, found in places.items()}

    assert simulated(scenario, 1) == simulated(scenario, 2)
    assert len(set(simulated(scenario).values())) > 1


def test_a_record_that_is_too_large_is_refused_before_it_is_sent():
    async def scenario(world):
        producer = world.kafka.producer(Node("a"))(max_request_size=1000)
        await producer.start()
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send(TOPIC, b"x" * 1000, key=b"k")
        await producer.stop()
        assert world.kafka.log() == []

    simulated(scenario)


def test_a_setting_aiokafka_does_not_know_is_refused():
    async def scenario(world):
        with pytest.raises(TypeError, match="idempotent"):
            world.kafka.producer(Node("a"))(idempotent=True)

    simulated(scenario)


def test_without_faults_nothing_is_lost_doubled_or_out_of_order_for_a_consumer():
    async def scenario(world):
        handled = Handled()
        node = Node("ledger")
        await world.on(node, service(world, node, handled))
        rows = [(b"k%d" % (n % 7), b"%d" % n) for n in range(500)]
        world.on(Node("a"), Relay(world, Node("a"), rows).run())
        await world.until(lambda: len(handled.records) == 500 and world.kafka.drained([GROUP]))
        assert by_key(handled.records) == {
            b"k%d" % k: [n for n in range(500) if n % 7 == k] for k in range(7)
        }
        assert not world.reached

    simulated(scenario)


def test_a_lost_acknowledgement_gives_duplicates_after_the_relays_retry_and_keeps_the_order():
    async def scenario(world):
        node = Node("a")
        relay = Relay(world, node, [(b"k%d" % (n % 3), b"%d" % n) for n in range(300)])
        await world.on(node, relay.run())
        for key, found in by_key(world.kafka.log()).items():
            wanted = [n for n in range(300) if b"k%d" % (n % 3) == key]
            assert firsts(found) == wanted
        assert len(world.kafka.log()) > 300
        assert world.reached["kafka.ack_lost"]

    simulated(scenario, faults=KafkaFaults(ack_lost=0.2))


def test_after_a_failure_nothing_more_of_that_producer_is_appended_to_that_partition():
    async def scenario(world):
        producer = world.kafka.producer(Node("a"))()
        await producer.start()
        first = await producer.send(TOPIC, b"1", key=b"k")
        with pytest.raises(KafkaError):
            await first
        world.kafka.calm()
        second = await producer.send(TOPIC, b"2", key=b"k")
        with pytest.raises(OutOfOrderSequenceNumber):
            await second
        assert world.kafka.log() == []

    simulated(scenario, faults=KafkaFaults(append_refused=1))


@pytest.mark.parametrize("seed", range(5))
def test_same_seed_same_log_and_same_deliveries(seed):
    async def scenario(world):
        handled = Handled()
        nodes = [Node("l0"), Node("l1")]
        for node in nodes:
            world.on(node, service(world, node, handled))
        relay = Node("a")
        rows = [(b"k%d" % (n % 7), b"%d" % n) for n in range(200)]
        world.on(relay, Relay(world, relay, rows).run())
        await asyncio.sleep(120)
        return world.digest(), values(handled.records), dict(world.reached), world.loop.steps

    faults = KafkaFaults(*[0.1] * 10, *[1.0] * 4)
    first = simulated(scenario, seed, faults)
    assert first == simulated(scenario, seed, KafkaFaults(*[0.1] * 10, *[1.0] * 4))
    assert first != simulated(scenario, seed + 100, KafkaFaults(*[0.1] * 10, *[1.0] * 4))


# -- groups ----------------------------------------------------------------------------------------


class Told(ConsumerRebalanceListener):
    """Writes down what the rebalances say; can hold one up."""

    def __init__(self, world, name, calls):
        self.world, self.name, self.calls = world, name, calls
        self.hold_s = 0.0

    async def on_partitions_revoked(self, revoked):
        self.calls.append((self.name, "revoked", len(revoked)))
        await asyncio.sleep(self.hold_s)
        if self.hold_s:
            self.calls.append((self.name, "let go", len(revoked)))

    async def on_partitions_assigned(self, assigned):
        self.calls.append((self.name, "assigned", len(assigned)))


async def member(world, node, calls=None, instance_id=None, rebalance_timeout_ms=60_000):
    """A consumer with a listener; started in its node."""

    async def start():
        consumer = world.kafka.consumer(node)(
            group_id=GROUP,
            group_instance_id=instance_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            rebalance_timeout_ms=rebalance_timeout_ms,
        )
        consumer.told = Told(world, node.name, [] if calls is None else calls)
        consumer.subscribe([TOPIC], listener=consumer.told)
        await consumer.start()
        return consumer

    return await world.on(node, start())


def places(consumer):
    return sorted(place.partition for place in consumer.assignment())


def test_a_rebalance_waits_for_every_member_to_let_go_before_anybody_gets_partitions():
    async def scenario(world):
        calls = []
        first = await member(world, Node("first"), calls)
        first.told.hold_s = 20
        second = await member(world, Node("second"), calls)
        assert calls[:5] == [
            ("first", "revoked", 0),
            ("first", "assigned", 3),
            ("second", "revoked", 0),
            ("first", "revoked", 3),
            ("first", "let go", 3),
        ]
        await world.until(lambda: len(calls) == 7)
        assert {call[:2] for call in calls[5:]} == {("first", "assigned"), ("second", "assigned")}
        await asyncio.sleep(5)
        assert sorted(places(first) + places(second)) == [0, 1, 2]
        assert "kafka.rebalance_timed_out" not in world.reached

    simulated(scenario)


def test_a_member_that_does_not_let_go_in_time_is_left_out_and_its_commit_is_refused():
    async def scenario(world):
        await produce(world, Node("a"), range(3))
        first = await member(world, Node("first"))
        (place,) = [record_place(record) for record in world.kafka.log()[:1]]
        first.told.hold_s = 100
        began = world.loop.time()
        second = await member(world, Node("second"))
        assert 55 < world.loop.time() - began < 70
        assert places(second) == [0, 1, 2]
        assert places(first) == [0, 1, 2], "it still believes so"
        with pytest.raises(CommitFailedError):
            await first.commit({place: 3})
        assert world.kafka.groups[GROUP].offsets == {}
        assert world.reached["kafka.rebalance_timed_out"]
        first.told.hold_s = 0
        await asyncio.sleep(120)
        assert sorted(places(first) + places(second)) == [0, 1, 2]

    simulated(scenario)


def record_place(record):
    return TopicPartition(record.topic, record.partition)


def test_a_paused_member_loses_its_session_delivers_what_it_had_and_cannot_commit():
    async def scenario(world):
        node = Node("zombie")
        zombie = await member(world, node)
        await produce(world, Node("a"), range(5))
        await world.until(lambda: any(r.fetched for r in zombie._assigned.values()))
        node.paused = True
        heir = await member(world, Node("heir"))
        assert places(heir) == [0, 1, 2]
        assert world.reached["kafka.session_expired"]
        world.loop.resume(node)

        async def what_is_left():
            polled = await zombie.getmany(timeout_ms=1000)
            offsets = {place: len(records) for place, records in polled.items()}
            with pytest.raises(CommitFailedError):
                await zombie.commit(offsets)
            return [record.value for records in polled.values() for record in records]

        assert await world.on(node, what_is_left()) == [b"%d" % n for n in range(5)]
        await asyncio.sleep(10)
        assert sorted(places(zombie) + places(heir)) == [0, 1, 2]

    simulated(scenario)


def test_a_static_member_that_comes_back_gets_its_partitions_without_a_rebalance():
    async def scenario(world):
        calls = []
        first, other = Node("first"), Node("other")
        before = await member(world, first, [], instance_id="one")
        staying = await member(world, other, calls, instance_id="two")
        await asyncio.sleep(10)
        generation, had = world.kafka.groups[GROUP].generation, places(before)
        del calls[:]
        world.crash(first)
        began = world.loop.time()
        after = await member(world, Node("first"), [], instance_id="one")
        assert world.loop.time() - began < 1
        await asyncio.sleep(30)
        assert places(after) == had
        assert world.kafka.groups[GROUP].generation == generation
        assert calls == [], "the other member was not disturbed"
        assert sorted(places(after) + places(staying)) == [0, 1, 2]
        assert world.reached == {"kafka.instance_returned": 1}

    simulated(scenario)


def test_a_member_whose_instance_has_come_back_elsewhere_cannot_commit():
    async def scenario(world):
        before = await member(world, Node("before"), instance_id="one")
        await member(world, Node("after"), instance_id="one")
        with pytest.raises(CommitFailedError):
            await before.commit({TopicPartition(TOPIC, 0): 0})
        assert world.kafka.groups[GROUP].offsets == {}

    simulated(scenario)


def test_a_static_member_that_crashed_while_it_joined_is_fenced_by_its_successor():
    async def scenario(world):
        holding = await member(world, Node("holding"), instance_id="two")
        holding.told.hold_s = 20
        node = Node("first")
        world.loop.call_later(1, lambda: world.crash(node), context=context_of(None))
        joining = world.loop.create_task(member(world, node, instance_id="one"))
        await asyncio.sleep(5)
        after = await member(world, Node("first"), instance_id="one")
        await asyncio.sleep(5)
        assert sorted(places(holding) + places(after)) == [0, 1, 2]
        assert len(world.kafka.groups[GROUP].members) == 2
        assert world.reached["kafka.member_fenced"] == 1
        joining.cancel()

    simulated(scenario)


def test_a_crashed_dynamic_member_is_missed_after_its_session():
    async def scenario(world):
        node = Node("first")
        await member(world, node)
        world.crash(node)
        began = world.loop.time()
        heir = await member(world, Node("heir"))
        assert 7 < world.loop.time() - began < 14
        assert places(heir) == [0, 1, 2]
        assert world.reached == {"kafka.session_expired": 1}

    simulated(scenario)


def test_a_commit_that_was_sent_before_a_crash_is_kept_or_not():
    async def scenario(world):
        node = Node("first")
        consumer = await member(world, node)
        world.on(node, consumer.commit({TopicPartition(TOPIC, 0): 0}))
        await asyncio.sleep(0.0001)
        world.crash(node)
        await asyncio.sleep(1)
        kept = world.kafka.groups[GROUP].offsets
        assert world.reached["kafka.commit_after_crash"] == len(kept)
        return len(kept)

    assert sum(simulated(scenario, seed) for seed in range(20)) in range(3, 18)


def test_a_member_that_does_not_poll_for_five_minutes_makes_room_for_others():
    async def scenario(world):
        handled, heir = Handled(), Handled()
        handled.duration_s = 1000
        node, other = Node("stuck"), Node("heir")
        await world.on(node, service(world, node, handled))
        await produce(world, Node("a"), range(10))
        await world.until(lambda: world.reached["kafka.member_idle"], 320)
        assert world.loop.time() > 300
        began = world.loop.time()
        await world.on(other, service(world, other, heir))
        await world.until(lambda: heir.records)
        assert world.loop.time() - began < 5
        handled.duration_s = 0
        await asyncio.sleep(1000)
        assert values(handled.records) == values(heir.records)
        assert world.kafka.drained([GROUP])

    simulated(scenario)


def test_a_member_that_leaves_is_not_waited_for():
    async def scenario(world):
        first = await member(world, Node("first"))
        second = await member(world, Node("second"))
        await second.stop()
        await world.until(lambda: places(first) == [0, 1, 2], 5)

    simulated(scenario)


# -- our own consumer ------------------------------------------------------------------------------


def test_a_batch_in_flight_holds_a_rebalance_and_is_committed_before_it():
    async def scenario(world):
        handled, heir = Handled(), Handled()
        handled.duration_s = 30
        node = Node("ledger")
        await world.on(node, service(world, node, handled))
        await produce(world, Node("a"), range(10))
        await asyncio.sleep(1)
        other = Node("ledger-2")
        await world.on(other, service(world, other, heir))
        await asyncio.sleep(60)
        assert values(handled.records + heir.records) == [b"%d" % n for n in range(10)]
        assert world.kafka.drained([GROUP])

    simulated(scenario)


def test_a_member_thrown_out_in_a_batch_makes_its_records_come_again():
    async def scenario(world):
        handled, heir = Handled(), Handled()
        handled.duration_s = 30
        node, other = Node("ledger"), Node("ledger-2")
        await world.on(node, service(world, node, handled))
        await produce(world, Node("a"), range(10))
        await asyncio.sleep(1)
        node.paused = True
        await world.on(other, service(world, other, heir))
        await world.until(lambda: len(heir.records) == 10)
        world.loop.resume(node)
        await world.until(lambda: len(handled.records) == 10)
        await asyncio.sleep(30)
        assert values(handled.records) == values(heir.records)
        assert world.reached["kafka.commit_refused"]
        assert world.kafka.drained([GROUP])

    simulated(scenario)


def test_a_batch_that_fails_is_read_again_from_its_beginning():
    async def scenario(world):
        handled = Handled()
        process, failures = handled.process, [RuntimeError("a bug"), KeyError("another")]

        async def failing(records):
            if failures:
                raise failures.pop()
            await process(records)

        handled.process = failing
        node = Node("ledger")
        await world.on(node, service(world, node, handled))
        await produce(world, Node("a"), range(10))
        await world.until(lambda: world.kafka.drained([GROUP]))
        assert values(handled.records) == [b"%d" % n for n in range(10)]
        assert world.reached["kafka.seek_back"] == 2

    simulated(scenario)


def test_an_exception_of_the_handler_is_passed_over_and_a_kafka_error_costs_five_seconds():
    async def scenario(world):
        seen, polls = [], []
        broker = world.kafka.broker(Node("a"))("sim")
        subscriber = broker.subscriber(
            TOPIC,
            batch=True,
            group_id=GROUP,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            parser=lambda raw: asyncio.sleep(0, raw),
            decoder=lambda message: asyncio.sleep(0),
        )
        own = subscriber.get_msg

        async def poll(consumer):
            polls.append(world.loop.time())
            if len(polls) == 1:
                raise KafkaError("no")
            return await own(consumer)

        subscriber.__dict__["get_msg"] = poll

        @subscriber
        async def handle(message):
            seen.append(message)
            raise RuntimeError("a bug")

        await broker.start()
        await produce(world, Node("a"), range(2))
        await world.until(lambda: sum(map(len, seen)) == 2)
        assert polls[1] - polls[0] == pytest.approx(5)
        await broker.stop()

    simulated(scenario)


def test_a_subscriber_that_would_acknowledge_by_itself_is_refused():
    async def scenario(world):
        with pytest.raises(ValueError, match="by hand"):
            world.kafka.broker(Node("a"))("sim").subscriber(TOPIC, group_id=GROUP, batch=True)

    simulated(scenario)


# -- faults ----------------------------------------------------------------------------------------


async def consuming(world, name="ledger"):
    """One node with our consumer; what it handled."""
    handled, node = Handled(), Node(name)
    await world.on(node, service(world, node, handled))
    return handled, node


def test_a_lost_commit_makes_a_successor_read_again():
    async def scenario(world):
        handled, node = await consuming(world)
        await produce(world, Node("a"), range(10))
        await world.until(lambda: world.reached["kafka.commit_lost"])
        world.crash(node)
        world.kafka.calm()
        heir, _ = await consuming(world, "heir")
        await world.until(lambda: len(heir.records) == 10)
        assert values(heir.records) == values(handled.records)

    simulated(scenario, faults=KafkaFaults(commit_lost=1))


def test_a_failed_commit_is_made_good_by_the_next():
    async def scenario(world):
        await consuming(world)
        await produce(world, Node("a"), range(10))
        await asyncio.sleep(5)
        assert world.reached["kafka.commit_failed"] > 3
        world.kafka.calm()
        await asyncio.sleep(1)
        assert sum(world.kafka.groups[GROUP].offsets.values()) == 10

    simulated(scenario, faults=KafkaFaults(commit_failed=1))


def test_a_new_owner_may_begin_before_the_committed_offset():
    async def scenario(world):
        _, node = await consuming(world)
        await produce(world, Node("a"), range(10))
        await world.until(lambda: sum(world.kafka.groups[GROUP].offsets.values()) == 10)
        world.crash(node)
        heir, _ = await consuming(world, "heir")
        await world.until(lambda: heir.records)
        again = [int(value) for value in values(heir.records)]
        assert again == list(range(10 - len(again), 10))
        assert world.reached["kafka.rewound"]

    simulated(scenario, faults=KafkaFaults(rewound=1))


def test_small_polls_give_one_to_five_records_at_a_time_and_all_of_them():
    async def scenario(world):
        handled = Handled()
        sizes = []
        process = handled.process

        async def measuring(records):
            sizes.append(len(records))
            await process(records)

        handled.process = measuring
        await produce(world, Node("a"), range(100))
        node = Node("ledger")
        await world.on(node, service(world, node, handled))
        await world.until(lambda: len(handled.records) == 100)
        assert max(sizes) <= 5
        assert values(handled.records) == [b"%d" % n for n in range(100)]

    simulated(scenario, faults=KafkaFaults(poll_small=1))


def test_late_records_are_seen_in_their_order_and_are_not_drained_before():
    async def scenario(world):
        handled, _ = await consuming(world)
        began = world.loop.time()
        await produce(world, Node("a"), range(10))
        assert not world.kafka.drained([GROUP])
        await world.until(lambda: world.kafka.drained([GROUP]))
        assert world.loop.time() - began > 0.1
        assert values(handled.records) == [b"%d" % n for n in range(10)]

    simulated(scenario, faults=KafkaFaults(records_late=1))


def test_a_partition_without_a_leader_neither_takes_nor_gives_and_the_others_do():
    async def scenario(world):
        handled, _ = await consuming(world)
        await produce(world, Node("a"), [1], partition=0)
        await world.until(lambda: handled.records)
        world.kafka.lose_leader(TopicPartition(TOPIC, 0), 10)
        node = Node("b")
        relay = world.on(node, Relay(world, node, []).run())
        await relay
        producer = world.kafka.producer(node)(request_timeout_ms=15_000)
        await producer.start()
        stuck = await producer.send(TOPIC, b"2", key=b"k", partition=0)
        other = await producer.send(TOPIC, b"3", key=b"k", partition=1)
        await other
        await world.until(lambda: len(handled.records) == 2, 1)
        assert not stuck.done()
        await asyncio.wait([stuck])
        if stuck.exception() is None:
            await world.until(lambda: len(handled.records) == 3)

    for seed in range(4):
        simulated(scenario, seed)


def test_while_the_broker_is_away_nothing_is_answered_and_afterwards_all_goes_on():
    async def scenario(world):
        handled, _ = await consuming(world)
        world.kafka.go_away(20)
        began = world.loop.time()
        node = Node("a")
        sending = world.on(node, Relay(world, node, [(b"k", b"%d" % n) for n in range(30)]).run())
        await asyncio.sleep(19)
        assert world.kafka.log() == []
        await sending
        assert world.loop.time() - began > 20
        await world.until(lambda: world.kafka.drained([GROUP]))
        assert by_key(world.kafka.log()) == {b"k": list(range(30))}
        assert firsts(values(handled.records)) == [b"%d" % n for n in range(30)]

    for seed in range(4):
        simulated(scenario, seed)


def test_what_a_crashed_node_had_sent_is_appended_whole_or_not_at_all():
    outcomes = Counter()

    async def scenario(world):
        node = Node("a")

        async def send():
            producer = world.kafka.producer(node)()
            await producer.start()
            for number in range(10):
                await producer.send(TOPIC, b"%d" % number, key=b"k")
            await asyncio.Event().wait()

        world.on(node, send())
        await world.until(lambda: world.kafka._in_flight, step_s=0.0001)
        world.crash(node)
        await asyncio.sleep(20)
        assert world.kafka.drained([])
        found = [int(value) for value in values(world.kafka.log())]
        assert found == list(range(len(found)))
        outcomes.update(world.reached)

    for seed in range(20):
        simulated(scenario, seed)
    assert outcomes["kafka.append_after_crash"] > 2
    assert outcomes["kafka.append_lost_in_crash"] > 2


def test_a_dead_node_sends_and_commits_nothing_more():
    async def scenario(world):
        handled, node = await consuming(world)
        world.crash(node)
        await produce(world, Node("a"), range(10))
        await asyncio.sleep(120)
        assert handled.records == []
        assert world.kafka.groups[GROUP].members == {}
        assert world.kafka.groups[GROUP].offsets == {}

    simulated(scenario)


# -- everything at once ----------------------------------------------------------------------------


class Swarm:
    """Relays and consumers on nodes that crash and pause, on a broker where all goes wrong."""

    rows = 300

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.chooser = world, random.Random(seed)
        self.handled = Handled()
        self.process, self.handled.process = self.handled.process, self.sometimes
        self.nodes: dict[str, Node] = {}
        wanted = [(b"k%d" % (n % 7), b"%d" % n) for n in range(self.rows)]
        self.relay = Relay(world, Node("relay"), wanted)
        self.relay.idle_s = 1.0

    async def run(self) -> None:
        for name in ("relay", "ledger-0", "ledger-1"):
            self.start(name)
        end = self.world.loop.time() + 120
        while self.world.loop.time() < end:
            await asyncio.sleep(self.chooser.expovariate(1 / 10))
            name = self.chooser.choice(sorted(self.nodes))
            node = self.nodes[name]
            for _ in range(2000 if name == "relay" and self.relay.rows else 0):
                if self.world.kafka._in_flight:
                    break
                await asyncio.sleep(0.0005)
            if self.chooser.random() < 0.5:
                self.world.crash(node)
                await asyncio.sleep(self.chooser.uniform(0, 15))
                self.start(name)
            else:
                node.paused = True
                await asyncio.sleep(self.chooser.uniform(0, 25))
                self.world.loop.resume(node)
        self.world.kafka.calm()
        await self.world.until(lambda: not self.relay.rows)
        await self.world.until(lambda: self.world.kafka.drained([GROUP]))

    async def sometimes(self, records: Any) -> None:
        if self.chooser.random() < 0.05:
            raise RuntimeError("a bug")
        await self.process(records)

    def start(self, name: str) -> None:
        node = self.nodes[name] = Node(name)
        self.world.on(node, self.live(node))

    async def live(self, node: Node) -> None:
        if node.name == "relay":
            self.relay.node = node
            await self.relay.run()
            return
        instance_id = node.name if self.chooser.random() < 0.5 else ""
        while True:
            try:
                await service(self.world, node, self.handled, instance_id)
                return
            except KafkaError:
                await asyncio.sleep(1)


def swarmed(seed: int) -> World:
    chooser = random.Random(seed)
    chances = [chooser.choice((0, 0.05, 0.3)) for _ in range(10)]
    rates = [chooser.choice((0, 1.0, 4.0)) for _ in range(4)]
    world = World(seed, KafkaFaults(*chances, *rates))
    swarm = Swarm(world, seed)

    async def scenario(world):
        await swarm.run()
        log, handled = by_key(world.kafka.log()), by_key(swarm.handled.records)
        for number in range(7):
            wanted = list(range(number, swarm.rows, 7))
            assert firsts(log[b"k%d" % number]) == wanted
            assert firsts(handled[b"k%d" % number]) == wanted

    with mock.patch.object(faults, "random", random.Random(seed)):
        world.run(scenario)
    return world


def test_whatever_happens_nothing_is_lost_and_every_key_keeps_its_order():
    reached: Counter[str] = Counter()
    for seed in range(30):
        reached.update(swarmed(seed).reached)
    assert set(FAULTS + CONSEQUENCES) - set(reached) <= set(RARE), (
        "those have a test of their own above"
    )
    assert set(reached) - set(FAULTS + CONSEQUENCES) == set()
