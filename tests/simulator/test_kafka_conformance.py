"""The simulated broker and the real one give the same answers to the same calls.

Each scenario is played twice: with aiokafka against Kafka, and with what stands for both. What it
returns must be equal: results, errors, calls of the rebalance listener. Only real behaviour that a
run may rely on is written down here; which partition a member gets, for instance, is not.
"""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from tests.simulator.kafka import SimKafka
from tests.simulator.loop import SimLoop
from tests.simulator.node import Node

SESSION_MS = 6000


class Stage:
    """What a scenario is given: fresh topic and group, clients that are closed afterwards."""

    def __init__(self, producer: Any, consumer: Any, topic: str, silence: Callable[[Any], None]):
        self._producer, self._consumer = producer, consumer
        self.topic, self.group = topic, f"group-{topic}"
        self.silence = silence
        """Let a consumer's heartbeats stop, without its noticing."""
        self._stack = AsyncExitStack()

    async def play(self, scenario: Callable[["Stage"], Awaitable[Any]]) -> Any:
        async with self._stack:
            return await asyncio.wait_for(scenario(self), 60)

    def place(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    async def producer(self) -> Any:
        producer = self._producer(enable_idempotence=True, acks="all", max_request_size=10_000)
        self._stack.push_async_callback(producer.stop)
        await producer.start()
        return producer

    async def produce(self, count: int, partition: int = 0) -> list[int]:
        """Numbers in order; their offsets."""
        producer = await self.producer()
        sent = [
            await producer.send(self.topic, b"%d" % n, key=b"k", partition=partition)
            for n in range(count)
        ]
        return [(await one).offset for one in sent]

    def prepared(self, listener: Any = None, pattern: str = "", **settings: Any) -> Any:
        consumer = self._consumer(
            group_id=self.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=300,
            **{"rebalance_timeout_ms": 20_000, **settings},
        )
        self._stack.push_async_callback(consumer.stop)
        if pattern:
            consumer.subscribe(pattern=pattern, listener=listener)
        else:
            consumer.subscribe([self.topic], listener=listener)
        return consumer

    async def consumer(self, listener: Any = None, **settings: Any) -> Any:
        consumer = self.prepared(listener, **settings)
        await consumer.start()
        return consumer


class Told(ConsumerRebalanceListener):
    """Writes down what it is told; may let a rebalance wait."""

    def __init__(self, hold_s: float = 0) -> None:
        self.calls: list[Any] = []
        self.hold_s = hold_s

    async def on_partitions_revoked(self, revoked: Any) -> None:
        self.calls.append(("revoked", len(revoked)))
        await asyncio.sleep(self.hold_s)

    async def on_partitions_assigned(self, assigned: Any) -> None:
        self.calls.append(("assigned", len(assigned)))


async def read(consumer: Any, count: int, max_records: int | None = None) -> list[Any]:
    """Poll until so many records are there; their values."""
    found: list[Any] = []
    while len(found) < count:
        polled = await consumer.getmany(timeout_ms=1000, max_records=max_records)
        found += [record.value for records in polled.values() for record in records]
    return found


async def failure(attempt: Awaitable[Any]) -> Any:
    """The names of the errors of an attempt and of its cause; None where it succeeds."""
    try:
        await attempt
    except (KafkaError, ValueError, RuntimeError) as error:
        cause = type(error.__cause__).__name__ if error.__cause__ is not None else ""
        return type(error).__name__, cause
    except Exception as error:
        return type(error).__name__, ""
    return None


async def called(function: Callable[[], Any]) -> Any:
    return function()


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.05)


# -- scenarios -------------------------------------------------------------------------------------


async def records_come_as_they_were_sent(stage: Stage) -> Any:
    producer = await stage.producer()
    sent = await producer.send_and_wait(
        stage.topic, b"v", key=b"key", partition=1, timestamp_ms=7, headers=[("h", b"1")]
    )
    consumer = await stage.consumer()
    polled = await consumer.getmany(timeout_ms=5000)
    ((place, (record,)),) = polled.items()
    highwater = consumer.highwater(place)
    return (
        (sent.partition, sent.offset, sent.topic == stage.topic, sent.topic_partition == place),
        (record.partition, record.offset, record.timestamp, record.timestamp_type),
        (record.key, record.value, record.headers, type(record.headers).__name__),
        (record.serialized_key_size, record.serialized_value_size, record.checksum),
        (highwater, type(record).__name__, type(consumer.assignment()).__name__),
    )


