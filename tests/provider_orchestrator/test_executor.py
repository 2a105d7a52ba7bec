"""Calls of providers outlive the passing faults of the database."""

import asyncio
from collections.abc import Sequence

import asyncpg

from messaging import Tx
from provider_orchestrator.app import service
from provider_orchestrator.workers.executor import Executor, Work
from testkit.databases import ServiceDatabase
from testkit.service import under_test


async def test_a_call_under_way_survives_a_deadlock_of_the_next_claim(
    place: ServiceDatabase,
) -> None:
    """The call ends only after the deadlock, and what it came to is written down."""
    claims = 0
    deadlocked, recorded = asyncio.Event(), asyncio.Event()

    async def claim(tx: Tx, limit: int) -> Sequence[str]:
        nonlocal claims
        claims += 1
        if claims == 2:
            deadlocked.set()
            raise asyncpg.DeadlockDetectedError("two waited for each other")
        return ["charge"] if claims == 1 else []

    async def call(one: str) -> str:
        await deadlocked.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        return f"{one} taken"

    async def record(tx: Tx, done: Sequence[tuple[str, str]]) -> None:
        assert list(done) == [("charge", "charge taken")]
        recorded.set()

    async with under_test(service, place) as unit:
        running = asyncio.create_task(Executor(unit.worker, Work("t", claim, call, record)).run())
        try:
            async with asyncio.timeout(60):
                await recorded.wait()
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
