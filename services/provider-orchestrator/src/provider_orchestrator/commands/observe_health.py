"""How the last calls of a provider went changes what we believe of it."""

from collections.abc import Sequence

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.provider_v1 import ProviderHealthChanged
from messaging import Tx
from provider_orchestrator.domain.health import (
    EVERY,
    STANDARD,
    Change,
    Health,
    Key,
    Observation,
    Parameters,
    observe,
)
from provider_orchestrator.domain.transfers import PROVIDER, RAIL
from provider_orchestrator.store import providers as store

TEMPO = Key(PROVIDER, RAIL)


async def observe_health(
    tx: Tx,
    seen: Sequence[Observation],
    *,
    key: Key = TEMPO,
    parameters: Parameters = STANDARD,
    jitter_ppm: int,
) -> tuple[Health, list[tuple[Key, Change]]]:
    """Fold observations into a key's health and its rail's, and state what the circuits did.

    The key's health afterwards, and the changes.
    """
    known = await store.lock_health(tx, key.levels)
    if len(known) < len(key.levels):
        await store.insert_health(tx, key.levels)
        known = await store.lock_health(tx, key.levels)
    changes: list[tuple[Key, Change]] = []
    for level in key.levels:
        for one in seen:
            known[level], more = observe(known[level], one, parameters, jitter_ppm=jitter_ppm)
            changes += [(level, change) for change in more]
    await store.update_health(tx, known)
    await store.insert_observations(tx, key, seen)
    if changes:
        await record_changes(tx, changes)
        await store.trim_changes(tx, key.levels)
    return known[key], changes


async def record_changes(tx: Tx, changes: Sequence[tuple[Key, Change]]) -> None:
    """Put what the circuits did into their history, and state it."""
    await store.insert_changes(tx, changes)
    tx.stage(_stated(key, change) for key, change in changes)


def _stated(key: Key, change: Change) -> ProviderHealthChanged:
    return ProviderHealthChanged(
        tenant_id=PLATFORM,
        provider_id=store.id_of(key),
        provider=key.provider,
        rail=key.rail,
        currency=None if key.currency == EVERY else key.currency,
        old=change.old,
        new=change.after.state,
        score_ppm=change.after.score_ppm,
        samples=change.after.samples,
        effective_samples=change.after.effective_samples,
        cause=change.cause,
        at=change.at,
    )
