"""Sends refunds and payouts, and asks after those whose outcome is not known.

Claim in one transaction, call in none, record in another. Whoever dies between two of them leaves
an order whose lease ends; it is then asked after, and sent again with the key it has, at most.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from chassis.runtime import Runtime
from messaging import Tx
from messaging.failpoints import failpoint
from provider_orchestrator.commands.claim_disbursements import Claimed, claim_disbursements
from provider_orchestrator.commands.record_disbursements import Heard, record_disbursements
from provider_orchestrator.domain.adapters import Adapter, Answer, Order, Status
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.routing import Capabilities
from provider_orchestrator.providers.adapters import adapters
from provider_orchestrator.providers.catalogue import catalogue
from provider_orchestrator.workers.executor import Executor, Work, wake_by

log = structlog.get_logger()
NOT_CONFIGURED = Answer(Outcome.INFRA, cause="provider_not_configured")


def disbursing(known: Mapping[str, Adapter], can: Sequence[Capabilities]) -> Work[Claimed, Heard]:
    """The work, with the adapters by name and what providers can do."""

    def prepare(provider: str, orders: Sequence[Order], now: datetime) -> Sequence[bytes | None]:
        adapter = known.get(provider)
        return [None] * len(orders) if adapter is None else adapter.prepare(orders, now)

    async def claim(tx: Tx, limit: int) -> Sequence[Claimed]:
        return await claim_disbursements(tx, can, prepare, limit)

    async def call(claimed: Claimed) -> Heard:
        failpoint("disbursement.claimed")
        one = claimed.disbursement
        heard = await _hear(known.get(one.provider or ""), claimed)
        failpoint("disbursement.answered")
        return Heard(one.tenant_id, one.id, heard, first=claimed.send)

    async def record(tx: Tx, done: Sequence[tuple[Claimed, Heard]]) -> None:
        await record_disbursements(tx, [heard for _, heard in done])
        failpoint("disbursement.recorded")

    return Work("disburse", claim, call, record)


async def _hear(adapter: Adapter | None, claimed: Claimed) -> Answer:
    if adapter is None:
        return NOT_CONFIGURED
    order = claimed.disbursement.order
    try:
        if claimed.send:
            return await adapter.send(order)
        answer = await adapter.find(order)
        # Not there, which proves nothing: it may be on its way, so the same key once more.
        return await adapter.send(order) if _may_repeat(answer) else answer
    except Exception:
        log.exception("disbursement.adapter_failed", provider=claimed.disbursement.provider)
        return Answer(Outcome.UNKNOWN, cause="adapter_fault")


def _may_repeat(answer: Answer) -> bool:
    return (
        answer.outcome is Outcome.OK
        and answer.status is Status.NOT_FOUND
        and not answer.cannot_happen
    )


async def disburse(runtime: Runtime) -> None:
    """Send and ask for ever."""
    executor = Executor(runtime.worker, disbursing(adapters(runtime.http), catalogue()))
    wake_by(runtime, executor.wake)
    await executor.run()
