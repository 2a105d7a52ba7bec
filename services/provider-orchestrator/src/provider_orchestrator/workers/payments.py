"""Collects: routes intents, sends and asks after their attempts, reads again what webhooks name."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Counter

from chassis.runtime import Runtime
from invoiceos_contracts.base import HealthState
from messaging import Database, Tx, failpoint
from provider_orchestrator.commands.claim_attempts import Claimed, claim_attempts
from provider_orchestrator.commands.keep_webhooks import follow_webhooks
from provider_orchestrator.commands.observe_health import observe_health
from provider_orchestrator.commands.record_answers import Heard, record_answers
from provider_orchestrator.commands.route_intents import Desk, route_waiting
from provider_orchestrator.domain.adapters import Adapter, Answer, Kind, Order, Status
from provider_orchestrator.domain.attempts import State
from provider_orchestrator.domain.health import STANDARD, Key, Observation, judged
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.routing import Capabilities
from provider_orchestrator.providers.adapters import adapters
from provider_orchestrator.providers.catalogue import catalogue
from provider_orchestrator.store.providers import select_health
from provider_orchestrator.workers.executor import Executor, Work, persistently, rest, wake_by

log = structlog.get_logger()
ANSWERS = Counter(
    "invoiceos_payment_answers_total",
    "What calls of providers for payments came to",
    ["provider", "kind", "outcome"],
)
BATCH = 100
PROBE_EVERY_S = 5.0
IDLE = timedelta(seconds=60)
"""A provider nobody used for so long is asked how it is."""
NOT_HERE = Answer(Outcome.INFRA, cause="provider_not_configured")


class Collector:
    """One replica of what collects payments; any number may run."""

    def __init__(
        self,
        database: Database,
        known: Mapping[str, Adapter],
        can: Sequence[Capabilities],
    ) -> None:
        """Take the adapters by name, and what providers can do."""
        self._database = database
        self._adapters = known
        asked = [one for one in can if one.provider in known and not one.by_wallet]
        self._desk = Desk(asked, self._prepare)
        work = Work("payments", claim_attempts, self._call, self._record)
        self.executor: Executor[Claimed, Answer] = Executor(database, work)

    async def route(self) -> int:
        """Route what waits for it, and follow webhooks; how many."""
        async with self._database.transaction() as tx:
            routed = await route_waiting(tx, self._desk, BATCH)
        async with self._database.transaction() as tx:
            followed = await follow_webhooks(tx, BATCH)
        return routed + followed

    async def step(self) -> int:
        """All that is due now, once; how much it was."""
        return await self.route() + await self.executor.step()

    def _prepare(
        self, provider: str, orders: Sequence[Order], now: datetime
    ) -> Sequence[bytes | None]:
        return self._adapters[provider].prepare(orders, now)

    async def _call(self, claimed: Claimed) -> Answer:
        trial = claimed.trial
        adapter = self._adapters.get(trial.provider)
        if adapter is None:
            return NOT_HERE
        failpoint("payment.sent")
        try:
            answer = await _ask(adapter, claimed)
        except Exception:
            log.exception("payment.adapter_failed", provider=trial.provider)
            answer = Answer(Outcome.UNKNOWN, cause="adapter_fault")
        failpoint("payment.answered")
        ANSWERS.labels(trial.provider, trial.kind, answer.outcome).inc()
        return answer

    async def _record(self, tx: Tx, done: Sequence[tuple[Claimed, Answer]]) -> None:
        heard = [
            Heard(one.trial.tenant_id, one.trial.intent_id, one.trial.id, answer)
            for one, answer in done
        ]
        await record_answers(tx, heard, self._desk)
        await _observe(tx, done)


async def _ask(adapter: Adapter, claimed: Claimed) -> Answer:
    trial = claimed.trial
    order = trial.to_send
    if claimed.first or (trial.status is Status.APPROVED and trial.is_live):
        return await adapter.send(order)
    answer = await adapter.find(order)
    # Not there, which proves nothing: it may be on its way, so the same order with the same key.
    # What could not be given up at once is given up when it can be.
    absent = answer.status is Status.NOT_FOUND and not answer.cannot_happen
    again = trial.state is State.UNKNOWN or (trial.is_live and trial.kind is Kind.VOID)
    return await adapter.send(order) if absent and again else answer


async def _observe(tx: Tx, done: Sequence[tuple[Claimed, Answer]]) -> None:
    seen: dict[Key, list[Observation]] = {}
    for one, answer in done:
        if answer is NOT_HERE:
            continue
        key = Key(one.trial.provider, one.trial.rail, one.trial.order.asset)
        cause = answer.cause[:300] or "answered"
        observed = Observation(tx.now, answer.outcome, answer.latency_us, cause)
        seen.setdefault(key, []).append(observed)
    for key in sorted(seen, key=lambda key: (key.provider, key.rail, key.currency)):
        await observe_health(tx, seen[key], key=key, jitter_ppm=_jitter_ppm())


def _jitter_ppm() -> int:
    return random.randint(-STANDARD.jitter_ppm, STANDARD.jitter_ppm)  # noqa: S311


async def collect_payments(runtime: Runtime) -> None:
    """Collect for ever."""
    collector = Collector(runtime.worker, adapters(runtime.http), catalogue())
    news = asyncio.Event()
    wake_by(runtime, collector.executor.wake, news.set)
    async with asyncio.TaskGroup() as group:
        group.create_task(collector.executor.run())
        while True:
            news.clear()
            if not await persistently(collector.route):
                await rest(news)


async def probe_providers(runtime: Runtime) -> None:
    """Ask providers how they are, where no payment would tell."""
    known = adapters(runtime.http)
    can = [one for one in catalogue() if one.provider in known]
    while True:
        await probe_due(runtime.worker, known, can)
        await asyncio.sleep(PROBE_EVERY_S * random.uniform(0.8, 1.2))  # noqa: S311


async def probe_due(
    database: Database, known: Mapping[str, Adapter], can: Sequence[Capabilities]
) -> int:
    """Probe what is half open or idle now; how many."""
    async with database.transaction() as tx:
        health, now = await select_health(tx), tx.now
    due = []
    for key in sorted({(one.provider, one.rail) for one in can}):
        at = health.get(Key(*key))
        idle = at is None or at.observed_at is None or at.observed_at < now - IDLE
        waits = at is not None and judged([at], now).state is HealthState.HALF_OPEN
        held_open = at is not None and judged([at], now).state is HealthState.OPEN
        if (idle and not held_open) or waits:
            due.append(key)
    answers = await asyncio.gather(*(known[name].probe(rail) for name, rail in due))
    for (name, rail), answer in zip(due, answers, strict=True):
        cause = answer.cause[:300] or "answered"
        one = Observation(datetime.now(UTC), answer.outcome, answer.latency_us, cause)
        async with database.transaction() as tx:
            await observe_health(tx, [one], key=Key(name, rail), jitter_ppm=_jitter_ppm())
    return len(due)
