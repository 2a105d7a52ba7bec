"""Take attempts whose time has come: to be sent, or to be asked after."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from messaging import Tx, failpoint
from provider_orchestrator.domain.adapters import Kind
from provider_orchestrator.domain.collecting import submitted
from provider_orchestrator.domain.intents import IntentState, Trial
from provider_orchestrator.store import intents as store

LEASE = timedelta(minutes=3)
"""Longer than any call of a provider takes; then somebody else asks what became of it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt in somebody's hands."""

    trial: Trial
    first: bool
    """It was never sent before."""


async def claim_attempts(tx: Tx, limit: int) -> Sequence[Claimed]:
    """Note that they are sent, before they are: whatever dies now is asked after, never doubled."""
    claimed = [Claimed(*one) for one in await store.claim_due(tx, limit, LEASE)]
    began = [one.trial for one in claimed if one.first and one.trial.kind is Kind.COLLECT]
    if began:
        intents = await store.lock_intents(tx, [(one.tenant_id, one.intent_id) for one in began])
        await store.save_intents(
            tx, [replace(one, state=IntentState.SUBMITTED) for one in intents.values()]
        )
        tx.stage(fact for one in began for fact in submitted(intents[one.intent_id], one))
    if claimed:
        failpoint("payment.claimed")
    return claimed
