"""The gate before PostgreSQL: one statement at a time, chosen by the seed, on the real server.

The services' own SQL runs unchanged. A statement that has to wait for a lock is noticed (the server
says who blocks whom) and stays in the air while others go on; a crash or a cut connection ends the
session on the server before anything else happens.
"""

import asyncio
import contextvars
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import asyncpg
import psycopg
from asyncpg.pool import Pool
from tests.simulator.database import Clock
from tests.simulator.history import History
from tests.simulator.loop import SimLoop
from tests.simulator.node import NODE, Node

from messaging.connection import Connection
from messaging.relay import LEASE_S

FAULTS = (
    "database.crash_before",
    "database.crash_after",
    "database.crash_at_commit",
    "database.cut_before",
    "database.cut_after",
    "database.cut_at_commit",
    "database.serialization_failure",
    "database.slow",
    "database.blocked",
    "database.away",
    "database.lease_lost",
)
"""What a run can meet here and says that it met."""
LOCK_TIMEOUT_S = 10.0
IDLE_IN_TRANSACTION_S = 30.0
"""As `Database.open` asks of the server, which counts real seconds; here they are virtual."""
COMMIT_S = 0.0002
_PATIENCE_S = 0.004
_PATIENCE_MAX_S = 0.064
"""An answer that is only late looks like one that waits for a lock: asking again costs more."""
_TIMELESS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "select seq,", "connect")
"""Statements that never ask the server for the time."""
_INSIDE: contextvars.ContextVar[bool] = contextvars.ContextVar("inside", default=False)


@dataclass
class DatabaseFaults:
    """Probabilities, each for one statement."""

    crash: float = 0
    """The process dies: before the statement, or after it with the answer unread."""
    cut: float = 0
    """The connection breaks, before or after."""
    serialization: float = 0
    slow: float = 0
    """The statement starts up to two seconds late."""


@dataclass(eq=False)
class Turn:
    """A statement that waits, runs, or is blocked."""

    node: Node | None
    what: str
    pid: int | None
    order: int
    go: asyncio.Future[None] = field(default_factory=asyncio.Future)
    let_out: asyncio.Future[None] | None = None
    done: bool = False
    timeout: asyncio.TimerHandle | None = None


