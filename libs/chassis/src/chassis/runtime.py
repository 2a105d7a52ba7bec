"""What a running service has in its hands: databases, writer, consumers, relay, timers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import structlog
from fastapi import APIRouter
from faststream.kafka import KafkaBroker

from chassis.settings import Role, Settings
from chassis.telemetry import AsgiApp
from messaging import (
    Consumer,
    Database,
    OutboxSignal,
    Processor,
    RecordSubscription,
    RecordSubscriptions,
    Relay,
    Subscription,
    Subscriptions,
    TimerHandler,
    TimerLoop,
    Tx,
    Writer,
    housekeeping,
)
from messaging.faults import pause
from messaging.operations import Traced
from messaging.operations.restore import Sent

log = structlog.get_logger()
POLL_AGE_MAX_S = 60
METADATA_MS = 300_000
NEW_TOPIC_MS = 5_000
"""How soon, in milliseconds, a new topic is noticed by whoever reads topics by a pattern."""
NACK_SECONDS_MAX = 30


@dataclass(frozen=True, slots=True)
class Service:
    """What makes a service: its name and the parts it registers. See `docs/adding-a-service.md`."""

    name: str
    settings: type[Settings]
    routers: Sequence[APIRouter] = ()
    subscriptions: Sequence[Subscription] = ()
    records: Sequence[RecordSubscription] = ()
    """Topics that others than services write, each pattern read by a consumer group of its own."""
    timers: Mapping[str, TimerHandler] = field(default_factory=dict)
    workers: Sequence[Callable[["Runtime"], Awaitable[None]]] = ()
    """Loops that talk to the outside; run beside the consumers, restarted when they fail.

    One that returns has done all it was there for, and is not begun again.
    """
    prepare: Callable[["Runtime"], Awaitable[None]] | None = None
    """Runs once before anything else, for example to store what the settings say."""
    group: str = ""
    """Consumer group; the service's name where it is not given."""
    traced: Sequence[Traced] = ()
    """Tables whose rows are effects in the life of an invoice, for whoever traces one."""
    restored: Callable[[Tx, Sequence[Sent]], Awaitable[None]] | None = None
    """Runs when the database went back behind facts it had stated: what they used up stays used."""
    middleware: Sequence[Callable[[AsgiApp, "Runtime"], AsgiApp]] = ()
    """Wraps the HTTP application, the first outermost but for the trace."""

    @property
    def schema(self) -> str:
        """Name of the service's schema, its package and its consumer group."""
        return self.name.replace("-", "_")

    def groups(self) -> list[Subscriptions | RecordSubscriptions]:
        """What each of its consumer groups reads."""
        own: list[Subscriptions | RecordSubscriptions] = [
            RecordSubscriptions(f"{self.name}.{records.name}", records) for records in self.records
        ]
        if self.subscriptions:
            own.insert(0, Subscriptions(self.group or self.name, self.subscriptions))
        return own


def _too_long(failing_since: float | None) -> bool:
    return failing_since is not None and time.monotonic() - failing_since > NACK_SECONDS_MAX


