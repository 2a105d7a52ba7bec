"""What the faults of the database have in common."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from tests.torture.arena import Arena, NotBack

BACK_SECONDS = 120
LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a session that dies can raise."""


@asynccontextmanager
async def session(arena: Arena, *, url: str = "") -> AsyncIterator[asyncpg.Connection]:
    """A superuser's session, which may die inside the block."""
    connection = await asyncpg.connect(url or arena.postgres, timeout=10)
    try:
        yield connection
    finally:
        connection.terminate()


async def until_database_answers(arena: Arena) -> None:
    """Wait until a statement is answered; raises NotBack."""
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        try:
            await arena.sql("select 1")
        except LOST as error:
            if time.monotonic() > deadline:
                raise NotBack(f"no PostgreSQL after {BACK_SECONDS} s: {error!r}") from error
        else:
            return
        await asyncio.sleep(0.1)


async def eventually(arena: Arena, *statements: str) -> None:
    """Carry out statements one by one, each again until it succeeds: the load holds locks."""
    deadline = time.monotonic() + BACK_SECONDS
    for statement in statements:
        while True:
            try:
                async with session(arena) as connection:
                    await connection.execute(f"set lock_timeout = 500; {statement}")
            except LOST as error:
                if time.monotonic() > deadline:
                    raise NotBack(f"{statement}: {error!r}") from error
            else:
                break
            await asyncio.sleep(0.1)


def schemas(arena: Arena) -> list[str]:
    """The schema of each service."""
    return [name.replace("-", "_") for name in arena.services]
