"""Timers are rows: downtime delays them, never loses them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from messaging.failpoints import failpoint
from messaging.faults import is_transient, pause
from messaging.metrics import BATCH_SECONDS, BATCH_SIZE, TIMERS_LATE

if TYPE_CHECKING:
    from messaging.database import Database
    from messaging.transaction import Tx

log = structlog.get_logger()
BATCH = 500
IDLE_S = 1.0
"""Longest sleep between two looks; a timer set elsewhere may be this late."""


@dataclass(frozen=True, slots=True)
class Timer:
    """Something to do at a time: unique by kind and ref."""

    kind: str
    ref: str
    tenant_id: UUID
    due_at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    """How often its handler has failed."""


TimerHandler = Callable[["Tx", Sequence[Timer]], Awaitable[None]]


async def upsert(connection: Any, due: Sequence[Timer]) -> None:
    """Set timers; the last one wins where two have the same kind and ref."""
    unique = {(timer.kind, timer.ref): timer for timer in due}
    ordered = [unique[name] for name in sorted(unique)]
    await connection.execute(
        """
        insert into timer (kind, ref, tenant_id, due_at, payload)
        select kind, ref, tenant_id, due_at, payload::jsonb
        from unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::text[])
            as t(kind, ref, tenant_id, due_at, payload)
        on conflict (kind, ref) do update
            set due_at = excluded.due_at, payload = excluded.payload, attempts = 0, error = null
        """,
        [timer.kind for timer in ordered],
        [timer.ref for timer in ordered],
        [timer.tenant_id for timer in ordered],
        [timer.due_at for timer in ordered],
        [json.dumps(timer.payload) for timer in ordered],
    )


async def delete(connection: Any, kind: str, refs: Sequence[str]) -> None:
    """Take back timers of one kind."""
    await connection.execute(
        "delete from timer where kind = $1 and ref = any($2)", kind, list(refs)
    )


class TimerLoop:
    """Fires due timers in batches; several replicas share the work."""

    def __init__(self, database: "Database", handlers: Mapping[str, TimerHandler]) -> None:
        """Take the handlers by kind; kinds without one are left alone."""
        self._database = database
        self._handlers = dict(handlers)
        self._wake = asyncio.Event()

    def nudge(self, due: datetime | None) -> None:
        """A timer was set that may be due before the next look."""
        if due is not None and due < datetime.now(UTC) + timedelta(seconds=IDLE_S):
            self._wake.set()

    async def run(self) -> None:
        """Fire timers until cancelled."""
        failures = 0
        while True:
            try:
                fired = await self.fire_due()
                failures = 0
                if fired < BATCH:
                    await self._sleep()
            except Exception as error:
                failures += 1
                log.warning("timers.failed", error=repr(error), transient=is_transient(error))
                await pause(failures)

    async def _sleep(self) -> None:
        due = await self._database.fetchval(
            "select min(due_at) - clock_timestamp() from timer where kind = any($1)",
            list(self._handlers),
        )
        seconds = IDLE_S if due is None else min(IDLE_S, max(0.0, due.total_seconds()))
        TIMERS_LATE.set(0 if due is None else max(0.0, -due.total_seconds()))
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            pass
        self._wake.clear()

    async def fire_due(self) -> int:
        """Fire one batch of what is due now; how many fired."""
        async with self._database.transaction() as tx:
            claimed = await _claim(tx, list(self._handlers))
            for kind in sorted({timer.kind for timer in claimed}):
                batch = [timer for timer in claimed if timer.kind == kind]
                BATCH_SIZE.labels(f"timer.{kind}").observe(len(batch))
                with BATCH_SECONDS.labels(f"timer.{kind}").time():
                    await self._fire(tx, kind, batch)
            failpoint("timer.fired")
        return len(claimed)

    async def _fire(self, tx: "Tx", kind: str, batch: list[Timer]) -> None:
        """Run the handler; halve a failing batch until the culprit stands alone, and put it off."""
        try:
            async with tx.savepoint():
                await self._handlers[kind](tx, batch)
                await tx.flush()
        except Exception as error:
            if is_transient(error):
                raise
            if len(batch) == 1:
                await _put_off(tx, batch[0], repr(error)[:2000])
                log.exception("timer.failed", kind=kind, ref=batch[0].ref)
                return
            half = len(batch) // 2
            await self._fire(tx, kind, batch[:half])
            await self._fire(tx, kind, batch[half:])


async def _claim(tx: "Tx", kinds: list[str]) -> list[Timer]:
    rows = await tx.fetch(
        """
        with due as materialized (
            select kind, ref from timer where due_at <= clock_timestamp() and kind = any($1)
            order by due_at limit $2 for update skip locked
        )
        delete from timer using due where timer.kind = due.kind and timer.ref = due.ref
        returning timer.kind, timer.ref, tenant_id, due_at, payload, attempts
        """,
        kinds,
        BATCH,
    )
    found = [Timer(**row) for row in rows]
    return sorted(found, key=lambda timer: (timer.due_at, timer.kind, timer.ref))


async def _put_off(tx: "Tx", timer: Timer, error: str) -> None:
    delay = timedelta(seconds=min(3600, 2 ** min(timer.attempts, 11)))
    await tx.execute(
        """
        insert into timer (kind, ref, tenant_id, due_at, payload, attempts, error)
        values ($1, $2, $3, clock_timestamp() + $4, $5, $6, $7) on conflict (kind, ref) do nothing
        """,
        timer.kind,
        timer.ref,
        timer.tenant_id,
        delay,
        timer.payload,
        timer.attempts + 1,
        error.replace("\x00", ""),
    )
