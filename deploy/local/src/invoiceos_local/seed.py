"""The demo tenant, so that a newcomer has an API key at once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from typing import Any

from invoiceos_local.errors import NotReady
from invoiceos_local.stack import Stack

DEMO_TENANT = "demo"
_TIMEOUT_SECONDS = 60


def demo_tenant(stack: Stack, known: dict[str, Any]) -> dict[str, Any]:
    """The tenant's id and API key: the known ones if they are of this database, else new ones."""
    database = asyncio.run(_database_identity(stack.infrastructure.postgres_url))
    if known.get("database") == database:
        return known
    return {**_create(stack), "database": database}


def _create(stack: Stack) -> dict[str, Any]:
    done = subprocess.run(
        stack.command("tenant", "create", DEMO_TENANT, "--json"),
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
        env={**os.environ, **stack.administration_env()},
    )
    if done.returncode != 0:
        raise NotReady(f"the demo tenant could not be made:\n{done.stderr.strip()[-2000:]}")
    made: dict[str, Any] = json.loads(done.stdout)
    return made


async def _database_identity(postgres_url: str) -> str:
    import asyncpg

    connection = await asyncpg.connect(postgres_url)
    try:
        return str(await connection.fetchval("select system_identifier from pg_control_system()"))
    finally:
        await connection.close()
