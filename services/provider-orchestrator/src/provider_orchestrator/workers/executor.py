"""Carries out what is stored: claim in a transaction, call outside of any, record in another.

Generic over what is claimed and what a call comes to. A claim holds a lease with an end: where this
process dies, another finds what was claimed and asks what became of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import structlog

from chassis.runtime import Runtime
from messaging import Database, Tx
from messaging.faults import is_transient, pause

C = TypeVar("C")
R = TypeVar("R")
log = structlog.get_logger()
IDLE_S = 1.0
"""Longest sleep between two looks; what another process stored may wait this long."""


def wake_by(runtime: Runtime, *wakes: Callable[[], None]) -> None:
    """Have these called whenever this process has committed something to be done."""

    def look_again(woken: bool) -> None:
        for wake in wakes if woken else ():
            wake()

    for database in (runtime.api, runtime.worker):
        database.on_commit.append(lambda done: look_again(done.woken))


async def rest(news: asyncio.Event) -> None:
    """Until there is news, and no longer than `IDLE_S`."""
    with suppress(TimeoutError):
        await asyncio.wait_for(news.wait(), IDLE_S)


async def persistently(step: Callable[[], Awaitable[R]]) -> R:
    """What the step comes to, however often a passing fault (a deadlock, say) undoes it.

    Whoever let the fault out would end its loop, and with it calls of providers that are under way.
    """
    failures = 0
    while True:
        try:
            return await step()
        except Exception as error:
            if not is_transient(error):
                raise
            failures += 1
            log.info("step.again", error=repr(error)[:200])
            await pause(failures)


@dataclass(frozen=True, slots=True)
class Work(Generic[C, R]):
    """What is done, as three steps that know nothing of each other."""

    name: str
    claim: Callable[[Tx, int], Awaitable[Sequence[C]]]
    """Take at most so many, each for a time; what nobody records comes again."""
    call: Callable[[C], Awaitable[R]]
    """Outside of any transaction. Raises for nothing that a provider does."""
    record: Callable[[Tx, Sequence[tuple[C, R]]], Awaitable[None]]
    """Write down what the calls came to; the same answer twice changes nothing."""


class Executor(Generic[C, R]):
    """Works at one kind of work; several replicas may do so at once."""

    def __init__(self, database: Database, work: Work[C, R], *, at_once: int = 50) -> None:
        """Nothing is claimed yet. At most `at_once` calls are under way."""
        self._database = database
        self._work = work
        self._at_once = at_once
        self._wake = asyncio.Event()
        self._done: list[tuple[C, R]] = []
        self._finished = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def step(self) -> int:
        """Claim once, call each, record all; how many."""
        claimed = await self._claim(self._at_once)
        results = await asyncio.gather(*(self._work.call(one) for one in claimed))
        if claimed:
            await self._record(list(zip(claimed, results, strict=True)))
        return len(claimed)

    async def run(self) -> None:
        """Work until cancelled: a slow call holds up no other."""
        recording = asyncio.create_task(self._recording())
        try:
            while not recording.done():
                self._wake.clear()
                room = self._at_once - len(self._calls)
                claimed: Sequence[C] = ()
                if room > 0:
                    claimed = await persistently(partial(self._claim, room))
                for one in claimed:
                    call = asyncio.create_task(self._carry_out(one))
                    self._calls.add(call)
                    call.add_done_callback(self._calls.discard)
                if not claimed:
                    await rest(self._wake)
            await recording
        finally:
            for task in (recording, *self._calls):
                task.cancel()

    async def _claim(self, room: int) -> Sequence[C]:
        async with self._database.transaction() as tx:
            return await self._work.claim(tx, room)

    async def _carry_out(self, one: C) -> None:
        try:
            self._done.append((one, await self._work.call(one)))
        except Exception:
            # Its lease runs out, and what became of it is asked then.
            log.exception("call.broken", work=self._work.name)
        self._finished.set()

    async def _recording(self) -> None:
        while True:
            await self._finished.wait()
            self._finished.clear()
            done, self._done = self._done, []
            if done:
                await self._record(done)
                self.wake()

    async def _record(self, done: Sequence[tuple[C, R]]) -> None:
        """Write it down; what cannot be written stands alone in the end and is asked for again."""
        try:
            await persistently(partial(self._write, done))
        except Exception:
            if len(done) == 1:
                log.exception("record.failed", work=self._work.name)
                return
            for one in done:
                await self._record([one])

    async def _write(self, done: Sequence[tuple[C, R]]) -> None:
        async with self._database.transaction() as tx:
            await self._work.record(tx, done)