async def a_pattern_stands_for_the_topics_it_matches(stage: Stage) -> Any:
    await stage.produce(3)
    consumer = await stage.consumer(pattern=rf"^{stage.topic[:-1]}[a-z0-9]$")
    return await read(consumer, 3), len(consumer.assignment())


async def a_pattern_that_matches_nothing_joins_without_partitions(stage: Stage) -> Any:
    told = Told()
    consumer = await stage.consumer(told, pattern="^elsewhere-[a-z]+$")
    await until(lambda: told.calls)
    return told.calls[-1], len(consumer.assignment()), await consumer.getmany(timeout_ms=50)


async def offsets_count_from_nought(stage: Stage) -> Any:
    return await stage.produce(5), await stage.produce(3), await stage.produce(2, partition=2)


async def a_poll_gives_at_most_what_was_asked_for_and_moves_the_position(stage: Stage) -> Any:
    await stage.produce(10)
    consumer = await stage.consumer()
    found = []
    for count in (3, 4, 5):
        polled: Any = {}
        while not polled:
            polled = await consumer.getmany(timeout_ms=1000, max_records=count)
        ((_, records),) = polled.items()
        position = await consumer.position(stage.place(0))
        found.append(([record.offset for record in records], position))
    return found, await consumer.getmany(timeout_ms=50)


async def reading_goes_on_where_the_group_has_committed(stage: Stage) -> Any:
    await stage.produce(6)
    await stage.produce(2, partition=1)
    first = await stage.consumer()
    await read(first, 8)
    await first.commit({stage.place(0): 4})
    kept = await first.committed(stage.place(0)), await first.committed(stage.place(1))
    await first.stop()
    second = await stage.consumer()
    found = await read(second, 4)
    await second.commit()
    return kept, sorted(found), await second.committed(stage.place(1))


async def an_offset_may_be_committed_backwards(stage: Stage) -> Any:
    await stage.produce(6)
    consumer = await stage.consumer()
    await consumer.commit({stage.place(0): 5})
    await consumer.commit({stage.place(0): 2})
    return await consumer.committed(stage.place(0))


async def a_seek_forgets_what_was_fetched(stage: Stage) -> Any:
    await stage.produce(10)
    consumer = await stage.consumer()
    first = await read(consumer, 2, max_records=2)
    consumer.seek(stage.place(0), 1)
    again = await read(consumer, 9)
    consumer.seek(stage.place(0), 8)
    return first, again, await read(consumer, 2), await consumer.position(stage.place(0))


async def a_seek_past_the_end_begins_anew(stage: Stage) -> Any:
    await stage.produce(3)
    consumer = await stage.consumer()
    await read(consumer, 3)
    consumer.seek(stage.place(0), 1000)
    return await read(consumer, 3)


async def wrong_calls_are_refused(stage: Stage) -> Any:
    consumer = await stage.consumer()
    elsewhere = TopicPartition("elsewhere", 0)
    return (
        await failure(called(lambda: consumer.seek(elsewhere, 1))),
        await failure(called(lambda: consumer.seek(stage.place(0), -1))),
        await failure(consumer.commit({elsewhere: 1})),
        await failure(called(lambda: consumer.highwater(elsewhere))),
    )


async def closed_clients_say_so(stage: Stage) -> Any:
    consumer, producer = await stage.consumer(), await stage.producer()
    await producer.send_and_wait(stage.topic, b"v", partition=0)
    await consumer.stop()
    await producer.stop()
    return (
        await failure(consumer.getmany()),
        await failure(producer.send(stage.topic, b"v", partition=0)),
    )


async def a_record_that_is_too_large_is_refused(stage: Stage) -> Any:
    producer = await stage.producer()
    refused = await failure(producer.send(stage.topic, b"x" * 10_000, partition=0))
    accepted = await producer.send_and_wait(stage.topic, b"x" * 9_000, partition=0)
    return refused, accepted.offset


async def stopping_a_producer_sends_what_is_queued(stage: Stage) -> Any:
    producer = await stage.producer()
    sent = [await producer.send(stage.topic, b"%d" % n, partition=0) for n in range(50)]
    await producer.stop()
    return [one.done() and one.result().offset for one in sent]


