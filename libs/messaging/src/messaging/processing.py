"""From one poll to one committed transaction, whatever the poll holds."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from invoiceos_contracts import Event
from messaging import dead_letters, inbox
from messaging.consuming import Handler, RecordSubscriptions, Subscriptions
from messaging.database import Database
from messaging.dead_letters import DeadLetter
from messaging.failpoints import failpoint
from messaging.faults import is_transient, pause
from messaging.metrics import BATCH_SECONDS, BATCH_SIZE, DEDUPLICATED, NACK_STREAK, NACKS
from messaging.records import Arrived, Received, Unreadable, key_of
from messaging.transaction import Tx

log = structlog.get_logger()
_TRACER = trace.get_tracer("invoiceos.messaging")
_PROPAGATOR = TraceContextTextMapPropagator()
Item = Received[Event] | Arrived
WHOLE_TRIES = 2
"""Tries of a batch as a whole before it is halved to find the culprit."""
TRIES_MAX = 8
"""Transient failures in a row before the batch is given back to the broker."""
LINKS_MAX = 128


CULPRITS_SHARE_MAX = 0.5
SYSTEMIC_FROM = 20
"""In a batch of at least so many, a larger share of culprits means that we are at fault."""


class Systemic(Exception):
    """Nearly every event of a batch fails: putting them all aside would only move the damage."""


class GaveUp(Exception):
    """The batch could not be committed now; nothing of it happened."""


@dataclass(slots=True)
class _Attempt:
    """What one try at a batch has found so far."""

    blocked: set[tuple[str, bytes]] = field(default_factory=set)
    letters: list[DeadLetter] = field(default_factory=list)

    def put_aside(self, record: Any, state: str, reason: str, error: str, tries: int) -> None:
        self.letters.append(DeadLetter(record, state, reason, error, tries))
        self.blocked.add((record.topic, key_of(record)))

    def refused(self, records: Sequence[Unreadable] | None, tries: int) -> None:
        """What a handler can neither handle nor answer."""
        for item in records or ():
            self.put_aside(item.record, "dead", item.reason, item.error, tries)

    def is_blocked(self, record: Any) -> bool:
        return (record.topic, key_of(record)) in self.blocked


class Processor:
    """Handles batches of records for one consumer group."""

    def __init__(
        self, database: Database, subscriptions: Subscriptions | RecordSubscriptions
    ) -> None:
        """Use the worker's database; the group's name is the consumer's name in the inbox."""
        self._database = database
        self._subscriptions = subscriptions
        self.group = subscriptions.group
        self.abort = asyncio.Event()
        """Set when the partitions are about to go: retries end, the batch is given back."""
        self.failing_since: float | None = None
        """Monotonic time since which no batch could be committed; None while all is well."""

    async def process(self, records: Sequence[Any]) -> None:
        """Handle records and commit; raises `GaveUp` when that is not possible now."""
        parsed = [
            item for record in records if (item := self._subscriptions.read(record)) is not None
        ]
        if not parsed:
            return
        BATCH_SIZE.labels(self.group).observe(len(parsed))
        with BATCH_SECONDS.labels(self.group).time(), self._span(parsed):
            await self._until_committed(parsed)

    async def _until_committed(self, parsed: Sequence[Item | Unreadable]) -> None:
        transient, lasting = 0, 0
        while True:
            try:
                await self._attempt(parsed, whole=lasting < WHOLE_TRIES, tries=lasting + 1)
            except Exception as error:
                NACKS.labels(self.group).inc()
                NACK_STREAK.labels(self.group).inc()
                self.failing_since = self.failing_since or time.monotonic()
                if is_transient(error):
                    transient += 1
                else:
                    lasting += 1
                log.warning(
                    "batch.failed", consumer=self.group, size=len(parsed), error=repr(error)[:500]
                )
                if transient > TRIES_MAX or lasting > TRIES_MAX or self.abort.is_set():
                    raise GaveUp from error
                await pause(transient + lasting)
            else:
                NACK_STREAK.labels(self.group).set(0)
                self.failing_since = None
                return

    async def _attempt(
        self, parsed: Sequence[Item | Unreadable], *, whole: bool, tries: int
    ) -> None:
        async with self._database.transaction() as tx:
            attempt = _Attempt()
            records = [item.record for item in parsed]
            attempt.blocked = await dead_letters.blocked_keys(tx, self.group, records)
            events = [item for item in parsed if not isinstance(item, Unreadable)]
            new = await inbox.mark(tx, self.group, [event.id for event in events])
            DEDUPLICATED.labels(self.group).inc(len(events) - len(new))
            fresh = self._sort_out(parsed, new, attempt, tries)
            failpoint("consumer.marked")
            if whole:
                for handler, batch in self._subscriptions.waves(fresh):
                    attempt.refused(await handler(tx, batch), tries)
            else:
                for handler, batch in self._subscriptions.waves(fresh):
                    await self._bisect(tx, handler, batch, attempt, tries)
                self._refuse_a_massacre(attempt, len(fresh))
            failpoint("consumer.handled")
            await dead_letters.put_aside(tx, self.group, attempt.letters)
        failpoint("consumer.committed")

    @staticmethod
    def _refuse_a_massacre(attempt: _Attempt, size: int) -> None:
        dead = sum(letter.reason == "handler" for letter in attempt.letters)
        if size >= SYSTEMIC_FROM and dead > size * CULPRITS_SHARE_MAX:
            message = f"{dead} of {size} events fail: the handler is broken, not the events"
            raise Systemic(message)

    @staticmethod
    def _sort_out(
        parsed: Sequence[Item | Unreadable],
        new: set[UUID],
        attempt: _Attempt,
        tries: int,
    ) -> list[Any]:
        """The events to handle now; what is unreadable or behind it goes to the dead letters."""
        fresh, pending = [], set(new)
        for item in parsed:
            if isinstance(item, Unreadable):
                attempt.put_aside(item.record, "dead", item.reason, item.error, tries)
            elif item.id not in pending:
                continue
            else:
                pending.discard(item.id)
                if attempt.is_blocked(item.record):
                    attempt.put_aside(item.record, "parked", "behind", "waits for its key", tries)
                else:
                    fresh.append(item)
        return fresh

    async def _bisect(
        self, tx: Tx, handler: Handler, batch: Sequence[Any], attempt: _Attempt, tries: int
    ) -> None:
        """Handle a batch in halves inside savepoints until a culprit stands alone."""
        ready = []
        for event in batch:
            if attempt.is_blocked(event.record):
                attempt.put_aside(event.record, "parked", "behind", "waits for its key", tries)
            else:
                ready.append(event)
        if not ready:
            return
        try:
            async with tx.savepoint():
                refused = await handler(tx, ready)
                await tx.flush()
        except Exception as error:
            if is_transient(error):
                raise
            if len(ready) == 1:
                log.exception("event.dead", consumer=self.group, event_id=str(ready[0].id))
                attempt.put_aside(ready[0].record, "dead", "handler", repr(error)[:2000], tries)
                return
            half = len(ready) // 2
            await self._bisect(tx, handler, ready[:half], attempt, tries)
            await self._bisect(tx, handler, ready[half:], attempt, tries)
        else:
            attempt.refused(refused, tries)

    def _span(self, parsed: Sequence[Item | Unreadable]) -> Any:
        links = []
        for item in parsed:
            if not isinstance(item, Unreadable) and item.traceparent:
                carrier = {"traceparent": item.traceparent}
                span = trace.get_current_span(_PROPAGATOR.extract(carrier))
                links.append(Link(span.get_span_context()))
        first = parsed[0].record
        return _TRACER.start_as_current_span(
            f"consume {self.group}",
            kind=SpanKind.CONSUMER,
            links=links[:LINKS_MAX],
            attributes={
                "messaging.system": "kafka",
                "messaging.batch.message_count": len(parsed),
                "messaging.consumer.group.name": self.group,
                "messaging.destination.name": first.topic,
            },
        )

    async def replay(self, limit: int = 100) -> int:
        """Handle dead letters an operator released, each on its own; how many were looked at."""
        async with self._database.transaction() as tx:
            letters = await dead_letters.take_for_replay(tx, self.group, limit)
            resolved: list[UUID] = []
            failed: list[tuple[UUID, str]] = []
            stuck: set[tuple[str, bytes]] = set()
            for letter_id, record in letters:
                place = (record.topic, key_of(record))
                error = "" if place in stuck else await self._replay_one(tx, record)
                if place in stuck or error:
                    stuck.add(place)
                    failed.append((letter_id, error))
                else:
                    resolved.append(letter_id)
            await dead_letters.settle(tx, resolved, failed)
        return len(letters)

    async def _replay_one(self, tx: Tx, record: Any) -> str:
        """Empty when the record is handled, else what is wrong with it."""
        item = self._subscriptions.read(record)
        if item is None:
            return ""
        if isinstance(item, Unreadable):
            return item.error
        try:
            async with tx.savepoint():
                await inbox.mark(tx, self.group, [item.id])
                handler: Handler = self._subscriptions.handler_of(item)  # type: ignore[arg-type]
                refused = await handler(tx, [item])
                await tx.flush()
        except Exception as error:
            if is_transient(error):
                raise
            return repr(error)[:2000]
        return refused[0].error if refused else ""