class Runtime:
    """A service while it runs."""

    def __init__(self, service: Service, settings: Any) -> None:
        """Nothing is opened yet."""
        self.service = service
        self.settings = settings
        self.draining = False
        self.ready = False
        self.consumers: list[Consumer] = []
        self.relay: Relay | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[str] = set()
        """Loops that were told to end. A task's own count of cancellations does not say: a group of
        tasks in it leaves it raised when one of them fails (CPython 3.11)."""
        self._started_at = time.monotonic()
        self.api: Database
        self.worker: Database
        self.writer: Writer
        self.http: aiohttp.ClientSession
        self._broker: KafkaBroker

    async def start(self) -> None:
        """Open everything, in the order in which things depend on each other."""
        settings, schema = self.settings, self.service.schema
        url = settings.database_worker_url.get_secret_value()
        size = settings.database_pool_size
        self.worker = await Database.open(url, schema, size=size, application=f"{schema}.worker")
        self.api = await Database.open(
            settings.database_api_url.get_secret_value(),
            schema,
            size=size,
            application=f"{schema}.api",
        )
        self.http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=30), cookie_jar=aiohttp.DummyCookieJar()
        )
        self.writer = Writer(self.api)
        timers = TimerLoop(self.worker, self.service.timers)
        if Role.RELAY in settings.roles:
            self.relay = Relay(url, schema, service=self.service.name, kafka=settings.kafka)
            self._go("relay", self.relay.run)
            self._go("housekeeping", lambda: housekeeping.run(self.worker))
        signal = OutboxSignal(self.worker.pool, schema, self.relay)
        self._go("outbox-signal", signal.run)
        for database in (self.api, self.worker):
            database.on_commit += [signal, lambda committed: timers.nudge(committed.next_due)]
        if self.service.prepare is not None:
            await self.service.prepare(self)
        self._go("writer", self.writer.run)
        if Role.CONSUMERS in settings.roles:
            await self._start_consumers(timers)
        self.ready = True
        log.info("service.started", roles=sorted(settings.roles))

    async def _start_consumers(self, timers: TimerLoop) -> None:
        if self.service.timers:
            self._go("timers", timers.run)
        for work in self.service.workers:
            self._go(work.__name__, lambda work=work: work(self))  # type: ignore[misc]
        groups = self.service.groups()
        if not groups:
            return
        broker = KafkaBroker(
            self.settings.kafka_bootstrap,
            security=self.settings.kafka.security(),
            logger=None,
            graceful_timeout=self.settings.drain_seconds,
            allow_auto_create_topics=False,
            enable_idempotence=True,
            metadata_max_age_ms=NEW_TOPIC_MS if self.service.records else METADATA_MS,
        )
        self.consumers = [
            Consumer(
                broker,
                self.worker,
                Processor(self.worker, subscriptions),
                instance_id=self.settings.instance_id,
            )
            for subscriptions in groups
        ]
        await broker.start()
        self._broker = broker
        for consumer in self.consumers:
            self._go(f"consumer {consumer.processor.group}", consumer.run)

    def _go(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        async def forever() -> None:
            failures = 0
            while True:
                try:
                    await loop()
                    return
                except Exception as error:
                    failures += 1
                    log.exception("loop.failed", loop=name, error=repr(error)[:500])
                    if name in self._ending:
                        # It failed while it tidied up: that hides its cancellation, not the end.
                        return
                    await pause(failures)

        self._tasks[name] = asyncio.create_task(forever(), name=name)

    async def stop(self) -> None:
        """Finish what is in flight, then close: consumers first, the relay last but the pools."""
        self.draining = True
        try:
            await asyncio.wait_for(self._drain(), self.settings.drain_seconds)
        except TimeoutError:
            log.warning("service.drain_timed_out", seconds=self.settings.drain_seconds)
        except Exception as error:
            # What was not drained is for the next process; this one still lets go of all it has.
            log.warning("service.drain_failed", error=repr(error))
        self._end(self._tasks)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self.http.close()
        await asyncio.gather(self.api.close(), self.worker.close())
        log.info("service.stopped")

    def _end(self, names: Iterable[str]) -> None:
        self._ending.update(names)
        for name in sorted(names):
            self._tasks[name].cancel()

    async def _drain(self) -> None:
        await self.writer.drain()
        if self.consumers:
            await asyncio.gather(*(consumer.drain() for consumer in self.consumers))
            await self._broker.stop()
        self._end(set(self._tasks) - {"relay", "outbox-signal"})
        while self.relay is not None and self.relay.owned:
            self.relay.wake()
            if not await self.worker.fetchval(
                "select exists (select from outbox where not parked)"
            ):
                return
            await asyncio.sleep(0.02)

    def _ended(self) -> list[str]:
        """Loops that are over and may not be: a worker may have done all there was."""
        workers = {work.__name__ for work in self.service.workers}
        done = [name for name, task in self._tasks.items() if task.done() and name not in workers]
        return [f"{name} ended" for name in done]

    async def problems(self) -> list[str]:
        """Why this process should get no work now; empty when it should."""
        if self.draining:
            return ["draining"]
        if not self.ready:
            return ["starting"]
        found = self._ended()
        try:
            await asyncio.wait_for(self.worker.fetchval("select 1"), 2)
        except Exception as error:
            found.append(f"database: {type(error).__name__}")
        for consumer in self.consumers:
            if consumer.seconds_since_poll > POLL_AGE_MAX_S:
                found.append("consumer has not polled")
            if not consumer.joined:
                found.append("consumer has not joined its group")
            if _too_long(consumer.processor.failing_since):
                found.append("consumer cannot commit")
        if self.relay is not None and _too_long(self.relay.failing_since):
            found.append("relay cannot publish")
        return found
