"""Send an endpoint an event that means nothing, to see whether it arrives."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from invoiceos_contracts import encode
from messaging import Refusal, Tx
from notification.commands.queue_webhooks import body_of, wake_senders
from notification.domain.event_types import TEST_TYPE
from notification.errors import WebhookEndpointDisabledNow, WebhookEndpointNotFound
from notification.store import deliveries, endpoints
from notification.store.deliveries import NewDelivery, WebhookEvent


@dataclass(frozen=True, slots=True)
class TestRequest:
    """An endpoint to try."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    tenant_id: UUID
    endpoint_id: UUID


async def send_test_events(tx: Tx, requests: Sequence[TestRequest]) -> list[NewDelivery | Refusal]:
    """Queue a test event for each endpoint, whatever types it asked for."""
    known = await endpoints.lock_endpoints(
        tx, sorted({(request.tenant_id, request.endpoint_id) for request in requests})
    )
    results: list[NewDelivery | Refusal] = []
    events: list[WebhookEvent] = []
    for request in requests:
        endpoint = known.get(request.endpoint_id)
        if endpoint is None or endpoint.tenant_id != request.tenant_id:
            results.append(WebhookEndpointNotFound())
        elif endpoint.state != "enabled":
            results.append(WebhookEndpointDisabledNow())
        else:
            event = _event_of(tx, request)
            events.append(event)
            results.append(
                NewDelivery(request.tenant_id, tx.new_id(), request.endpoint_id, event.id)
            )
    if events:
        await deliveries.insert_events(tx, events)
        queued = [result for result in results if isinstance(result, NewDelivery)]
        await deliveries.insert_deliveries(tx, queued)
        wake_senders(tx)
    return results


def _event_of(tx: Tx, request: TestRequest) -> WebhookEvent:
    event_id = tx.new_id()
    data = {"endpoint_id": encode("whe", request.endpoint_id), "message": "This is a test."}
    body = body_of(event_id, TEST_TYPE, tx.now, request.tenant_id, data)
    return WebhookEvent(request.tenant_id, event_id, TEST_TYPE, None, body)
