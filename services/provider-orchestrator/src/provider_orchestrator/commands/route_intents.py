"""Choose who collects, and store the order before anyone is asked."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from invoiceos_contracts import Event, encode
from messaging import Tx, failpoint
from provider_orchestrator.commands.route_payments import RouteRequest, route_payments
from provider_orchestrator.domain.adapters import Kind, Order
from provider_orchestrator.domain.attempts import RetryBudget
from provider_orchestrator.domain.collecting import moved, routed
from provider_orchestrator.domain.intents import Intent, IntentState, Trial
from provider_orchestrator.domain.routing import CHANCE_MAX, Capabilities, Reason, Routable
from provider_orchestrator.store import intents as store
from provider_orchestrator.store.routing import Decided

ACTOR = "payments"
QUEUED_FOR = timedelta(seconds=5)
"""How soon a payment that nobody serves well is routed again."""
Prepare = Callable[[str, Sequence[Order], datetime], Sequence[bytes | None]]
"""Asks a provider's adapter what must be stored before the first call, without calling anyone."""


@dataclass(slots=True)
class Desk:
    """What a process needs to choose: the providers it has adapters of, and its retry budget."""

    catalogue: Sequence[Capabilities]
    prepare: Prepare
    budget: RetryBudget = field(default_factory=RetryBudget)


async def route_waiting(tx: Tx, desk: Desk, limit: int) -> int:
    """Route intents whose time has come; how many."""
    waiting = await store.lock_waiting(tx, limit)
    intents = [intent for intent in waiting.values() if intent.state is IntentState.CREATED]
    if intents:
        await route_intents(tx, intents, desk, {})
    return len(intents)


async def route_intents(
    tx: Tx, intents: Sequence[Intent], desk: Desk, made: Mapping[UUID, Sequence[Trial]]
) -> None:
    """Give each its next attempt, or its end where no provider can; the intents are locked."""
    requests = [_request(intent, desk, made.get(intent.id, ())) for intent in intents]
    decided = await route_payments(tx, requests)
    after: list[Intent] = []
    trials: list[Trial] = []
    facts: list[Event] = []
    for intent, decision in zip(intents, decided, strict=True):
        before = [one for one in made.get(intent.id, ()) if one.kind is Kind.COLLECT]
        if decision.decision.chosen is None:
            ended = _unrouted(tx, intent, decision, before)
            after.append(ended)
            facts += moved(intent, ended, before[-1] if before else None)
            continue
        trial = _trial(tx, intent, decision, len(before) + 1)
        trials.append(trial)
        after.append(replace(intent, state=IntentState.ROUTED, route_at=None, cause=None))
        facts += routed(intent, trial, before[-1].cause or "failed" if before else None)
        desk.budget = desk.budget.second() if before else desk.budget.first()
    await store.save_intents(tx, after)
    if trials:
        await store.insert_trials(tx, _prepared(trials, desk, tx.now))
    tx.stage(facts)
    tx.wake()
    failpoint("payment.routed")


def _request(intent: Intent, desk: Desk, made: Sequence[Trial]) -> RouteRequest:
    routable = Routable(
        amount_minor=intent.amount_minor,
        asset=intent.asset,
        payer_country=intent.payer_country,
        method=intent.method,
        tried=tuple(dict.fromkeys(one.target for one in made)),
    )
    chance = random.randrange(CHANCE_MAX)  # noqa: S311
    return RouteRequest(intent.tenant_id, "payment", routable, desk.catalogue, chance, ACTOR)


def _unrouted(tx: Tx, intent: Intent, decided: Decided, before: Sequence[Trial]) -> Intent:
    if decided.decision.reason is Reason.QUEUED and not before:
        return replace(intent, route_at=tx.now + QUEUED_FOR)
    cause = before[-1].cause or "failed" if before else "no_provider"
    return replace(intent, state=IntentState.FAILED, route_at=None, cause=cause)


def _trial(tx: Tx, intent: Intent, decided: Decided, number: int) -> Trial:
    chosen = decided.decision.chosen
    assert chosen is not None
    provider, _, rail = chosen.partition("/")
    attempt_id = tx.new_id()
    order = Order(
        kind=Kind.COLLECT,
        id=attempt_id,
        tenant_id=intent.tenant_id,
        key=uuid4(),
        amount_minor=intent.amount_minor,
        asset=intent.asset,
        created_at=tx.now,
        rail=rail,
        method=intent.method,
        instrument=intent.instrument,
        manual_capture=intent.manual_capture,
        invoice_reference=encode("pin", intent.id),
        description=intent.description,
        return_url=intent.return_url,
    )
    return Trial(
        tenant_id=intent.tenant_id,
        id=attempt_id,
        intent_id=intent.id,
        kind=Kind.COLLECT,
        number=number,
        provider=provider,
        rail=rail,
        order=order,
        decision_id=decided.id,
        decision_reason=str(decided.decision.reason),
    )


def _prepared(trials: Sequence[Trial], desk: Desk, now: datetime) -> list[Trial]:
    """In their order, each with what its provider wants stored."""
    by_provider: dict[str, list[Trial]] = {}
    for trial in trials:
        by_provider.setdefault(trial.provider, []).append(trial)
    ready: list[Trial] = []
    for provider, group in by_provider.items():
        made = desk.prepare(provider, [one.order for one in group], now)
        ready += [
            replace(one, order=replace(one.order, prepared=prepared))
            for one, prepared in zip(group, made, strict=True)
        ]
    return ready
