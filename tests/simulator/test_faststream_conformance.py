"""What stands for FastStream does what FastStream does, call by call and second by second.

Each scenario is played twice on the simulated broker: with FastStream's own broker class, whose
client library alone is replaced, and with the stand-in.
"""

import asyncio
import functools
import random
from typing import Any
from unittest import mock

import fast_depends.utils
import pytest
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER, KafkaAckableMessage
from tests.simulator.kafka import KafkaFaults, SimKafka
from tests.simulator.loop import SimLoop
from tests.simulator.node import Node, context_of

import messaging.faults
from messaging.consumer import Consumer

TOPIC, GROUP = "invoice", "ledger"


class FastStream(KafkaBroker):
    """FastStream itself, with another client library."""

    def __init__(self, kafka: SimKafka, node: Node, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings, consumer_only=True)
        self._consumer = functools.partial(kafka.consumer(node), request_timeout_ms=40_000)

    async def _connect(self) -> Any:
        self.config.broker_config.builder = self._consumer
        return self._consumer


class Stage:
    """A broker class, what goes on, and when."""

    def __init__(self, *, real: bool, seed: int, faults: KafkaFaults) -> None:
        self.loop = SimLoop(random.Random(seed))
        self.kafka = SimKafka(random.Random(seed), [TOPIC], faults=faults)
        self._real = real
        self.seen: list[Any] = []

    def broker(self, node: Node, **settings: Any) -> Any:
        kind = functools.partial(FastStream, self.kafka) if self._real else None
        make = functools.partial(kind, node) if kind else self.kafka.broker(node)
        return make("sim", logger=None, allow_auto_create_topics=False, **settings)

    def note(self, *what: Any) -> None:
        self.seen.append((round(self.loop.time(), 6), *what))

    async def produce(self, numbers: range) -> None:
        producer = self.kafka.producer(Node("relay"))()
        await producer.start()
        for number in numbers:
            try:
                await (await producer.send(TOPIC, b"%d" % number, key=b"%d" % (number % 5)))
            except KafkaError:
                producer = self.kafka.producer(Node("relay"))()
        await producer.stop()


class Noted:
    """Stands for the processor."""

    def __init__(self, stage: Stage, duration_s: float, failures: int = 0) -> None:
        self.group, self.abort = GROUP, asyncio.Event()
        self._subscriptions = mock.Mock(topics=(TOPIC,), pattern=None)
        self._stage, self._duration_s, self._failures = stage, duration_s, failures

    async def process(self, records: Any) -> None:
        self._stage.note("begun", [record.value for record in records])
        await asyncio.sleep(self._duration_s)
        if self._failures:
            self._failures -= 1
            raise RuntimeError("a bug")
        self._stage.note("done", len(records))


async def our_consumer(stage: Stage) -> None:
    """A group of two, one of which comes late and leaves early."""
    nodes = [Node("one"), Node("two")]
    for node in nodes:

        async def live(node: Node) -> Any:
            broker = stage.broker(node)
            consumer = Consumer(broker, mock.Mock(), Noted(stage, 0.3, failures=2))
            await broker.start()
            stage.note(node.name, "started")
            committing = asyncio.create_task(consumer.offsets.run())
            return broker, consumer, committing

        task = stage.loop.create_task(live(node), context=context_of(node))
        await stage.produce(range(100))
        await asyncio.sleep(10)
    broker, consumer, committing = await task
    producing = asyncio.create_task(stage.produce(range(100)))
    await consumer.drain()
    await broker.stop()
    stage.note("stopped")
    committing.cancel()
    await producing
    await asyncio.sleep(60)


async def bad_moments(stage: Stage) -> None:
    """Errors of the poll, of the handler, of both kinds FastStream tells apart, and a stop."""

    async def parse(raw: Any) -> Any:
        return await _parsed(stage, raw)

    broker = stage.broker(Node("one"), graceful_timeout=3)
    subscriber = broker.subscriber(
        TOPIC,
        batch=True,
        batch_timeout_ms=500,
        max_records=7,
        group_id=GROUP,
        ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="earliest",
        parser=parse,
        decoder=_decoded,
    )
    errors = [KafkaError("no"), RuntimeError("a bug"), KafkaError("no"), ValueError("another")]
    own = subscriber.get_msg

    async def poll(consumer: Any) -> Any:
        stage.note("poll")
        if errors and stage.loop.time() > 3:
            raise errors.pop()
        return await own(consumer)

    subscriber.__dict__["get_msg"] = poll

    @subscriber
    async def handle(message: KafkaMessage) -> None:
        stage.note("handle", len(message.raw_message))
        await asyncio.sleep(0.2 if stage.loop.time() < 30 else 100)
        stage.note("handled")
        raise RuntimeError("a bug")

    await broker.start()
    await stage.produce(range(30))
    await asyncio.sleep(30)
    await stage.produce(range(30))
    await asyncio.sleep(1)
    stage.note("stopping")
    await broker.stop()
    stage.note("stopped")
    await asyncio.sleep(200)


async def _parsed(stage: Stage, raw: Any) -> Any:
    stage.note("parse", len(raw))
    return KafkaAckableMessage(
        body=b"",
        headers={},
        batch_headers=[],
        raw_message=raw,
        consumer=FAKE_CONSUMER,
        message_id="m",
        correlation_id="c",
    )


async def _decoded(message: Any) -> None:
    del message


def played(scenario: Any, *, real: bool, seed: int, faults: KafkaFaults) -> list[Any]:
    stage = Stage(real=real, seed=seed, faults=faults)

    async def in_a_thread(function: Any, *arguments: Any, **named: Any) -> Any:
        await asyncio.sleep(stage.kafka.thread_s())
        return function(*arguments, **named)

    with (
        mock.patch.object(fast_depends.utils, "run_in_threadpool", in_a_thread),
        mock.patch.object(messaging.faults, "random", random.Random(seed)),
    ):
        try:
            stage.loop.run_until_complete(scenario(stage))
        finally:
            while tasks := asyncio.all_tasks(stage.loop):
                for task in tasks:
                    task.cancel()
                stage.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            stage.loop.close()
    return [*stage.seen, [record.value for record in stage.kafka.log()]]


def same(scenario: Any, seed: int, faults: KafkaFaults) -> None:
    wanted = played(scenario, real=True, seed=seed, faults=faults)
    assert len(wanted) > 10
    assert played(scenario, real=False, seed=seed, faults=faults) == wanted


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scenario", [our_consumer, bad_moments], ids=lambda s: s.__name__)
def test_the_same_calls_at_the_same_times(scenario, seed):
    same(scenario, seed, KafkaFaults())


@pytest.mark.parametrize("seed", range(5))
def test_the_same_calls_at_the_same_times_where_much_goes_wrong(seed):
    """One member alone: two would draw from the same source of chance in another order."""
    same(bad_moments, seed, KafkaFaults(*[0.1] * 10, 0, *[2.0] * 3))
