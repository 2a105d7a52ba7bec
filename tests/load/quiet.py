"""Whether the platform has come to rest: told by its CPU, for asking it would be work too."""

from __future__ import annotations

import asyncio
import time

import asyncpg
from tests.load.measure import cpu_seconds
from tests.load.place import Platform

_LOOK_S = 0.3
_RESTS_BELOW = 0.12
"""Cores that seven idle services may take together."""


async def until_quiet(platform: Platform, seconds_max: float) -> bool:
    """Wait until the services do nothing; whether they came to rest in time."""
    end = time.monotonic() + seconds_max
    calm = 0
    while time.monotonic() < end:
        before = cpu_seconds(platform.services)
        await asyncio.sleep(_LOOK_S)
        used = (cpu_seconds(platform.services) - before) / _LOOK_S
        calm = calm + 1 if used < _RESTS_BELOW else 0
        if calm == 2:
            return True
    return False


async def waiting_facts(platform: Platform) -> dict[str, int]:
    """Rows in each service's outbox."""
    return await _count(platform, "outbox")


async def dead_letters(platform: Platform) -> dict[str, int]:
    """Rows among each service's dead letters."""
    return await _count(platform, "dead_letter")


async def _count(platform: Platform, table: str) -> dict[str, int]:
    connection = await asyncpg.connect(platform.admin_url)
    try:
        names = [name.replace("-", "_") for name in platform.pids]
        return {n: await connection.fetchval(f"select count(*) from {n}.{table}") for n in names}
    finally:
        await connection.close()


async def check(platform: Platform, books: dict[str, bool]) -> None:
    """What must hold after every run: nothing waits, nothing was given up, the ledger balances."""
    await until_quiet(platform, 20)
    books["every outbox empty"] = not any((await waiting_facts(platform)).values())
    books["no dead letters"] = not any((await dead_letters(platform)).values())
    connection = await asyncpg.connect(platform.admin_url)
    try:
        total = "select coalesce(sum(amount_minor), 0) from reserve_ledger.posting"
        covered = "select coalesce(bool_and(covered), true) from reserve_ledger.reserve_statement"
        books["ledger balances, reserve covers"] = await connection.fetchval(total) == 0 and bool(
            await connection.fetchval(covered)
        )
    finally:
        await connection.close()
