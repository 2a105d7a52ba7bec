"""Looks at collected money until its provider has let go of it, and whenever a webhook says so."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from chassis.runtime import Runtime
from messaging import Database, Tx
from provider_orchestrator.commands.record_settlements import Looked, record_settlements
from provider_orchestrator.domain.adapters import Adapter, Order, ProviderFault
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.settling import Settlement, Settles, TakesDeposits
from provider_orchestrator.providers.adapters import adapters
from provider_orchestrator.store import settling as store
from provider_orchestrator.store.intents import select_trials
from provider_orchestrator.store.settling import Due
from provider_orchestrator.store.webhooks import hasten_deposits
from provider_orchestrator.workers.executor import Executor, Work, wake_by

log = structlog.get_logger()
LEASE = timedelta(minutes=3)
SEEK_EVERY_S = 600.0
SEEK_BACK = timedelta(days=7)
"""How far back disputes are listed: longer than anybody repeats a webhook."""


@dataclass(frozen=True, slots=True)
class Look:
    """An attempt in somebody's hands."""

    due: Due
    provider: str
    order: Order


def settling(known: Mapping[str, Adapter]) -> Work[Look, Looked]:
    """The work, with the adapters by name."""

    async def claim(tx: Tx, limit: int) -> Sequence[Look]:
        due = await store.claim_watches(tx, limit, LEASE)
        trials = await select_trials(tx, [(one.tenant_id, one.attempt_id) for one in due])
        return [
            Look(one, trials[one.attempt_id].provider, trials[one.attempt_id].to_send)
            for one in due
        ]

    async def call(look: Look) -> Looked:
        return Looked(look.due, await _said(known.get(look.provider), look))

    async def record(tx: Tx, done: Sequence[tuple[Look, Looked]]) -> None:
        await record_settlements(tx, [looked for _, looked in done])

    return Work("settle", claim, call, record)


async def _said(adapter: Adapter | None, look: Look) -> Settlement:
    if adapter is None:
        return Settlement(Outcome.INFRA, "provider_not_configured")
    try:
        if isinstance(adapter, Settles):
            return await adapter.settlement(look.order, look.due.disputes)
        answer = await adapter.find(look.order)
    except Exception:
        log.exception("settlement.adapter_failed", provider=look.provider)
        return Settlement(Outcome.UNKNOWN, "adapter_fault")
    return Settlement(answer.outcome, answer.cause, answer.fee_minor, answer.available_at)


async def seek_disputes(database: Database, known: Mapping[str, Adapter]) -> int:
    """Find disputes whose webhooks were lost; how many payments are looked at for it."""
    found = 0
    for name, adapter in known.items():
        if not isinstance(adapter, Settles):
            continue
        try:
            disputes = await adapter.disputed_since(datetime.now(UTC) - SEEK_BACK)
        except ProviderFault as fault:
            log.info("disputes.not_listed", provider=name, cause=fault.cause)
            continue
        async with database.transaction() as tx:
            found += await store.hasten_named(tx, name, disputes)
    return found


async def seek_deposits(database: Database, known: Mapping[str, Adapter]) -> int:
    """Find money that came to addresses and was not told of; how many attempts are asked after."""
    found = 0
    for name, adapter in known.items():
        if not isinstance(adapter, TakesDeposits):
            continue
        try:
            came = await adapter.deposited_since(datetime.now(UTC) - SEEK_BACK)
        except ProviderFault as fault:
            log.info("deposits.not_listed", provider=name, cause=fault.cause)
            continue
        async with database.transaction() as tx:
            found += await hasten_deposits(tx, name, came)
    return found


async def settle_payments(runtime: Runtime) -> None:
    """Look for ever."""
    known = adapters(runtime.http)
    async with runtime.worker.transaction() as tx:
        await store.adopt_payments(tx)
    executor = Executor(runtime.worker, settling(known))
    wake_by(runtime, executor.wake)
    async with asyncio.TaskGroup() as group:
        group.create_task(executor.run())
        while True:
            await seek_disputes(runtime.worker, known)
            await seek_deposits(runtime.worker, known)
            await asyncio.sleep(SEEK_EVERY_S)
