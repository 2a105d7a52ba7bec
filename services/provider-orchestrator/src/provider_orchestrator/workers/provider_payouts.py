"""Lists what providers paid out to our bank: on a timer, and when a webhook says so."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import structlog

from chassis.runtime import Runtime
from messaging import Database
from provider_orchestrator.commands.record_payouts import record_payouts
from provider_orchestrator.domain.adapters import Adapter, ProviderFault
from provider_orchestrator.domain.provider_payouts import PaysOut
from provider_orchestrator.providers.adapters import adapters
from provider_orchestrator.store import provider_payouts as store
from provider_orchestrator.workers.executor import persistently, rest, wake_by

log = structlog.get_logger()
LIST_EVERY = timedelta(minutes=10)
LOOK_BACK = timedelta(days=30)
"""A payout may come back from the bank after days."""
LEASE = timedelta(minutes=3)


async def list_payouts(database: Database, known: Mapping[str, Adapter]) -> int:
    """Ask every provider whose time has come, and record what it says; how many were asked."""
    able = {name: adapter for name, adapter in known.items() if isinstance(adapter, PaysOut)}
    async with database.transaction() as tx:
        due = await store.claim_listings(tx, list(able), LEASE)
    for provider, until in due:
        now = datetime.now(UTC)
        try:
            said = await able[provider].payouts_since(now - LOOK_BACK)
        except ProviderFault as fault:
            log.info("payouts.not_listed", provider=provider, cause=fault.cause)
            said = []
        async with database.transaction() as tx:
            await record_payouts(tx, provider, said)
            await store.end_listing(tx, (provider, until), now + LIST_EVERY)
    return len(due)


async def follow_provider_payouts(runtime: Runtime) -> None:
    """List for ever."""
    known = adapters(runtime.http)
    news = asyncio.Event()
    wake_by(runtime, news.set)

    async def step() -> int:
        return await list_payouts(runtime.worker, known)

    while True:
        news.clear()
        if not await persistently(step):
            await rest(news)
