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
_IDENTITY = """
    select system_identifier || '/' || oid
    from pg_control_system(), pg_database
    where datname = current_database()
"""


def demo_tenant(stack: Stack, known: dict[str, Any]) -> dict[str, Any]:
    """The tenant's id and API key: the known ones if they are of this database, else new ones."""
    database = asyncio.run(_identity(stack.administration_env()["INVOICEOS_DATABASE_ADMIN_URL"]))
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


async def _identity(admin_url: str) -> str:
    """Tells a database from one of the same name that was made later or elsewhere."""
    import asyncpg

    connection = await asyncpg.connect(admin_url)
    try:
        return str(await connection.fetchval(_IDENTITY))
    finally:
        await connection.close()
