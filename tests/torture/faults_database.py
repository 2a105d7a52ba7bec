"""PostgreSQL stops, refuses, runs out of room and of connections; what it acknowledged stands."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg
from tests.torture import small_disk
from tests.torture.arena import Arena, Fault
from tests.torture.database import LOST, eventually, schemas, session, until_database_answers
from tests.torture.wires import RESET, SILENT, TORN, Span, WireFault, slow


@dataclass(frozen=True)
class Always:
    """A fault that every machine can have."""

    def missing(self) -> str | None:
        return None


@dataclass(frozen=True)
class Stopped(Always):
    """A signal to the server; the supervisor starts it again."""

    name: str
    sentence: str
    number: signal.Signals
    rounds: int
    calm_seconds: Span = (2, 6)

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        for _ in range(self.rounds):
            arena.kill("postgres", self.number)
            await asyncio.sleep(0.2)
            await until_database_answers(arena)
            await asyncio.sleep(chooser.uniform(*self.calm_seconds))
        return self.rounds


@dataclass(frozen=True)
class Terminated(Always):
    """Sessions of the services end, one after the other."""

    name: str = "database.terminated"
    sentence: str = "Sessions of services are terminated at random, about ten a second"
    seconds: float = 12

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        ended = 0
        deadline = time.monotonic() + self.seconds
        async with session(arena) as connection:
            while time.monotonic() < deadline:
                sessions = await connection.fetch(
                    "select pid from pg_stat_activity where usename ~ '_(api|worker)$' order by pid"
                )
                if sessions:
                    victim = chooser.choice(sessions)["pid"]
                    ended += await connection.fetchval(
                        "select pg_terminate_backend($1)::int", victim
                    )
                await asyncio.sleep(chooser.uniform(0.02, 0.18))
        arena.hit("sessions terminated", ended)
        return ended


@dataclass(frozen=True)
class Forced(Always):
    """Statements fail with the errors of a busy database, by a trigger on the backbone's tables."""

    name: str = "database.rolled_back"
    sentence: str = "A share of the transactions ends as deadlocked or not serializable"
    tables: tuple[str, ...] = ("inbox", "outbox", "idempotency", "timer")
    share: Span = (0.1, 0.5)
    seconds: Span = (10, 15)

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        share, seconds = chooser.uniform(*self.share), chooser.uniform(*self.seconds)
        places = [f"{schema}.{table}" for schema in schemas(arena) for table in self.tables]
        try:
            await eventually(
                arena,
                _refusing_function(share),
                *(
                    f"create or replace trigger torture before insert on {place}"
                    " for each statement execute function torture.refuse()"
                    for place in places
                ),
            )
            await asyncio.sleep(seconds)
            (row,) = await arena.sql("select last_value from torture.refused where is_called")
            arena.hit("transactions rolled back", row["last_value"])
            return int(row["last_value"])
        finally:
            drops = (f"drop trigger if exists torture on {place}" for place in places)
            await eventually(arena, *drops, "drop schema if exists torture cascade")


def _refusing_function(share: float) -> str:
    return f"""
    create schema if not exists torture;
    grant usage on schema torture to public;
    create sequence if not exists torture.refused;
    create or replace function torture.refuse() returns trigger
    language plpgsql security definer as $$
    begin
        if random() < {share:.3f} then
            perform nextval('torture.refused');
            if random() < 0.5 then
                raise exception 'forced' using errcode = '40001';
            else
                raise exception 'forced' using errcode = '40P01';
            end if;
        end if;
        return null;
    end $$
    """


@dataclass(frozen=True)
class Deadlocked(Always):
    """Another session locks rows of histories in the opposite order of the product's."""

    name: str = "database.deadlocked"
    sentence: str = "Rows the services need are locked in the opposite order, until one is chosen"
    seconds: float = 20
    sessions: int = 6

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        before = await self._deadlocks(arena)
        deadline = time.monotonic() + self.seconds
        lanes = [self._lock(arena, deadline, chooser) for _ in range(self.sessions)]
        await asyncio.gather(*lanes)
        found = await self._deadlocks(arena) - before
        arena.hit("deadlocks", found)
        return found

    async def _lock(self, arena: Arena, deadline: float, chooser: random.Random) -> None:
        async with session(arena) as connection:
            while time.monotonic() < deadline:
                schema = chooser.choice(schemas(arena))
                newest = await connection.fetch(
                    f"select ctid from {schema}.stream_head order by topic desc, key desc limit 8"
                )
                try:
                    async with connection.transaction():
                        for row in newest:
                            await connection.execute(
                                f"select from {schema}.stream_head where ctid = $1 for update",
                                row["ctid"],
                            )
                            await asyncio.sleep(chooser.uniform(0.05, 0.2))
                except asyncpg.DeadlockDetectedError:
                    arena.hit("deadlocks we lost")

    async def _deadlocks(self, arena: Arena) -> int:
        await asyncio.sleep(1.1)  # sessions tell their counts once a second
        (row,) = await arena.sql(
            "select deadlocks from pg_stat_database where datname = current_database()"
        )
        return int(row["deadlocks"])


