"""What stands for FastStream's `KafkaBroker`, as far as our consumer uses it."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from tests.simulator.kafka.consumer import SimConsumer
from tests.simulator.node import Node

if TYPE_CHECKING:
    from tests.simulator.kafka.simulated import SimKafka

log = structlog.get_logger()
_BROKER = inspect.signature(KafkaBroker)
_SUBSCRIBER = inspect.signature(KafkaBroker.subscriber)
_AFTER_AN_ERROR_S = 5
_CONNECTION = (
    "group_instance_id",
    "auto_offset_reset",
    "rebalance_timeout_ms",
    "session_timeout_ms",
    "heartbeat_interval_ms",
    "max_partition_fetch_bytes",
    "max_poll_interval_ms",
)


class SimSubscriber:
    """A batch subscriber: polls, parses, decodes, handles; an exception of the last is passed over.

    `get_msg` may be replaced through `__dict__`, as our consumer does.
    """

    def __init__(self, broker: "SimBroker", topics: tuple[str, ...], options: dict[str, Any]):
        self.consumer: SimConsumer | None = None
        self.topics = topics
        self.options = options
        self.running = False
        self._broker = broker
        self._handlers: list[Callable[[Any], Awaitable[Any]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._idle = asyncio.Event()
        self._idle.set()

    def __call__(self, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Take a handler, as a decorator."""
        self._handlers.append(handler)
        return handler

    async def get_msg(self, consumer: SimConsumer) -> tuple[Any, ...]:
        """FastStream's own poll, which sleeps when nothing was there."""
        timeout_ms = self.options["batch_timeout_ms"]
        polled = await consumer.getmany(
            timeout_ms=timeout_ms, max_records=self.options["max_records"]
        )
        if not polled:
            await asyncio.sleep(timeout_ms / 1000)
        return tuple(record for records in polled.values() for record in records)

    async def start(self) -> None:
        """Join the group, then poll."""
        self.consumer = self._broker.make_consumer(
            group_id=self.options["group_id"],
            enable_auto_commit=False,
            request_timeout_ms=self._broker.settings["request_timeout_ms"],
            retry_backoff_ms=self._broker.settings["retry_backoff_ms"],
            **{name: self.options[name] for name in _CONNECTION},
        )
        self.consumer.subscribe(
            self.topics, pattern=self.options["pattern"], listener=self.options["listener"]
        )
        await self.consumer.start()
        self.running = True
        self._go(self.consumer)

    def _go(self, consumer: SimConsumer) -> None:
        """A loop that dies of an error nobody expected is started anew, as its supervisor does."""
        task = asyncio.create_task(self._consume(consumer))
        self._tasks.append(task)
        task.add_done_callback(lambda done: self._ended(done, consumer))

    def _ended(self, task: "asyncio.Task[None]", consumer: SimConsumer) -> None:
        if task.cancelled() or task not in self._tasks:
            return
        error = task.exception()
        if error is not None:
            log.error("subscriber.failed", error=repr(error))
            self._go(consumer)

    async def _consume(self, consumer: SimConsumer) -> None:
        while self.running:
            try:
                batch = await self.get_msg(consumer)
            except KafkaError as error:
                log.info("subscriber.kafka_error", error=repr(error))
                await asyncio.sleep(_AFTER_AN_ERROR_S)
            except ConsumerStoppedError:
                return
            else:
                if batch and self.running:
                    await self._handle(batch)
            await asyncio.sleep(0)

    async def _handle(self, batch: tuple[Any, ...]) -> None:
        self._idle.clear()
        try:
            message = await self.options["parser"](batch)
            await self.options["decoder"](message)
            for handler in self._handlers:
                # FastStream looks the message up for the handler in a thread: others go on.
                await asyncio.sleep(self._broker.thread_s())
                await handler(message)
        except Exception as error:
            log.error("handler.failed", error=repr(error))
        finally:
            self._idle.set()

    async def stop(self) -> None:
        """Take no more, give the batch in flight its time, then leave the group."""
        self.running = False
        timeout_s = self._broker.settings["graceful_timeout"]
        if timeout_s:
            try:
                await asyncio.wait_for(self._idle.wait(), timeout_s)
            except TimeoutError:
                log.warning("subscriber.stopped_in_a_batch", seconds=timeout_s)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if self.consumer is not None:
            await self.consumer.stop()
            self.consumer = None


class SimBroker:
    """Holds the subscribers of a service, and what it was made with."""

    def __init__(self, kafka: "SimKafka", node: Node, *bootstrap: Any, **settings: Any) -> None:
        given = _BROKER.bind(*bootstrap, **settings)
        given.apply_defaults()
        self.settings = given.arguments
        self.make_consumer = kafka.consumer(node)
        self.thread_s = kafka.thread_s
        self.subscribers: list[SimSubscriber] = []

    def subscriber(self, *topics: str, **options: Any) -> SimSubscriber:
        """Declare a subscriber; it starts with the broker."""
        given = _SUBSCRIBER.bind(self, *topics, **options)
        given.apply_defaults()
        if not given.arguments["batch"] or given.arguments["ack_policy"] is not AckPolicy.MANUAL:
            raise ValueError("only batches that are acknowledged by hand are simulated")
        subscriber = SimSubscriber(self, topics, given.arguments)
        self.subscribers.append(subscriber)
        return subscriber

    async def start(self) -> None:
        """Start every subscriber; raises `KafkaConnectionError` where the broker is away."""
        for subscriber in self.subscribers:
            await subscriber.start()

    async def stop(self) -> None:
        """Stop every subscriber."""
        for subscriber in self.subscribers:
            await subscriber.stop()
