"""New routing rules: a version of their own, without effect until it is activated."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.routing_rules import RoutingRules
from provider_orchestrator.store import routing as store
from provider_orchestrator.store.routing import Version


@dataclass(frozen=True, slots=True)
class NewRules:
    """Somebody wrote rules."""

    tenant_id: UUID
    rules: RoutingRules
    note: str | None
    actor: str


async def save_rules(tx: Tx, requests: Sequence[NewRules]) -> list[Version]:
    """Number each, in the order in which they came."""
    following = await store.take_versions(tx, Counter(request.tenant_id for request in requests))
    versions = []
    for request in requests:
        number = following[request.tenant_id]
        following[request.tenant_id] = number + 1
        versions.append(
            Version(request.tenant_id, number, request.rules, request.note, request.actor)
        )
    await store.insert_versions(tx, versions)
    return versions
