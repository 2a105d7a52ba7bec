"""Capture what was authorised, or give up what was begun: by somebody's wish or by time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid4

from invoiceos_contracts import Event
from messaging import Refusal, Timer, Tx
from provider_orchestrator.commands.create_intents import EXPIRY
from provider_orchestrator.domain.adapters import Kind, Order
from provider_orchestrator.domain.attempts import State
from provider_orchestrator.domain.collecting import moved
from provider_orchestrator.domain.intents import Intent, IntentState, Trial
from provider_orchestrator.errors import (
    AmountAboveAuthorized,
    IllegalTransition,
    IntentNotFound,
    PaymentUnderWay,
)
from provider_orchestrator.store import intents as store

EXPIRES_AGAIN = timedelta(minutes=1)
"""How soon time is up again for what was under way."""
_AT_REST = frozenset({IntentState.REQUIRES_ACTION, IntentState.AUTHORIZED})


@dataclass(frozen=True, slots=True)
class Capture:
    """Take what was authorised; all of it where no amount is given."""

    tenant_id: UUID
    intent_id: UUID
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody wants it any more."""

    tenant_id: UUID
    intent_id: UUID
    end: IntentState
    """`VOIDED` for what was authorised; `CANCELED` or `EXPIRED` for what was not."""
    cause: str


@dataclass(slots=True)
class _Changes:
    intents: dict[UUID, Intent]
    trials: dict[UUID, list[Trial]]
    ordered: list[Trial]
    ended: list[Trial]
    facts: list[Event]

    async def save(self, tx: Tx) -> None:
        """Write them, and wake whoever carries them out."""
        await store.save_intents(tx, list(self.intents.values()))
        if self.ended:
            await store.save_trials(tx, self.ended)
        if self.ordered:
            await store.insert_trials(tx, self.ordered)
        tx.stage(self.facts)
        tx.wake()


async def _load(tx: Tx, keys: Sequence[tuple[UUID, UUID]]) -> _Changes:
    intents = await store.lock_intents(tx, keys)
    return _Changes(intents, await store.trials_of(tx, keys), [], [], [])


async def capture_intents(tx: Tx, requests: Sequence[Capture]) -> list[Intent | Refusal]:
    """Order captures; each intent has one at most that may still come to something."""
    changes = await _load(tx, [(one.tenant_id, one.intent_id) for one in requests])
    answers = [_capture(tx, one, changes) for one in requests]
    await changes.save(tx)
    return answers


def _capture(tx: Tx, request: Capture, changes: _Changes) -> Intent | Refusal:
    intent = changes.intents.get(request.intent_id)
    if intent is None:
        return IntentNotFound()
    if intent.state is not IntentState.AUTHORIZED:
        return IllegalTransition(f"What is {intent.state} cannot be captured")
    trials = changes.trials[intent.id]
    if _following(trials):
        return PaymentUnderWay("Another capture or void of this payment is under way")
    collect = _live_collect(trials)
    most = collect.authorized_minor or intent.amount_minor
    amount = request.amount_minor or min(most, intent.amount_minor)
    if amount > most or amount > intent.amount_minor:
        return AmountAboveAuthorized(authorized_minor=min(most, intent.amount_minor))
    changes.ordered.append(_order(tx, intent, trials, Kind.CAPTURE, amount))
    trials.append(changes.ordered[-1])
    return intent


async def give_up_intents(tx: Tx, requests: Sequence[GiveUp]) -> list[Intent | Refusal]:
    """End what nobody was asked for yet; have the provider give up the rest first."""
    changes = await _load(tx, [(one.tenant_id, one.intent_id) for one in requests])
    answers = [_give_up(tx, one, changes) for one in requests]
    await changes.save(tx)
    return answers


def _give_up(tx: Tx, request: GiveUp, changes: _Changes) -> Intent | Refusal:
    intent = changes.intents.get(request.intent_id)
    if intent is None:
        return IntentNotFound()
    trials = changes.trials.get(intent.id, [])
    unsent = [one for one in trials if one.is_live and one.state is State.CREATED]
    if intent.state is IntentState.CREATED or (intent.state is IntentState.ROUTED and unsent):
        after = replace(intent, state=request.end, cause=request.cause, route_at=None)
        changes.ended += [replace(one, state=State.ABSENT, due_at=None) for one in unsent]
        changes.facts += moved(intent, after, unsent[-1] if unsent else None)
        changes.intents[intent.id] = after
        return after
    if not intent.is_open or (request.end is IntentState.VOIDED) != (
        intent.state is IntentState.AUTHORIZED
    ):
        return IllegalTransition(f"What is {intent.state} cannot become {request.end}")
    if intent.state not in _AT_REST or _following(trials):
        return PaymentUnderWay("The provider has not said yet what becomes of it")
    changes.ordered.append(_order(tx, intent, trials, Kind.VOID, intent.amount_minor))
    trials.append(changes.ordered[-1])
    after = replace(intent, giving_up=request.end, cause=request.cause)
    changes.intents[intent.id] = after
    return after


async def expire_intents(tx: Tx, timers: Sequence[Timer]) -> None:
    """Time is up: who has not begun, or has not finished on the provider's page, need not.

    Time is up again until it has ended: the provider may refuse to give it up just now.
    """
    requests = [
        GiveUp(timer.tenant_id, UUID(timer.ref), IntentState.EXPIRED, "expired") for timer in timers
    ]
    answers = await give_up_intents(tx, requests)
    again = [
        Timer(EXPIRY, timer.ref, timer.tenant_id, tx.now + EXPIRES_AGAIN)
        for timer, answer in zip(timers, answers, strict=True)
        if isinstance(answer, PaymentUnderWay) or (isinstance(answer, Intent) and answer.is_open)
    ]
    tx.schedule(again)


def _following(trials: Sequence[Trial]) -> bool:
    return any(one.is_live for one in trials if one.kind is not Kind.COLLECT)


def _live_collect(trials: Sequence[Trial]) -> Trial:
    return next(one for one in trials if one.is_live and one.kind is Kind.COLLECT)


def _order(tx: Tx, intent: Intent, trials: Sequence[Trial], kind: Kind, amount: int) -> Trial:
    """An operation on what was collected, at the provider that did."""
    collect = _live_collect(trials)
    order_id = tx.new_id()
    order = Order(
        kind=kind,
        id=order_id,
        tenant_id=intent.tenant_id,
        key=uuid4(),
        amount_minor=amount,
        asset=intent.asset,
        created_at=tx.now,
        rail=collect.rail,
        method=intent.method,
        parent_reference=collect.provider_reference,
        parent_minor=collect.authorized_minor or intent.amount_minor,
        invoice_reference=collect.order.invoice_reference,
        description=intent.description,
    )
    return Trial(
        tenant_id=intent.tenant_id,
        id=order_id,
        intent_id=intent.id,
        kind=kind,
        number=sum(one.kind is kind for one in trials) + 1,
        provider=collect.provider,
        rail=collect.rail,
        order=order,
    )