class Gate:
    """Decides whose statement is next."""

    def __init__(
        self,
        loop: SimLoop,
        chooser: random.Random,
        admin_url: str,
        history: History,
        reached: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._chooser = chooser
        self._history = history
        self._reached = reached
        self._monitor = psycopg.connect(admin_url, autocommit=True)
        self._clock = Clock(self._monitor)
        self.faults = DatabaseFaults()
        self.on_crash: Callable[[Node], None] = lambda node: None
        self.waiting: list[Turn] = []
        self.running: list[Turn] = []
        self.blocked: list[Turn] = []
        self.connections: dict[int, SimConnection] = {}
        self.statements = 0
        self._clock_at = -1.0
        self._patience = _PATIENCE_S
        self._away_until = 0.0
        loop.waits = self

    def close(self) -> None:
        self.end(*self.connections.values())
        self._clock.close()
        self._monitor.close()

    # -- what the loop asks ------------------------------------------------------------------

    def next(self) -> float | None:
        if self.running:
            return self._patience
        if not self.waiting:
            return None
        ready = [turn for turn in self.waiting if turn.node is None or not turn.node.paused]
        if not ready:
            return None
        turn = self._chooser.choice(ready)
        self.waiting.remove(turn)
        self.running.append(turn)
        if turn.what.startswith("COMMIT"):
            # Two transactions, one after the other, are never of the same moment.
            self._loop.jump(self._loop.time() + COMMIT_S)
        if not turn.what.startswith(_TIMELESS):
            self._set_clock()
        turn.go.set_result(None)
        self._patience = _PATIENCE_S
        return self._patience

    def silent(self) -> None:
        """No answer for a while: whoever is blocked is put aside, so that others can go on."""
        self._patience = min(self._patience * 2, _PATIENCE_MAX_S)
        found = self._blockers(self.running)
        for turn in [turn for turn in self.running if not turn.done and found.get(turn.pid)]:
            self.running.remove(turn)
            self.blocked.append(turn)
            self._reached("database.blocked")
            self._history.note(self._loop.time(), turn.node, f"blocked {turn.what}")
            turn.timeout = self._loop.call_later(LOCK_TIMEOUT_S, self._cancel, turn)
        self._break_rings()
        self._let_out()

    def _blockers(self, turns: list[Turn]) -> dict[int | None, list[int]]:
        pids = [turn.pid for turn in turns if turn.pid is not None]
        if not pids:
            return {}
        rows = self._monitor.execute(
            "select pid, pg_blocking_pids(pid) from unnest(%s::int[]) as t(pid)", [pids]
        )
        return {pid: blockers for pid, blockers in rows.fetchall() if blockers}

    def _break_rings(self) -> None:
        """A deadlock: the server would look after a second of real time; here one is chosen."""
        edges = self._blockers(self.blocked) if len(self.blocked) > 1 else {}
        for turn in sorted(self.blocked, key=lambda one: one.order):
            seen: list[int] = []
            todo = [turn.pid]
            while todo:
                for pid in edges.get(todo.pop(), []):
                    if pid == turn.pid:
                        self._reached("database.deadlock")
                        self._cancel(turn)
                        return
                    if pid not in seen:
                        seen.append(pid)
                        todo.append(pid)

    def _cancel(self, turn: Turn) -> None:
        if turn in self.blocked:
            self._monitor.execute("select pg_cancel_backend(%s)", [turn.pid])
            self.blocked.remove(turn)
            self.running.append(turn)

    # -- what connections ask ----------------------------------------------------------------

    async def passing(
        self, connection: "SimConnection | None", what: str, run: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Run one statement when it is its turn, or meet a fault instead."""
        if _INSIDE.get():
            return await run()
        node = NODE.get()
        if node is not None and not node.alive:
            await self._loop.create_future()  # the step in which it died goes no further
        if self._chance(self.faults.slow, node):
            self._reached("database.slow")
            await asyncio.sleep(self._chooser.uniform(0, 2))
        pid = None if connection is None else connection.pid
        turn = Turn(node, what, pid, self.statements)
        self.statements += 1
        self.waiting.append(turn)
        try:
            await turn.go
        except asyncio.CancelledError:
            if turn in self.waiting:
                self.waiting.remove(turn)
            if turn in self.running:
                self._finish(turn)
            raise
        return await self._running(turn, connection, run)

    async def _running(
        self, turn: Turn, connection: "SimConnection | None", run: Callable[[], Awaitable[Any]]
    ) -> Any:
        before, after = self._fate(turn, connection)
        self._history.note(self._loop.time(), turn.node, turn.what)
        token = _INSIDE.set(True)
        try:
            if before is not None:
                before()
            result = await run()
            if len(self.running) > 1:
                # Several answers are under way at once: they are handed out in a fixed order.
                turn.done, turn.let_out = True, self._loop.create_future()
                self._let_out()
                await turn.let_out
        finally:
            _INSIDE.reset(token)
            self._finish(turn)
        if after is not None:
            after()
        return result

    def _finish(self, turn: Turn) -> None:
        for place in (self.running, self.blocked, self.waiting):
            if turn in place:
                place.remove(turn)
        if turn.timeout is not None:
            turn.timeout.cancel()
        self._recheck()
        self._let_out()

    def _recheck(self) -> None:
        """Somebody finished: whoever is no longer blocked has an answer under way."""
        if not self.blocked:
            return
        still = self._blockers(self.blocked)
        for turn in [turn for turn in self.blocked if turn.pid not in still]:
            self.blocked.remove(turn)
            self.running.append(turn)

    def _let_out(self) -> None:
        if self.running and all(turn.done for turn in self.running):
            for turn in sorted(self.running, key=lambda one: one.order):
                if turn.let_out is not None and not turn.let_out.done():
                    turn.let_out.set_result(None)

    # -- faults ------------------------------------------------------------------------------

    def _chance(self, probability: float, node: Node | None) -> bool:
        return node is not None and probability > 0 and self._chooser.random() < probability

    def _fate(
        self, turn: Turn, connection: "SimConnection | None"
    ) -> tuple[Callable[[], None] | None, Callable[[], None] | None]:
        """What happens before and after a statement, beside it."""
        node = turn.node
        if connection is None:
            if self._loop.time() < self._away_until:
                return self._refuse, None
            return None, None
        commits = turn.what.startswith("COMMIT")
        if node is not None and self._chance(self.faults.crash, node):
            when = self._chooser.choice(("before", "after"))
            self._reached("database.crash_at_commit" if commits else f"database.crash_{when}")
            crash = lambda: self._crash(node)  # noqa: E731 - one of two places
            return (crash, None) if when == "before" else (None, crash)
        if self._chance(self.faults.cut, node):
            when = self._chooser.choice(("before", "after"))
            self._reached("database.cut_at_commit" if commits else f"database.cut_{when}")
            cut = lambda: self._cut(connection)  # noqa: E731
            return (cut, None) if when == "before" else (None, cut)
        if not commits and self._chance(self.faults.serialization, node):
            self._reached("database.serialization_failure")
            return self._fail_to_serialize, None
        return None, None

    def _refuse(self) -> None:
        raise ConnectionRefusedError("the database is away")

    @staticmethod
    def _fail_to_serialize() -> None:
        raise asyncpg.SerializationError("could not serialize access")

    def _crash(self, node: Node) -> None:
        self.on_crash(node)
        raise asyncpg.ConnectionDoesNotExistError("this process is dead")

    def _cut(self, connection: "SimConnection") -> None:
        self.end(connection)
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle")

    def restart(self, away_s: float) -> None:
        """Cut everybody's connection, and refuse new ones for a while."""
        self._reached("database.away")
        self._away_until = self._loop.time() + away_s
        self.end(*self.connections.values())

    def crashed(self, node: Node) -> None:
        """End the sessions of a node that is dead and forget what it was waiting for."""
        self.end(*[c for c in self.connections.values() if c.node is node])
        for place in (self.waiting, self.running, self.blocked):
            for turn in [turn for turn in place if turn.node is node]:
                place.remove(turn)
                if turn.timeout is not None:
                    turn.timeout.cancel()
        self._recheck()
        self._let_out()

    def end(self, *connections: "SimConnection") -> None:
        """End sessions on the server, wait until they are gone, then let the clients notice."""
        ours = [one for one in connections if self.connections.pop(one.pid, None) is not None]
        if not ours:
            return
        self._terminate(*[one.pid for one in ours])
        for one in ours:
            one.hang_up()
        self._recheck()

    def _terminate(self, *pids: int) -> None:
        """Locks are free, and what was not committed is undone, once a process is gone."""
        self._monitor.execute(
            "select pg_terminate_backend(pid) from unnest(%s::int[]) as t(pid)", [list(pids)]
        )
        for pid in pids:
            wait_until_gone(pid)

    def forget(self, connection: "SimConnection") -> None:
        """The client itself hung up."""
        if self.connections.pop(connection.pid, None) is not None:
            self._terminate(connection.pid)
            self._recheck()

    def end_the_idle(self) -> None:
        """What the server's own time limits would end: they count real time, we count ours."""
        now = self._loop.time()
        for connection in list(self.connections.values()):
            idle = now - connection.last
            if connection.in_transaction and idle > IDLE_IN_TRANSACTION_S:
                self._reached("database.idle_in_transaction")
                self.end(connection)
            elif connection.leased and idle > LEASE_S:
                self._reached("database.lease_lost")
                self.end(connection)

    def _set_clock(self) -> None:
        now = self._loop.time()
        if now != self._clock_at:
            self._clock_at = now
            self._clock.set(int(now * 1e6) + 1)

    def notified(self, channel: str) -> None:
        """What NOTIFY does, at a moment of ours and not of the socket's."""
        for connection in list(self.connections.values()):
            for callback in list(connection._listeners.get(channel, ())):
                self._loop.call_later(
                    0.001,
                    callback.cb,
                    connection,
                    connection.pid,
                    channel,
                    "",
                    context=connection.context,
                )


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process of the server, which is on this machine."""
    for tries in range(5000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        except PermissionError:
            pass  # the server may be another user's
        time.sleep(0.0002 if tries < 50 else 0.002)
    raise RuntimeError(f"the session {pid} does not end")


_gate: Gate | None = None


def _short(sql: str) -> str:
    """The beginning of a statement; asyncpg's names of savepoints count up for ever."""
    return " ".join(sql.split())[:60].partition("__asyncpg")[0]


class SimConnection(Connection):
    """A real connection whose statements wait at the gate."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        assert _gate is not None
        self.gate = _gate
        self.node = NODE.get()
        self.context = contextvars.copy_context()
        # Made while its own opening passes the gate; what begins in it later has to wait there.
        self.context.run(_INSIDE.set, False)
        self.pid = self._protocol.backend_pid if self._protocol is not None else 0
        self.pid = self.get_server_pid()
        self.last = self.gate._loop.time()
        self.in_transaction = False
        settings = self.get_settings()
        self.leased = getattr(settings, "application_name", "").endswith(".relay")
        self.gate.connections[self.pid] = self

    async def _pass(self, sql: str, run: Callable[[], Awaitable[Any]]) -> Any:
        if self.gate.connections.get(self.pid) is not self and not self.is_closed():
            self.hang_up()
        self.last = self.gate._loop.time()
        try:
            result = await self.gate.passing(self, _short(sql), run)
        finally:
            self.last = self.gate._loop.time()
        word = sql.lstrip()[:8].upper()
        if word.startswith(("BEGIN", "START")):
            self.in_transaction = True
        elif word.startswith("COMMIT") or sql.strip().upper() in ("ROLLBACK", "ROLLBACK;"):
            self.in_transaction = False
        return result

    async def execute(self, query: str, *arguments: Any, timeout: float | None = None) -> str:
        if arguments and "pg_notify" in query:
            self.gate.notified(str(arguments[0]))
            return "SELECT 1"
        return await self._pass(
            query, lambda: Connection.execute(self, query, *arguments, timeout=timeout)
        )

    async def _execute(self, query: str, *arguments: Any, **named: Any) -> Any:
        return await self._pass(
            query, lambda: Connection._execute(self, query, *arguments, **named)
        )

    async def _executemany(self, query: str, *arguments: Any, **named: Any) -> Any:
        return await self._pass(
            query, lambda: Connection._executemany(self, query, *arguments, **named)
        )

    def hang_up(self) -> None:
        """Let the client notice that the connection is gone, in its own time."""
        transport = self._transport
        if transport is None or getattr(transport, "_loop", None) is None:
            return
        if self.node is not None and not self.node.alive:
            transport.abort()
            transport._call_connection_lost(None)
            return
        self.context.copy().run(transport.abort)

    def terminate(self) -> None:
        super().terminate()
        self.gate.forget(self)

    async def close(self, *, timeout: float | None = None) -> None:
        await self.gate.passing(self, "close", lambda: Connection.close(self, timeout=timeout))
        self.gate.forget(self)


def _ours(settings: Any) -> dict[str, str]:
    """Names of the clock come before the server's own; nothing of a service is called like them."""
    given = dict(settings or {})
    given["search_path"] = f"{given['search_path']},simclock,pg_catalog"
    given.pop("idle_session_timeout", None)
    given.pop("idle_in_transaction_session_timeout", None)
    return given


@contextmanager
def installed(gate: Gate) -> Iterator[None]:
    """Every connection that asyncpg opens in here goes through the gate."""
    global _gate
    connect, create_pool = asyncpg.connect, asyncpg.create_pool
    new_connection = Pool._get_new_connection

    def pooled(*arguments: Any, **named: Any) -> Any:
        named["server_settings"] = _ours(named.get("server_settings"))
        named["connection_class"] = SimConnection
        return create_pool(*arguments, **named)

    async def connected(*arguments: Any, **named: Any) -> Any:
        named["server_settings"] = _ours(named.get("server_settings"))
        named["connection_class"] = SimConnection
        return await gate.passing(None, "connect", lambda: connect(*arguments, **named))

    async def new(pool: Any) -> Any:
        return await gate.passing(None, "connect", lambda: new_connection(pool))

    _gate = gate
    with (
        mock.patch.object(asyncpg, "connect", connected),
        mock.patch.object(asyncpg, "create_pool", pooled),
        mock.patch.object(Pool, "_get_new_connection", new),
    ):
        try:
            yield
        finally:
            _gate = None
