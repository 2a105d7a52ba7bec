"""One populated world for the folder; what a test plants is rolled back."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from chassis.databases import AUDITOR, password_of
from chassis.settings import load

# In importlib mode a test folder is not on the path by itself.
sys.path.insert(0, str(Path(__file__).parent))

from world import ENVIRONMENT, World, create_everything, opened, populate

from testkit.databases import SEED, ServiceDatabase


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    """Settings of all services, as the environment of a process would give them."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    _forget()
    yield
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    _forget()


def _forget() -> None:
    from invoice import settings

    for cached in (load, settings.sealer, settings.link_key):
        cached.cache_clear()


@pytest.fixture(scope="session")
def place(infra: Any) -> Iterator[ServiceDatabase]:
    made = create_everything(infra.postgres_url)
    yield made
    made.drop()


@pytest.fixture(scope="session")
async def world(place: ServiceDatabase, environment: None) -> AsyncIterator[World]:
    async with opened(place) as made:
        await populate(made)
        yield made


@pytest.fixture
def planted(place: ServiceDatabase, world: World) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's transaction in which no trigger and no foreign key stands in the way."""
    with psycopg.connect(place.admin_url) as connection:
        # Statistics of rows that change are no transaction's: this test must not count.
        connection.execute("set track_counts = off")
        connection.execute("set session_replication_role = replica")
        connection.commit()
        yield connection
        connection.rollback()


@pytest.fixture(scope="session")
def auditor_url(place: ServiceDatabase, world: World) -> str:
    """The world's database as the auditor's own role."""
    parts = urlsplit(place.admin_url)
    host = parts.netloc.rpartition("@")[2]
    login = f"{AUDITOR}:{password_of(SEED, AUDITOR)}"
    return urlunsplit(parts._replace(netloc=f"{login}@{host}"))


@contextmanager
def _for_real(place: ServiceDatabase, begin: str, end: str) -> Iterator[None]:
    with psycopg.connect(place.admin_url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(begin)
    try:
        yield
    finally:
        with psycopg.connect(place.admin_url, autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(end)


@pytest.fixture
def for_real(place: ServiceDatabase) -> Callable[[str, str], AbstractContextManager[None]]:
    """A breach that is committed, and mended at the end of the block."""
    return partial(_for_real, place)
