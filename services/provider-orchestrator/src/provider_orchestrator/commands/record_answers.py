"""What providers said becomes where payments stand."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from invoiceos_contracts import Event
from messaging import Tx, failpoint
from provider_orchestrator.commands.route_intents import Desk, route_intents
from provider_orchestrator.domain.adapters import Answer, Kind
from provider_orchestrator.domain.attempts import State
from provider_orchestrator.domain.collecting import (
    Collected,
    captured,
    moved,
    part_captured,
    uncovered,
)
from provider_orchestrator.domain.intents import (
    Intent,
    Step,
    Trial,
    asked_again,
    came_of,
    collected,
    followed,
    told,
)
from provider_orchestrator.domain.payment_rules import Came, arrived
from provider_orchestrator.store import intents as store
from provider_orchestrator.store.payment_rules import Ruled, insert_ruled
from provider_orchestrator.store.settling import insert_watches


@dataclass(frozen=True, slots=True)
class Heard:
    """What a provider, or a person, said of an attempt."""

    tenant_id: UUID
    intent_id: UUID
    attempt_id: UUID
    answer: Answer
    resolved_by: str | None = None
    resolved_reason: str | None = None


@dataclass(slots=True)
class _Outcome:
    """What is written at the end of a batch."""

    intents: dict[UUID, Intent]
    trials: dict[UUID, dict[UUID, Trial]]
    changed: dict[UUID, Trial]
    facts: list[Event]
    payments: list[tuple[Collected, list[Event]]]
    rerouted: set[UUID]
    ruled: dict[UUID, Ruled] = field(default_factory=dict)
    """What was decided of money that came, by the payment it became."""


async def record_answers(tx: Tx, heard: Sequence[Heard], desk: Desk) -> None:
    """Move attempts and intents, keep what was captured, and try elsewhere what failed surely."""
    keys = sorted({(one.tenant_id, one.intent_id) for one in heard})
    intents = await store.lock_intents(tx, keys)
    made = await store.trials_of(tx, keys)
    trials = {intent: {one.id: one for one in ones} for intent, ones in made.items()}
    outcome = _Outcome(intents, trials, {}, [], [], set())
    for one in heard:
        _hear(tx, one, outcome, desk)
    await store.save_trials(tx, list(outcome.changed.values()))
    await store.save_intents(tx, list(outcome.intents.values()))
    tx.stage(outcome.facts)
    await _keep(tx, outcome)
    again = [outcome.intents[intent] for intent in sorted(outcome.rerouted)]
    if again:
        tried = {intent: list(ones.values()) for intent, ones in outcome.trials.items()}
        await route_intents(tx, again, desk, tried)
    failpoint("payment.recorded")


async def _keep(tx: Tx, outcome: _Outcome) -> None:
    if not outcome.payments:
        return
    new = await store.insert_collected(tx, [payment for payment, _ in outcome.payments])
    succeeded = [p for p, _ in outcome.payments if p.id in new and p.state == "succeeded"]
    await insert_watches(tx, [(p.tenant_id, p.attempt_id, p.provider) for p in succeeded])
    tx.stage(fact for payment, facts in outcome.payments if payment.id in new for fact in facts)
    await insert_ruled(tx, [one for payment, one in outcome.ruled.items() if payment in new])


def _hear(tx: Tx, one: Heard, outcome: _Outcome, desk: Desk) -> None:
    intent = outcome.intents[one.intent_id]
    known = outcome.trials[one.intent_id]
    trial = known[one.attempt_id]
    if not trial.is_live:
        _hear_late(tx, one, outcome)
        return
    after = told(trial, one.answer, tx.now)
    after = replace(after, resolved_by=one.resolved_by, resolved_reason=one.resolved_reason)
    others = [other for other in known.values() if other.id != trial.id]
    collect = trial if trial.kind is Kind.COLLECT else _collect_of(others)
    step = (
        collected(intent, after, others, desk.budget)
        if trial.kind is Kind.COLLECT
        else followed(intent, after, collect, tx.now)
    )
    _take(tx, outcome, intent, step, after)


def _collect_of(trials: Sequence[Trial]) -> Trial:
    """The attempt that is captured or given up: the last one to collect."""
    return max((one for one in trials if one.kind is Kind.COLLECT), key=lambda one: one.number)


def _take(tx: Tx, outcome: _Outcome, intent: Intent, step: Step, heard: Trial) -> None:
    outcome.intents[intent.id] = step.intent
    for trial in step.changed:
        outcome.trials[intent.id][trial.id] = outcome.changed[trial.id] = trial
    collect = _collect_of(list(outcome.trials[intent.id].values()))
    if heard.kind is Kind.CAPTURE and heard.state is State.CAPTURED:
        outcome.facts += part_captured(step.intent, collect)
    outcome.facts += moved(intent, step.intent, collect)
    if step.reroute:
        outcome.rerouted.add(intent.id)
    was_open = intent.is_open
    if any(one.kind is Kind.COLLECT and one.state is State.CAPTURED for one in step.changed):
        came = came_of(collect, heard.order.amount_minor, late=not was_open)
        _collect(tx, outcome, step.intent, collect, came)


def _collect(
    tx: Tx,
    outcome: _Outcome,
    intent: Intent,
    trial: Trial,
    came: Came | None,
    before_minor: int = 0,
) -> None:
    if came is None:
        return
    payments, facts = captured(intent, trial, tx.now, late=came.late, before_minor=before_minor)
    said: dict[UUID, list[Event]] = {payment.id: [] for payment in payments}
    for fact in facts:
        said[fact.aggregate_id].append(fact)
    outcome.payments += [(payment, said[payment.id]) for payment in payments]
    if not came.late:
        outcome.facts += uncovered(intent, came.amount_minor)
    if intent.rules_facts is not None and intent.rules_verdict is not None:
        arrival = arrived(intent.terms, came, intent.asset)
        outcome.ruled[payments[0].id] = Ruled(
            tenant_id=intent.tenant_id,
            intent_id=intent.id,
            stage="arrived",
            rules_version=intent.rules_version,
            facts=intent.rules_facts.model_copy(update={"came": came}),
            verdict=intent.rules_verdict.model_copy(update={"arrival": arrival}),
        )


def _hear_late(tx: Tx, one: Heard, outcome: _Outcome) -> None:
    """An attempt that had ended: only money that was captured after all, or again, counts."""
    trial = outcome.trials[one.intent_id][one.attempt_id]
    if one.answer.status is None:
        # Nothing was learned: whoever said that there is something new is believed a while longer.
        outcome.changed.setdefault(trial.id, asked_again(trial, tx.now))
        return
    live = replace(trial, state=State.UNKNOWN, unknown_since=tx.now)
    after = told(live, one.answer, tx.now)
    before = trial.captured_minor or 0
    more = (after.captured_minor or 0) - before
    other = before > 0 and after.captured_asset != trial.captured_asset
    taken = trial.kind is Kind.COLLECT and after.state is State.CAPTURED
    if not taken or other or more <= 0:
        outcome.changed.setdefault(trial.id, replace(trial, due_at=None))
        return
    kept = replace(after, state=trial.state, due_at=None, unknown_since=trial.unknown_since)
    outcome.trials[one.intent_id][trial.id] = outcome.changed[trial.id] = kept
    fee = kept.fee_minor if not before else _fee_of_more(trial, kept)
    part = replace(kept, captured_minor=more, fee_minor=fee)
    came = came_of(part, part.order.amount_minor, late=True)
    _collect(tx, outcome, outcome.intents[one.intent_id], part, came, before)


def _fee_of_more(before: Trial, after: Trial) -> int | None:
    """Of what came again; it is told later where either is not known."""
    if before.fee_minor is None or after.fee_minor is None:
        return None
    return max(0, after.fee_minor - before.fee_minor)
