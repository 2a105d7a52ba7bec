"""How the last calls of a provider went changes what we believe of it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.base import HealthState
from invoiceos_contracts.provider_v1 import ProviderHealthChanged
from messaging import Tx
from provider_orchestrator.domain.health import Change, Observation, observe
from provider_orchestrator.domain.transfers import PROVIDER, RAIL
from provider_orchestrator.store import providers as store

TEMPO_ID = uuid5(NAMESPACE_URL, "https://invoiceos.dev/provider/tempo")


async def observe_health(
    tx: Tx, seen: Sequence[Observation], *, open_for: timedelta, jitter_ppm: int
) -> HealthState:
    """Fold observations into Tempo's health, state each change of its circuit; the state after."""
    health = await store.lock_health(tx, TEMPO_ID)
    if health is None:
        await store.insert_health(tx, TEMPO_ID, PROVIDER, RAIL)
        health = await store.lock_health(tx, TEMPO_ID)
        assert health is not None
    changes: list[Change] = []
    for one in seen:
        health, more = observe(health, one, open_for=open_for, jitter_ppm=jitter_ppm)
        changes += more
    await store.update_health(tx, TEMPO_ID, health)
    await store.insert_observations(tx, TEMPO_ID, seen)
    tx.stage(_stated(TEMPO_ID, change) for change in changes)
    return health.state


def _stated(provider_id: UUID, change: Change) -> ProviderHealthChanged:
    return ProviderHealthChanged(
        tenant_id=PLATFORM,
        provider_id=provider_id,
        provider=PROVIDER,
        rail=RAIL,
        old=change.old,
        new=change.after.state,
        score_ppm=change.after.score_ppm,
        samples=change.after.samples,
        cause=change.cause,
        at=change.at,
    )
