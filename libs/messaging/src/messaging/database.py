"""A service's own schema: pools, and transactions that tell the relay and the timers."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self
from uuid import UUID

import asyncpg

from messaging.connection import Connection
from messaging.failpoints import failpoint
from messaging.transaction import Committed, Tx

_BEGIN = "select now(), set_config('app.tenants', $1, true)"


async def _codecs(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
    )


async def _nothing_to_reset(connection: asyncpg.Connection) -> None:
    """Save the round trip: settings are made inside transactions, nothing outlives one."""
    del connection


class Database:
    """Connections of one role to one service's schema."""

    def __init__(self, pool: asyncpg.Pool, schema: str) -> None:
        """Wrap an open pool; use `Database.open`."""
        self.pool = pool
        self.schema = schema
        self.on_commit: list[Callable[[Committed], None]] = []

    @classmethod
    async def open(cls, url: str, schema: str, *, size: int = 4, application: str = "") -> Self:
        """Open a pool of at most `size` connections whose search path is the schema alone."""
        pool = await asyncpg.create_pool(
            url,
            connection_class=Connection,
            min_size=1,
            max_size=size,
            init=_codecs,
            reset=_nothing_to_reset,
            command_timeout=30,
            server_settings={
                "search_path": schema,
                "application_name": application or schema,
                "statement_timeout": "20000",
                "lock_timeout": "10000",
                "idle_in_transaction_session_timeout": "30000",
                "timezone": "UTC",
                "jit": "off",  # compiling costs more than any of our statements takes
            },
        )
        return cls(pool, schema)

    async def close(self) -> None:
        """Close every connection, waiting for those in use."""
        await self.pool.close()

    @asynccontextmanager
    async def transaction(self, tenants: Iterable[UUID] = ()) -> AsyncIterator[Tx]:
        """A transaction that may touch these tenants' rows; commits, then tells who must know.

        With the api role row-level security shows no other tenant's rows; the worker role acts
        for all.
        """
        async with self.pool.acquire() as connection:
            async with connection.transaction():
                begun = await connection.fetchrow(_BEGIN, ",".join(map(str, tenants)))
                assert begun is not None
                tx = Tx(connection, begun[0])
                yield tx
                await tx.flush()
                failpoint("transaction.flushed")
            failpoint("transaction.committed")
        committed = tx.committed
        if committed.shards or committed.next_due or committed.woken:
            for notice in self.on_commit:
                notice(committed)

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        """One value outside any tenant's transaction."""
        return await self.pool.fetchval(sql, *arguments)

    async def fetch(self, sql: str, *arguments: object) -> list[Any]:
        """Rows outside any tenant's transaction."""
        return await self.pool.fetch(sql, *arguments)