async def a_second_member_takes_its_share_and_gives_it_back_when_it_leaves(stage: Stage) -> Any:
    told, other = Told(), Told()
    first = await stage.consumer(told)
    second = await stage.consumer(other)
    await until(lambda: len(first.assignment()) + len(second.assignment()) == 3)
    apart = first.assignment() & second.assignment()
    shares = sorted([len(first.assignment()), len(second.assignment())])
    await second.stop()
    # It has them a moment before its listener is told.
    await until(lambda: len(first.assignment()) == 3 and told.calls[-1] == ("assigned", 3))
    return shares, len(apart), [name for name, _ in told.calls], other.calls[0]


async def a_rebalance_waits_for_a_listener_and_a_poll_for_the_rebalance(stage: Stage) -> Any:
    await stage.produce(1)
    told, order = Told(), []
    first = await stage.consumer(told)
    await until(lambda: told.calls)
    told.hold_s = 3
    joining = asyncio.create_task(stage.prepared(Told()).start())
    joining.add_done_callback(lambda _: order.append("joined"))
    await until(lambda: told.calls[-1][0] == "revoked" and len(told.calls) > 2)
    order.append("revoked")
    during = len(first.assignment())
    polling = asyncio.create_task(first.getmany(timeout_ms=10))
    polling.add_done_callback(lambda _: order.append("polled"))
    await asyncio.sleep(1)
    order.append("held")
    committed = await failure(first.commit({stage.place(0): 1}))
    await asyncio.gather(joining, polling)
    return order[:2], sorted(order[2:]), during, committed


async def who_holds_a_rebalance_too_long_is_left_out(stage: Stage) -> Any:
    await stage.produce(1)
    told = Told()
    first = await stage.consumer(told, rebalance_timeout_ms=1500)
    await until(lambda: told.calls)
    told.hold_s = 5
    second = await stage.consumer(rebalance_timeout_ms=1500)
    shares = len(second.assignment()), len(first.assignment())
    refused = await failure(first.commit({stage.place(0): 1}))
    kept = await second.committed(stage.place(0))
    told.hold_s = 0
    await until(lambda: len(first.assignment()) + len(second.assignment()) == 3)
    return shares, refused, kept


async def _waiting_long(stage: Stage, instance_id: str | None) -> Any:
    told = Told()
    first = await stage.consumer(told)
    await until(lambda: told.calls)
    told.hold_s = 4
    second = await stage.consumer(group_instance_id=instance_id, request_timeout_ms=1500)
    told.hold_s = 0
    await until(lambda: len(told.calls) % 2 == 0)
    before = len(told.calls)
    await asyncio.sleep(SESSION_MS / 1000 + 2)
    shares = sorted([len(first.assignment()), len(second.assignment())])
    return shares, len(told.calls) - before


async def who_waits_longer_than_a_request_may_take_asks_again_as_the_same(stage: Stage) -> Any:
    return await _waiting_long(stage, None)


async def a_static_one_does_so_too(stage: Stage) -> Any:
    return await _waiting_long(stage, "one")


async def a_member_without_heartbeats_still_reads_but_cannot_commit(stage: Stage) -> Any:
    await stage.produce(2)
    zombie = await stage.consumer()
    stage.silence(zombie)
    heir = await stage.consumer()
    shares = len(heir.assignment()), len(zombie.assignment())
    await stage.produce(2)
    found = await read(zombie, 4)
    refused = await failure(zombie.commit({stage.place(0): 4}))
    kept = await heir.committed(stage.place(0))
    await until(lambda: len(zombie.assignment()) + len(heir.assignment()) == 3)
    return shares, found, refused, kept


async def a_static_member_comes_back_without_a_rebalance(stage: Stage) -> Any:
    told = Told()
    before = await stage.consumer(group_instance_id="one")
    staying = await stage.consumer(told, group_instance_id="two")
    await until(lambda: len(before.assignment()) + len(staying.assignment()) == 3)
    await asyncio.sleep(1)
    had, calls = before.assignment(), list(told.calls)
    await before.stop()
    after = await stage.consumer(group_instance_id="one")
    await asyncio.sleep(2)
    return after.assignment() == had, told.calls == calls


