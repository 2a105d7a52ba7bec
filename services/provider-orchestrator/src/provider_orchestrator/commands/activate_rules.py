"""From now on, payments are routed by this version."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Refusal, Tx
from provider_orchestrator.errors import RulesNotFound
from provider_orchestrator.store import routing as store
from provider_orchestrator.store.routing import Activation


@dataclass(frozen=True, slots=True)
class Activate:
    """Somebody wants a version to count."""

    tenant_id: UUID
    version: int
    actor: str


async def activate_rules(tx: Tx, requests: Sequence[Activate]) -> list[Activation | Refusal]:
    """Let each version count; one that counts already is left alone."""
    heads = await store.lock_heads(tx, [request.tenant_id for request in requests])
    answers: list[Activation | Refusal] = []
    news: list[Activation] = []
    for request in requests:
        versions, active = heads.get(request.tenant_id, (0, None))
        if not 1 <= request.version <= versions:
            answers.append(RulesNotFound())
            continue
        made = Activation(request.tenant_id, request.version, active, request.actor)
        if active != request.version:
            news.append(made)
            heads[request.tenant_id] = (versions, request.version)
        answers.append(made)
    if news:
        await store.activate(tx, news)
    return answers
