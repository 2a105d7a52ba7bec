"""Register a receiver of a tenant's events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from messaging import Refusal, Tx
from notification.errors import TooManyWebhookEndpoints
from notification.store import endpoints as store
from notification.store.endpoints import Endpoint

ENDPOINTS_MAX = 50
"""Per tenant: each event is delivered as often."""


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """A receiver to register; its secret is sealed under its id."""

    tenant_id: UUID
    id: UUID
    url: str
    description: str
    event_types: tuple[str, ...]
    sealed_secret: dict[str, Any]


async def create_endpoints(tx: Tx, requests: Sequence[NewEndpoint]) -> list[Endpoint | Refusal]:
    """Register receivers, so many a tenant."""
    counts = await store.count_endpoints(tx, list({request.tenant_id for request in requests}))
    results: list[Endpoint | Refusal] = []
    for request in requests:
        count = counts.get(request.tenant_id, 0)
        if count >= ENDPOINTS_MAX:
            results.append(TooManyWebhookEndpoints(f"There can be {ENDPOINTS_MAX}"))
            continue
        counts[request.tenant_id] = count + 1
        results.append(_endpoint_of(tx, request))
    created = [result for result in results if isinstance(result, Endpoint)]
    if created:
        await store.save_endpoints(tx, created)
    return results


def _endpoint_of(tx: Tx, request: NewEndpoint) -> Endpoint:
    return Endpoint(
        tenant_id=request.tenant_id,
        id=request.id,
        version=1,
        url=request.url,
        description=request.description,
        event_types=request.event_types,
        state="enabled",
        disabled_reason=None,
        secret=request.sealed_secret,
        previous_secret=None,
        previous_secret_until=None,
        failing_since=None,
        created_at=tx.now,
        updated_at=tx.now,
    )
