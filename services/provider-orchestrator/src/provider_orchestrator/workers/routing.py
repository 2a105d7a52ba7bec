"""What is forgotten of routing."""

import asyncio
from datetime import timedelta

from chassis.runtime import Runtime
from provider_orchestrator.store.routing import delete_previews

PREVIEWS_KEPT = timedelta(days=30)


async def forget_previews(runtime: Runtime) -> None:
    """Decisions that nothing was done by are forgotten after thirty days."""
    while True:
        async with runtime.worker.transaction() as tx:
            await delete_previews(tx, tx.now - PREVIEWS_KEPT)
        await asyncio.sleep(3600)
