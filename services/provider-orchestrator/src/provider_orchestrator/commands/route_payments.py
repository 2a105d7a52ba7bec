"""Choose where payments go, by the rules that count and the health of this moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.routing import (
    Capabilities,
    Inputs,
    Routable,
    candidates_of,
    choose,
)
from provider_orchestrator.store import routing as store
from provider_orchestrator.store.providers import select_health
from provider_orchestrator.store.routing import Decided


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """A payment needs a provider, or somebody wants to know which one it would get."""

    tenant_id: UUID
    purpose: Literal["preview", "payment"]
    routable: Routable
    catalogue: Sequence[Capabilities]
    """The providers there are."""
    chance: int
    """Drawn by whoever asks."""
    actor: str


async def route_payments(tx: Tx, requests: Sequence[RouteRequest]) -> list[Decided]:
    """Decide each, and keep each decision with all that it was made of."""
    active = await store.select_active(tx, list({request.tenant_id for request in requests}))
    known = await select_health(tx)
    kinds = [(r.tenant_id, r.routable.operation, r.routable.asset) for r in requests]
    in_use = await store.select_in_use(tx, kinds)
    decided = []
    for request, kind in zip(requests, kinds, strict=True):
        rules = active[request.tenant_id]
        inputs = Inputs(
            routable=request.routable,
            candidates=candidates_of(request.catalogue, known, request.routable.asset, tx.now),
            chance=request.chance,
            in_use=in_use.get(kind),
        )
        decided.append(
            Decided(
                tenant_id=request.tenant_id,
                id=tx.new_id(),
                purpose=request.purpose,
                rules_version=rules.version,
                inputs=inputs,
                decision=choose(inputs, rules.rules),
                decided_by=request.actor,
                decided_at=tx.now,
            )
        )
    await store.insert_decisions(tx, decided)
    return decided
