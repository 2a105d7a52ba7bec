"""What the ledger does by itself: the steps of reconciliations, and approved adjustments."""

import asyncio
from datetime import timedelta

from chassis.runtime import Runtime
from messaging import Database
from reserve_ledger.commands.prove_liabilities import prove_liabilities
from reserve_ledger.commands.publish_heads import AT_ONCE, publish_heads
from reserve_ledger.commands.reconcile_reserves import take_step
from reserve_ledger.commands.work_breaks import post_adjustments
from reserve_ledger.settings import LedgerSettings

IDLE_S = 1


async def reconcile(runtime: Runtime) -> None:
    """Make the next step, whatever it is; each in a transaction of its own."""
    while True:
        if not await advance(runtime.worker):
            await asyncio.sleep(IDLE_S)


async def advance(database: Database) -> bool:
    """One step and one batch of adjustments; whether there was anything to do."""
    async with database.transaction() as tx:
        job = await take_step(tx)
    async with database.transaction() as tx:
        posted = await post_adjustments(tx)
    return job is not None or posted > 0


async def publish(runtime: Runtime) -> None:
    """Tell the world where the ledgers stand and what is owed, once an hour at most."""
    settings: LedgerSettings = runtime.settings
    every = timedelta(seconds=settings.ledger_head_publish_s)
    while True:
        async with runtime.worker.transaction() as tx:
            told = await publish_heads(tx, every)
        async with runtime.worker.transaction() as tx:
            await prove_liabilities(tx, every)
        if told < AT_ONCE:
            await asyncio.sleep(min(every.total_seconds(), 60))


WORKERS = (reconcile, publish)