async def the_same_instance_twice_takes_it_from_the_other_by_turns(stage: Stage) -> Any:
    """AIOKafka sends no instance id with commits and heartbeats, so nobody is told of a fence.

    Who is fenced while he joins rests until he polls, and learns there of an unknown error.
    """
    told = Told()
    first = await stage.consumer(group_instance_id="one")
    second = await stage.consumer(told, group_instance_id="one")
    refused = await failure(first.commit({stage.place(0): 0}))
    for consumer in (first, second, first):
        while await failure(consumer.commit({stage.place(0): 0})) is not None:
            await failure(consumer.getmany(timeout_ms=50))
    await until(lambda: told.calls.count(("revoked", 3)) >= 2)
    return refused, len(first.assignment()), len(second.assignment())


async def a_static_member_that_stops_keeps_its_place_until_its_session_ends(stage: Stage) -> Any:
    before = await stage.consumer(group_instance_id="one")
    staying = await stage.consumer(group_instance_id="two")
    await until(lambda: len(before.assignment()) + len(staying.assignment()) == 3)
    share = len(staying.assignment())
    await before.stop()
    await asyncio.sleep(2)
    meanwhile = len(staying.assignment()) == share
    await until(lambda: len(staying.assignment()) == 3)
    return meanwhile


SCENARIOS = (
    records_come_as_they_were_sent,
    a_pattern_stands_for_the_topics_it_matches,
    a_pattern_that_matches_nothing_joins_without_partitions,
    offsets_count_from_nought,
    a_poll_gives_at_most_what_was_asked_for_and_moves_the_position,
    reading_goes_on_where_the_group_has_committed,
    an_offset_may_be_committed_backwards,
    a_seek_forgets_what_was_fetched,
    a_seek_past_the_end_begins_anew,
    wrong_calls_are_refused,
    closed_clients_say_so,
    a_record_that_is_too_large_is_refused,
    stopping_a_producer_sends_what_is_queued,
    a_second_member_takes_its_share_and_gives_it_back_when_it_leaves,
    a_rebalance_waits_for_a_listener_and_a_poll_for_the_rebalance,
    who_holds_a_rebalance_too_long_is_left_out,
    who_waits_longer_than_a_request_may_take_asks_again_as_the_same,
    a_static_one_does_so_too,
    a_member_without_heartbeats_still_reads_but_cannot_commit,
    a_static_member_comes_back_without_a_rebalance,
    the_same_instance_twice_takes_it_from_the_other_by_turns,
    a_static_member_that_stops_keeps_its_place_until_its_session_ends,
)


# -- both stages -----------------------------------------------------------------------------------


async def _heard() -> bool:
    return True


def _silence(consumer: Any) -> None:
    consumer._coordinator._do_heartbeat = _heard


async def on_kafka(bootstrap: str) -> dict[str, Any]:
    """Every scenario at once, each with a topic of its own."""
    topics = {scenario: f"conformance-{uuid.uuid4().hex[:12]}" for scenario in SCENARIOS}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 3, 1) for topic in topics.values()])

        def producer(**settings: Any) -> Any:
            return AIOKafkaProducer(bootstrap_servers=bootstrap, **settings)

        def consumer(**settings: Any) -> Any:
            return AIOKafkaConsumer(bootstrap_servers=bootstrap, **settings)

        stages = [Stage(producer, consumer, topic, _silence) for topic in topics.values()]
        played = [stage.play(scenario) for stage, scenario in zip(stages, topics, strict=True)]
        results = await asyncio.gather(*played, return_exceptions=True)
        await admin.delete_topics(list(topics.values()))
    finally:
        await admin.close()
    return {scenario.__name__: result for scenario, result in zip(topics, results, strict=True)}


@pytest.fixture(scope="module")
def on_the_real_one(infra: Any) -> Iterator[dict[str, Any]]:
    yield asyncio.run(on_kafka(infra.kafka_bootstrap))


def on_the_simulated_one(scenario: Callable[[Stage], Awaitable[Any]], seed: int) -> Any:
    loop = SimLoop(random.Random(seed))
    kafka = SimKafka(random.Random(seed), ["topic"])

    async def play() -> Any:
        stage = Stage(
            kafka.producer(Node("a")),
            kafka.consumer(Node("a")),
            "topic",
            lambda consumer: consumer._stop_beating(),
        )
        return await stage.play(scenario)

    try:
        return loop.run_until_complete(play())
    finally:
        loop.close()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_both_give_the_same_answers(scenario, on_the_real_one):
    wanted = on_the_real_one[scenario.__name__]
    assert not isinstance(wanted, BaseException), repr(wanted)
    assert wanted is not None
    for seed in range(5):
        assert on_the_simulated_one(scenario, seed) == wanted