@dataclass(frozen=True)
class Locked(Always):
    """Tables of services are locked for longer than a statement may wait."""

    name: str = "database.locked"
    sentence: str = "Tables are locked for 1 to 12 s each, longer than a statement may wait"
    tables: tuple[str, ...] = ("inbox", "outbox", "idempotency", "timer", "stream_head")
    rounds: int = 4
    seconds: Span = (1, 12)

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        for _ in range(self.rounds):
            place = f"{chooser.choice(schemas(arena))}.{chooser.choice(self.tables)}"
            async with session(arena) as connection, connection.transaction():
                await connection.execute(f"lock table {place} in access exclusive mode")
                await asyncio.sleep(chooser.uniform(*self.seconds))
            arena.hit("tables locked")
        return self.rounds


@dataclass(frozen=True)
class Exhausted(Always):
    """Others hold every connection an ordinary role may have."""

    name: str = "database.connections_exhausted"
    sentence: str = "All connections are taken and those of the services terminated, for 8 to 15 s"
    seconds: Span = (8, 15)

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        ordinary = arena.stack.env_for(chooser.choice(arena.services))
        url = _around_the_proxy(arena, ordinary["INVOICEOS_DATABASE_API_URL"])
        deadline = time.monotonic() + chooser.uniform(*self.seconds)
        async with AsyncExitStack() as held, session(arena) as connection:
            mine: list[int] = []
            while time.monotonic() < deadline:
                mine += await _take_all(held, arena, url)
                await connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where usename ~ '_(api|worker)$' and pid <> all($1)",
                    mine,
                )
                await asyncio.sleep(0.2)
        arena.hit("connections taken", len(mine))
        return len(mine)


async def _take_all(held: AsyncExitStack, arena: Arena, url: str) -> list[int]:
    taken = []
    while True:
        try:
            connection = await held.enter_async_context(session(arena, url=url))
        except asyncpg.TooManyConnectionsError:
            return taken
        taken.append(connection.get_server_pid())


def _around_the_proxy(arena: Arena, url: str) -> str:
    login = url.partition("://")[2].rpartition("@")[0]
    return f"postgresql://{login}@{arena.postgres.rpartition('@')[2]}"


GROW = (
    "insert into torture.ballast"
    " select string_agg(md5(random()::text), '') from generate_series(1, 20000) as n"
    " group by n % 100"
)
WRITE_AHEAD = "insert into torture.ballast values (''); select pg_switch_wal()"
"""Little data, and a new segment of the write-ahead log each time."""


@dataclass(frozen=True)
class DiskFull:
    """The disk under the data has no room left, and later has."""

    name: str
    sentence: str
    fill: str
    seconds: Span = (8, 15)
    left_bytes: int = 2 * small_disk.MIB

    def missing(self) -> str | None:
        return small_disk.lacking()

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        async with small_disk.small_disk(arena) as disk:
            await arena.sql("create schema torture")
            await arena.sql("create table torture.ballast (content text)")
            try:
                disk.shrink(self.left_bytes)
                refused = await self._fill(arena, chooser.uniform(*self.seconds))
            finally:
                disk.grow()
                await eventually(arena, "drop schema torture cascade")
        return refused

    async def _fill(self, arena: Arena, seconds: float) -> int:
        """Write until there is no room, again and again; how often that was refused."""
        refused, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                async with session(arena) as connection:
                    await connection.execute(self.fill)
            except asyncpg.DiskFullError:
                refused += 1
                arena.hit("writes refused for want of room")
                await asyncio.sleep(0.2)
            except LOST:
                refused += 1
                arena.hit("database down for want of room")
                await asyncio.sleep(0.2)
        return refused


FAULTS: list[Fault] = [
    Stopped(
        "database.stopped",
        "PostgreSQL is stopped at once (SIGQUIT) five times and started again",
        signal.SIGQUIT,
        rounds=5,
    ),
    Stopped(
        "database.killed",
        "PostgreSQL's first process is killed three times and started again",
        signal.SIGKILL,
        rounds=3,
    ),
    Terminated(),
    Forced(),
    Deadlocked(),
    Locked(),
    Exhausted(),
    DiskFull("database.disk_full", "PostgreSQL's disk is full for 8 to 15 s, then grows", GROW),
    DiskFull(
        "database.log_full",
        "PostgreSQL's disk has no room for its write-ahead log: it stops, and starts when it has",
        WRITE_AHEAD,
    ),
    WireFault(
        "database.unreachable", "PostgreSQL refuses connections", "postgres", None, (2, 8), 3
    ),
    WireFault(
        "database.silent",
        "Nothing passes to or from PostgreSQL for 10 to 40 s, and no connection ends",
        "postgres",
        SILENT,
        (10, 40),
    ),
    WireFault("database.slow", "PostgreSQL answers 100 ms late", "postgres", slow(100), (10, 15)),
    WireFault(
        "database.reset", "Connections to PostgreSQL are reset", "postgres", RESET, (0.2, 1), 8
    ),
    WireFault(
        "database.torn",
        "PostgreSQL's answers end in the middle of a word; a commit's may be among them",
        "postgres",
        TORN,
        (0.2, 1),
        10,
    ),
]
