"""Connections that know PostgreSQL's own array types without asking for them.

asyncpg asks the server about `uuid[]` and its like once a connection, with a query that takes a new
session about 15 ms. What the server is built with is the same for every one of the same version, so
that once a process is enough. What a migration made is still asked for on each connection.
"""

from collections.abc import Iterable
from typing import Any

import asyncpg

_FIRST_OF_A_MIGRATION = 16384
"""PostgreSQL's `FirstNormalObjectId`: smaller ones are the same on each server of a version."""
_known: dict[tuple[int, int], list[Any]] = {}
"""What describes a type, by the server's version and the type's number."""


class Connection(asyncpg.Connection):
    """For `connection_class`. It replaces a step of asyncpg 0.30 to 0.32; nothing relies on it."""

    async def _introspect_types(
        self, typeoids: Iterable[int], timeout: float
    ) -> tuple[list[Any], Any]:
        version = self.get_server_version().major
        of_asyncpg: Any = super()
        described: list[Any] = []
        statement: Any = _Nothing
        for oid in typeoids:
            rows = _known.get((version, oid))
            if rows is None:
                rows, statement = await of_asyncpg._introspect_types([oid], timeout)
                if oid < _FIRST_OF_A_MIGRATION:
                    _known[version, oid] = rows
            described += rows
        return described, statement


class _Nothing:
    """Stands for the query that was not made; only whether it has a name is of interest."""

    name = "none"


async def learn(url: str) -> None:
    """Ask once for what our statements use, before this process is forked."""
    connection = await asyncpg.connect(url, connection_class=Connection)
    try:
        for name in ("uuid", "text", "int4", "int8", "bool", "jsonb", "bytea", "timestamptz"):
            await connection.fetchval(f"select $1::{name}[]", [])
    finally:
        await connection.close()
