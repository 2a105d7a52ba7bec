"""A person says that what held a provider's circuit open is mended."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Refusal, Tx
from provider_orchestrator.commands.observe_health import record_changes
from provider_orchestrator.domain.health import Change, Health, Key, reset
from provider_orchestrator.errors import ProviderNotOpen, ProviderUnknown
from provider_orchestrator.store import providers as store


@dataclass(frozen=True, slots=True)
class Reset:
    """Who wants which circuit to be tried again."""

    tenant_id: UUID
    key: Key
    actor: str


async def reset_providers(tx: Tx, requests: Sequence[Reset]) -> list[Health | Refusal]:
    """Half open each circuit that is open; it closes by itself when it then serves."""
    known = await store.lock_health(tx, list({request.key for request in requests}))
    answers: list[Health | Refusal] = []
    changes: list[tuple[Key, Change]] = []
    for request in requests:
        health = known.get(request.key)
        if health is None:
            answers.append(ProviderUnknown())
            continue
        after, more = reset(health, tx.now, f"reset by {request.actor}")
        changes += [(request.key, change) for change in more]
        known[request.key] = after
        answers.append(after if more else ProviderNotOpen())
    if changes:
        await store.update_health(tx, {key: known[key] for key, _ in changes})
        await record_changes(tx, changes)
    return answers
