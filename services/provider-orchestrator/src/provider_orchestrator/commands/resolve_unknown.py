"""A person found out what became of a payment that no provider tells of."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Refusal, Tx
from provider_orchestrator.commands.record_answers import Heard, record_answers
from provider_orchestrator.commands.route_intents import Desk
from provider_orchestrator.domain.adapters import Answer, Status
from provider_orchestrator.domain.attempts import RetryBudget, needs_person
from provider_orchestrator.domain.intents import Trial
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.errors import AttemptNotFound, NotForPeople
from provider_orchestrator.store import intents as store


@dataclass(frozen=True, slots=True)
class Resolve:
    """What somebody saw at the provider, and who says so."""

    tenant_id: UUID
    attempt_id: UUID
    captured: bool
    amount_minor: int | None
    provider_reference: str | None
    reason: str
    actor: str


async def resolve_unknown(tx: Tx, requests: Sequence[Resolve]) -> list[UUID | Refusal]:
    """Take a person's word for it, with name and reason; money that shows up later is kept too."""
    keys = [(one.tenant_id, one.attempt_id) for one in requests]
    found = await store.select_trials(tx, keys)
    answers: list[UUID | Refusal] = []
    heard: dict[UUID, Heard] = {}
    for request in requests:
        trial = found.get(request.attempt_id)
        if trial is None:
            answers.append(AttemptNotFound())
        elif not needs_person(trial.as_attempt(trial.intent_id), tx.now) or trial.id in heard:
            answers.append(NotForPeople())
        else:
            heard[trial.id] = _heard(request, trial)
            answers.append(trial.intent_id)
    if heard:
        # Nobody is tried elsewhere because of what a person said: the payer begins anew.
        nowhere = Desk((), lambda _, orders, __: [None] * len(orders), RetryBudget(saved_ppm=0))
        await record_answers(tx, list(heard.values()), nowhere)
    return answers


def _heard(request: Resolve, trial: Trial) -> Heard:
    answer = Answer(
        Outcome.OK,
        status=Status.SUCCEEDED if request.captured else Status.CANCELED,
        provider_reference=request.provider_reference,
        amount_minor=request.amount_minor or trial.order.amount_minor,
        asset=trial.order.asset,
        cause="" if request.captured else "resolved_by_person",
        raw={"resolved_by": request.actor, "reason": request.reason},
    )
    return Heard(
        tenant_id=trial.tenant_id,
        intent_id=trial.intent_id,
        attempt_id=trial.id,
        answer=answer,
        resolved_by=request.actor,
        resolved_reason=request.reason,
    )
