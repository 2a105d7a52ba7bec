"""One unit of work: a batch, one Postgres transaction, its facts and timers committed with it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from uuid_utils.compat import uuid7

from invoiceos_contracts import Event
from messaging import outbox, timers
from messaging.outbox import Staged
from messaging.records import Received
from messaging.timers import Timer

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
_PROPAGATOR = TraceContextTextMapPropagator()


@dataclass(slots=True)
class Committed:
    """What a transaction left behind for others to notice."""

    shards: set[int]
    next_due: datetime | None = None
    woken: bool = False


class Tx:
    """An open transaction. Commands read and write through it and stage the facts they state.

    Facts and timers are buffered and written in one statement each just before the commit, so
    that the locks on the histories are held as briefly as can be.
    """

    def __init__(self, connection: Connection, now: datetime) -> None:
        """Wrap an open transaction; `now` is the transaction's time, UTC."""
        self.connection = connection
        self.now = now
        self.committed = Committed(set())
        self._staged: list[Staged] = []
        self._forwarded: list[tuple[str, Received[Event]]] = []
        self._timers: list[Timer] = []

    @staticmethod
    def new_id() -> UUID:
        """An id that sorts by time (UUIDv7)."""
        return uuid7()

    async def fetch(self, sql: str, *arguments: object) -> list[Any]:
        """All rows of a statement."""
        return await self.connection.fetch(sql, *arguments)

    async def fetchrow(self, sql: str, *arguments: object) -> Any:
        """The first row of a statement, or None."""
        return await self.connection.fetchrow(sql, *arguments)

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        """The first value of the first row, or None."""
        return await self.connection.fetchval(sql, *arguments)

    async def execute(self, sql: str, *arguments: object) -> str:
        """Run a statement; the answer is PostgreSQL's command tag."""
        return await self.connection.execute(sql, *arguments)

    def stage(self, facts: Iterable[Event | tuple[Event, UUID | None]]) -> None:
        """State facts, in this order; each alone or with the id of the event that caused it.

        They become visible to the world if, and only if, this transaction commits.
        """
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        trace = (carrier.get("traceparent"), carrier.get("tracestate"))
        for item in facts:
            fact, cause = item if isinstance(item, tuple) else (item, None)
            self._staged.append(Staged(self.new_id(), fact, cause, *trace))

    def forward(self, copies: Iterable[tuple[str, Received[Event]]]) -> None:
        """Send facts on as they came, each to this other topic: same id, key, headers and body."""
        self._forwarded.extend(copies)

    def schedule(self, due: Iterable[Timer]) -> None:
        """Set timers; one with the same kind and ref is moved to the new time."""
        self._timers.extend(due)

    def wake(self) -> None:
        """Have the loops of this process look again at once when this has committed."""
        self.committed.woken = True

    async def cancel(self, kind: str, refs: Sequence[str]) -> None:
        """Take back timers that have not fired."""
        pending = set(refs)
        self._timers = [t for t in self._timers if t.kind != kind or t.ref not in pending]
        await timers.delete(self.connection, kind, refs)

    async def flush(self) -> None:
        """Write what is buffered; called by the backbone, never by a command."""
        if self._staged:
            staged, self._staged = self._staged, []
            self.committed.shards |= await outbox.insert(self.connection, staged, self.now)
        if self._forwarded:
            copies, self._forwarded = self._forwarded, []
            rows = [outbox.copy_of(self.new_id(), topic, item) for topic, item in copies]
            columns = list(zip(*rows, strict=True))
            self.committed.shards |= await outbox.insert_raw(self.connection, columns)
        if self._timers:
            due, self._timers = self._timers, []
            await timers.upsert(self.connection, due)
            first = min(timer.due_at for timer in due)
            last = self.committed.next_due
            self.committed.next_due = min(first, last) if last else first

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo a part of the work when it fails, facts and timers included."""
        staged, due, copies = len(self._staged), len(self._timers), len(self._forwarded)
        try:
            async with self.connection.transaction():
                yield
        except BaseException:
            del self._staged[staged:], self._timers[due:], self._forwarded[copies:]
            raise
