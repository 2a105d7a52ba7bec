"""How the providers are, over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, cursor_of
from chassis.inputs import Input
from chassis.strict_json import StrictRoute
from invoiceos_contracts import PLATFORM
from invoiceos_contracts.base import Health
from provider_orchestrator.commands.reset_providers import Reset, reset_providers
from provider_orchestrator.domain.health import EVERY, Key
from provider_orchestrator.domain.routing_rules import AssetCode, Method
from provider_orchestrator.errors import OperatorsOnly
from provider_orchestrator.queries import providers as queries
from provider_orchestrator.queries.providers import HealthChangeView, ProvidersHealthView
from provider_orchestrator.settings import settings

router = APIRouter(route_class=StrictRoute)
Name = Annotated[str, Query(pattern="^[a-z0-9][a-z0-9_-]{0,31}$")]


class ResetBody(Input):
    """Which circuit to try again."""

    provider: Method
    rail: Method
    currency: AssetCode | None = None
    """Null for the rail as a whole."""


class ResetView(Input):
    """The circuit afterwards."""

    state: Health


@router.get("/api/v1/providers/health")
async def get_providers_health(
    tx: Reading, caller: Annotated[Caller, Depends(needs("providers:read"))]
) -> ProvidersHealthView:
    """How each provider is: circuit, score, speed, and how far its chain has been read."""
    del caller
    chosen = settings()
    found = await queries.providers_health(
        tx, chosen.tempo_chain_id, chosen.tempo_unmatched_after_s
    )
    return ProvidersHealthView(items=found)


@router.get("/api/v1/providers/health/history", response_model=Page[HealthChangeView])
async def get_health_history(
    tx: Reading,
    caller: Annotated[Caller, Depends(needs("providers:read"))],
    provider: Name | None = None,
    rail: Name | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """What the circuits did, the newest first; the last thousand changes of each are kept."""
    del caller
    found = await queries.health_changes(
        tx, provider=provider, rail=rail, after=after(cursor), limit=limit + 1
    )
    shown = found[:limit]
    more = cursor_of(shown[-1][0]) if len(found) > limit else None
    return {"items": [view for _, view in shown], "next_cursor": more}


@router.post("/api/v1/providers/health/reset", response_model=ResetView)
async def post_health_reset(
    body: ResetBody,
    write: Writing,
    caller: Annotated[Caller, Depends(needs("operator"))],
) -> Response:
    """Try a provider again whose circuit is open; for the platform's operator alone.

    A circuit that opened because our credentials were refused stays open until this is done.
    """
    if caller.tenant_id != PLATFORM:
        raise OperatorsOnly
    key = Key(body.provider, body.rail, body.currency or EVERY)
    return await write(
        reset_providers,
        Reset(caller.tenant_id, key, caller.actor),
        answer=lambda health: ResetView(state=health.state),
    )
