"""What a connection knows of PostgreSQL's types, and what it has to ask for."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import asyncpg
import pytest

from messaging import connection as ours


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Numbers of the types that the server is asked about in here."""
    asked: list[int] = []
    original = asyncpg.Connection._introspect_types

    async def counting(self, typeoids, timeout):
        asked.extend(typeoids)
        return await original(self, typeoids, timeout)

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_introspect_types", counting)
        yield asked


async def connected(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url, connection_class=ours.Connection)


async def everything_of(url: str) -> tuple[object, ...]:
    connection = await connected(url)
    try:
        return tuple(
            await connection.fetchrow(
                "select $1::uuid[], $2::int8[], $3::text[], $4::bool[]",
                [IDS[0], None],
                [[1, 2], [3, 4]],
                ["a", None],
                [],
            )
        )
    finally:
        await connection.close()


IDS = [uuid4()]
GIVEN_BACK = ([IDS[0], None], [[1, 2], [3, 4]], ["a", None], [])


async def test_the_types_of_postgresql_are_asked_for_once_a_process(infra, monkeypatch):
    monkeypatch.setattr(ours, "_known", {})
    with counted(monkeypatch) as asked:
        assert await everything_of(infra.postgres_url) == GIVEN_BACK
        once = list(asked)
        assert once
        assert await everything_of(infra.postgres_url) == GIVEN_BACK
    assert asked == once


async def test_who_learned_before_a_fork_asks_for_nothing(infra, monkeypatch):
    monkeypatch.setattr(ours, "_known", {})
    await ours.learn(infra.postgres_url)
    with counted(monkeypatch) as asked:
        assert await everything_of(infra.postgres_url) == GIVEN_BACK
    assert asked == []


async def test_a_type_that_a_migration_made_is_asked_for_on_each_connection(infra, monkeypatch):
    """Its number is another one in another database, and another type may have it there."""
    with counted(monkeypatch) as asked:
        for color in ("red", "green"):
            connection = await connected(infra.postgres_url)
            async with connection.transaction():
                await connection.execute(f"create type color_of_test as enum ('{color}')")
                mixed = "select $1::color_of_test[], $2::uuid[], $1::color_of_test[]"
                assert tuple(await connection.fetchrow(mixed, [color], IDS)) == (
                    [color],
                    IDS,
                    [color],
                )
                await connection.execute("drop type color_of_test")
            await connection.close()
    assert len([oid for oid in asked if oid >= ours._FIRST_OF_A_MIGRATION]) == 2
