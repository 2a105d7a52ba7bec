"""Change, enable, delete a receiver, or give it a new secret."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from messaging import Refusal, Tx
from notification.commands.queue_webhooks import wake_senders
from notification.errors import WebhookEndpointNotFound, WebhookEndpointVersionDiffers
from notification.store import endpoints as store
from notification.store.endpoints import Endpoint


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; None leaves a thing as it is."""

    tenant_id: UUID
    id: UUID
    version: int | None = None
    """The version the caller has seen; None where it does not care."""
    url: str | None = None
    description: str | None = None
    event_types: tuple[str, ...] | None = None
    state: Literal["enabled", "disabled", "deleted"] | None = None
    sealed_secret: dict[str, Any] | None = None
    overlap_s: int = 0
    """How long the secret so far goes on signing beside a new one."""


async def change_endpoints(tx: Tx, requests: Sequence[Change]) -> list[Endpoint | Refusal]:
    """Apply changes one after the other, each to what the one before left."""
    known = await store.lock_endpoints(
        tx, sorted({(request.tenant_id, request.id) for request in requests})
    )
    results: list[Endpoint | Refusal] = []
    changed: dict[UUID, Endpoint] = {}
    for request in requests:
        result = _apply(known.get(request.id), request, tx.now)
        results.append(result)
        if isinstance(result, Endpoint):
            known[request.id] = changed[request.id] = result
    if changed:
        await store.save_endpoints(tx, list(changed.values()))
        wake_senders(tx)
    return results


def _apply(endpoint: Endpoint | None, change: Change, now: datetime) -> Endpoint | Refusal:
    if endpoint is None or endpoint.state == "deleted" or endpoint.tenant_id != change.tenant_id:
        return WebhookEndpointNotFound()
    if change.version is not None and change.version != endpoint.version:
        return WebhookEndpointVersionDiffers(current=endpoint.version)
    after = replace(
        endpoint,
        version=endpoint.version + 1,
        updated_at=now,
        url=change.url or endpoint.url,
        description=endpoint.description if change.description is None else change.description,
        event_types=change.event_types or endpoint.event_types,
    )
    if change.sealed_secret is not None:
        after = _with_secret(after, change, now)
    match change.state:
        case "enabled":
            return replace(after, state="enabled", disabled_reason=None, failing_since=None)
        case "disabled":
            return replace(after, state="disabled", disabled_reason="by_request")
        case "deleted":
            return replace(
                after,
                state="deleted",
                disabled_reason=None,
                secret=None,
                previous_secret=None,
                previous_secret_until=None,
            )
    return after


def _with_secret(endpoint: Endpoint, change: Change, now: datetime) -> Endpoint:
    if change.overlap_s == 0:
        return replace(
            endpoint,
            secret=change.sealed_secret,
            previous_secret=None,
            previous_secret_until=None,
        )
    return replace(
        endpoint,
        secret=change.sealed_secret,
        previous_secret=endpoint.secret,
        previous_secret_until=now + timedelta(seconds=change.overlap_s),
    )
