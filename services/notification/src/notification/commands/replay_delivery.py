"""Deliver an event to an endpoint once more."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Refusal, Tx
from notification.commands.queue_webhooks import wake_senders
from notification.errors import (
    WebhookDeliveryNotFound,
    WebhookDeliveryUnfinished,
    WebhookEndpointDisabledNow,
)
from notification.store import deliveries, endpoints
from notification.store.deliveries import NewDelivery


@dataclass(frozen=True, slots=True)
class Replay:
    """A delivery that has ended, to be made again."""

    tenant_id: UUID
    delivery_id: UUID


async def replay_deliveries(tx: Tx, requests: Sequence[Replay]) -> list[NewDelivery | Refusal]:
    """Start a new generation with the same event id, so that the receiver can recognise it.

    The endpoints are locked first: two replays of one event follow one another.
    """
    ids = [(request.tenant_id, request.delivery_id) for request in requests]
    heads = await endpoints.select_heads(tx, ids)
    known = await endpoints.lock_endpoints(
        tx, sorted({(head.tenant_id, head.endpoint_id) for head in heads.values()})
    )
    heads = await endpoints.select_heads(tx, ids)
    results: list[NewDelivery | Refusal] = []
    queued: dict[tuple[UUID, UUID], NewDelivery] = {}
    for request in requests:
        head = heads.get(request.delivery_id)
        if head is None or head.tenant_id != request.tenant_id:
            results.append(WebhookDeliveryNotFound())
            continue
        endpoint = known.get(head.endpoint_id)
        if endpoint is None or endpoint.state != "enabled":
            results.append(WebhookEndpointDisabledNow())
            continue
        place = (head.endpoint_id, head.event_id)
        if head.unfinished or place in queued:
            results.append(WebhookDeliveryUnfinished())
            continue
        queued[place] = NewDelivery(
            head.tenant_id, tx.new_id(), *place, generation=head.newest_generation + 1
        )
        results.append(queued[place])
    if queued:
        await deliveries.insert_deliveries(tx, list(queued.values()))
        wake_senders(tx)
    return results
