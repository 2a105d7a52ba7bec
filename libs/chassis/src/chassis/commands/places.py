"""Where a command finds a service's schema, and as which role it may enter."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import typer

from chassis.cli import schemas, setting
from chassis.databases import AUDITOR, role_url
from messaging import Database, Tx

T = TypeVar("T")


def named(service: str) -> str:
    """The schema of an installed service; ends the command with the names there are."""
    schema = service.replace("-", "_")
    if schema not in schemas():
        names = ", ".join(name.replace("_", "-") for name in schemas())
        raise typer.BadParameter(f"there is {names}")
    return schema


def chosen(service: str) -> list[str]:
    """The schema of one service, or of all where none is named."""
    return [named(service)] if service else schemas()


def reading_url(schema: str, *, alone: bool) -> str:
    """The auditor's address; of one service that may be its worker's too."""
    if "INVOICEOS_AUDIT_DATABASE_URL" in os.environ:
        return os.environ["INVOICEOS_AUDIT_DATABASE_URL"]
    if alone and "INVOICEOS_DATABASE_ADMIN_URL" not in os.environ:
        return writing_url(schema)
    if "INVOICEOS_DATABASE_ADMIN_URL" in os.environ:
        return _derived(AUDITOR)
    return setting("INVOICEOS_AUDIT_DATABASE_URL")


def writing_url(schema: str) -> str:
    """The worker's address, given or derived from the administrator's."""
    if "INVOICEOS_DATABASE_WORKER_URL" in os.environ:
        return os.environ["INVOICEOS_DATABASE_WORKER_URL"]
    if "INVOICEOS_DATABASE_ADMIN_URL" in os.environ:
        return _derived(f"{schema}_worker")
    return setting("INVOICEOS_DATABASE_WORKER_URL")


def _derived(role: str) -> str:
    seed = setting("INVOICEOS_DATABASE_PASSWORD_SEED")
    return role_url(setting("INVOICEOS_DATABASE_ADMIN_URL"), seed, role)


@asynccontextmanager
async def opened(url: str, schema: str) -> AsyncIterator[Tx]:
    """A transaction in a schema."""
    database = await Database.open(url, schema, size=1, application=f"{schema}.operator")
    try:
        async with database.transaction() as tx:
            yield tx
    finally:
        await database.close()


async def from_each(
    names: Sequence[str], look: Callable[[Tx, str], Awaitable[T]]
) -> list[tuple[str, T]]:
    """What a look at each schema gives, with the service's name."""
    found = []
    for schema in names:
        async with opened(reading_url(schema, alone=len(names) == 1), schema) as tx:
            found.append((schema.replace("_", "-"), await look(tx, schema)))
    return found
