"""HTTP in: webhook endpoints, their deliveries, and notifications."""

import base64
import os
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AfterValidator, Field, StringConstraints

from chassis.auth import Caller, needs
from chassis.http import Cursor, ExpectedVersion, Limit, Page, Reading, Writing, after, etag, page
from chassis.inputs import Input, clean
from chassis.sealing import Sealer
from chassis.strict_json import StrictRoute
from invoiceos_contracts import encode
from invoiceos_contracts.ids import InvoiceId, WebhookDeliveryId, WebhookEndpointId
from messaging import Tx
from notification import queries
from notification.commands.change_endpoint import Change, change_endpoints
from notification.commands.create_endpoint import NewEndpoint, create_endpoints
from notification.commands.replay_delivery import Replay, replay_deliveries
from notification.commands.send_test_event import TestRequest, send_test_events
from notification.domain.event_types import unknown
from notification.domain.urls import URL_LENGTH_MAX, inspect
from notification.errors import (
    UnknownEventType,
    WebhookDeliveryNotFound,
    WebhookEndpointNotFound,
    WebhookUrlRefused,
)
from notification.queries import (
    NotificationView,
    WebhookDeliveryQueued,
    WebhookDeliveryView,
    WebhookDeliveryWithAttempts,
    WebhookEndpointView,
    WebhookEndpointWithSecret,
)
from notification.settings import NotificationSettings
from notification.store.endpoints import Endpoint

router = APIRouter(route_class=StrictRoute, tags=["webhooks"])
SECRET_BYTES = 32
CanRead = Annotated[Caller, Depends(needs("webhooks:read"))]
CanWrite = Annotated[Caller, Depends(needs("webhooks:write"))]
CanReadNotifications = Annotated[Caller, Depends(needs("notifications:read"))]
Url = Annotated[str, StringConstraints(min_length=1, max_length=URL_LENGTH_MAX, strict=True)]
Description = Annotated[str, StringConstraints(max_length=200, strict=True), AfterValidator(clean)]
EventType = Annotated[
    str, StringConstraints(min_length=1, max_length=100, strict=True, pattern=r"^[a-z0-9_.*]+$")
]
EventTypes = Annotated[tuple[EventType, ...], Field(min_length=1, max_length=50)]
DeliveryState = Literal["pending", "delivering", "succeeded", "failed", "canceled"]


class NewWebhookEndpoint(Input):
    """A receiver to register."""

    url: Url
    description: Description = ""
    event_types: EventTypes = ("*",)
    """`*`, types such as `invoiceos.invoice.paid.v1`, or prefixes such as `invoiceos.invoice.*`."""


class WebhookEndpointChange(Input):
    """What is to be different; what is left out stays."""

    url: Url | None = None
    description: Description | None = None
    event_types: EventTypes | None = None
    state: Literal["enabled", "disabled"] | None = None


def _settings(request: Request) -> NotificationSettings:
    settings: NotificationSettings = request.app.state.runtime.settings
    return settings


Configured = Annotated[NotificationSettings, Depends(_settings)]


def _check(settings: NotificationSettings, url: str | None, types: Sequence[str] | None) -> None:
    """Refuse what must not or cannot be called."""
    if url is not None:
        target = inspect(url, settings.webhook_allow_hosts)
        if isinstance(target, str):
            raise WebhookUrlRefused(reason=target)
    if types is not None and (strangers := unknown(tuple(types))):
        raise UnknownEventType(types=strangers)


def _new_secret(settings: NotificationSettings, endpoint_id: str) -> tuple[str, dict[str, str]]:
    """A secret as its owner sees it, and as it is kept."""
    secret = "whsec_" + base64.b64encode(os.urandom(SECRET_BYTES)).decode()
    sealer = Sealer(settings.webhook_secret_key.get_secret_value())
    sealed = sealer.seal(secret, subject=endpoint_id, data_key=Sealer.new_data_key())
    return secret, sealed.model_dump(mode="json")


def _with_secret(endpoint: Endpoint, secret: str) -> WebhookEndpointWithSecret:
    view = WebhookEndpointView.of(endpoint)
    return WebhookEndpointWithSecret(**view.model_dump(), secret=secret)


@router.post("/api/v1/webhook-endpoints", status_code=201, response_model=WebhookEndpointWithSecret)
async def post_webhook_endpoint(
    body: NewWebhookEndpoint, caller: CanWrite, write: Writing, settings: Configured
) -> Response:
    """Register a receiver; the answer is the only one that shows its secret."""
    _check(settings, body.url, body.event_types)
    endpoint_id = Tx.new_id()
    secret, sealed = _new_secret(settings, encode("whe", endpoint_id))
    request = NewEndpoint(
        caller.tenant_id, endpoint_id, body.url, body.description, body.event_types, sealed
    )
    return await write(
        create_endpoints,
        request,
        answer=lambda endpoint: _with_secret(endpoint, secret),
        status=201,
        headers=lambda endpoint: etag(endpoint.version),
        sealer=Sealer(settings.webhook_secret_key.get_secret_value()),
    )


@router.get("/api/v1/webhook-endpoints", response_model=Page[WebhookEndpointView])
async def get_webhook_endpoints(
    caller: CanRead, tx: Reading, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, object]:
    """Receivers of the tenant, the newest first."""
    items = await queries.endpoints_of(tx, caller.tenant_id, after(cursor), limit + 1)
    return page(items, limit, lambda item: item.id)


@router.get("/api/v1/webhook-endpoints/{endpoint_id}", response_model=WebhookEndpointView)
async def get_webhook_endpoint(
    endpoint_id: WebhookEndpointId, caller: CanRead, tx: Reading, response: Response
) -> WebhookEndpointView:
    """One receiver."""
    found = await queries.endpoint(tx, caller.tenant_id, endpoint_id)
    if found is None:
        raise WebhookEndpointNotFound
    response.headers.update(etag(found.version))
    return found


@router.patch("/api/v1/webhook-endpoints/{endpoint_id}", response_model=WebhookEndpointView)
async def patch_webhook_endpoint(
    endpoint_id: WebhookEndpointId,
    body: WebhookEndpointChange,
    caller: CanWrite,
    write: Writing,
    version: ExpectedVersion,
    settings: Configured,
) -> Response:
    """Change a receiver; with `If-Match` only if it is as the caller saw it."""
    _check(settings, body.url, body.event_types)
    change = Change(
        caller.tenant_id,
        endpoint_id,
        version,
        url=body.url,
        description=body.description,
        event_types=body.event_types,
        state=body.state,
    )
    return await _changed(write, change)


async def _changed(write: Writing, change: Change) -> Response:
    return await write(
        change_endpoints,
        change,
        answer=WebhookEndpointView.of,
        headers=lambda endpoint: etag(endpoint.version),
    )


@router.delete("/api/v1/webhook-endpoints/{endpoint_id}", status_code=204)
async def delete_webhook_endpoint(
    endpoint_id: WebhookEndpointId, caller: CanWrite, write: Writing, version: ExpectedVersion
) -> Response:
    """Remove a receiver and its secret; what was on its way is canceled, the log stays."""
    change = Change(caller.tenant_id, endpoint_id, version, state="deleted")
    return await write(change_endpoints, change, answer=lambda _: None, status=204)


@router.post("/api/v1/webhook-endpoints/{endpoint_id}/enable", response_model=WebhookEndpointView)
async def post_enable(endpoint_id: WebhookEndpointId, caller: CanWrite, write: Writing) -> Response:
    """Let a disabled receiver have what comes from now on; what it missed can be replayed."""
    return await _changed(write, Change(caller.tenant_id, endpoint_id, state="enabled"))


@router.post(
    "/api/v1/webhook-endpoints/{endpoint_id}/rotate-secret",
    response_model=WebhookEndpointWithSecret,
)
async def post_rotate_secret(
    endpoint_id: WebhookEndpointId, caller: CanWrite, write: Writing, settings: Configured
) -> Response:
    """Make a new secret; for a time both sign, so that the receiver can change over."""
    secret, sealed = _new_secret(settings, encode("whe", endpoint_id))
    change = Change(
        caller.tenant_id,
        endpoint_id,
        sealed_secret=sealed,
        overlap_s=settings.webhook_secret_overlap_s,
    )
    return await write(
        change_endpoints,
        change,
        answer=lambda endpoint: _with_secret(endpoint, secret),
        sealer=Sealer(settings.webhook_secret_key.get_secret_value()),
    )


@router.post(
    "/api/v1/webhook-endpoints/{endpoint_id}/test",
    status_code=202,
    response_model=WebhookDeliveryQueued,
)
async def post_test(endpoint_id: WebhookEndpointId, caller: CanWrite, write: Writing) -> Response:
    """Send `invoiceos.webhook.test` to a receiver, signed and retried like any other event."""
    return await write(
        send_test_events,
        TestRequest(caller.tenant_id, endpoint_id),
        answer=WebhookDeliveryQueued.of,
        status=202,
    )


@router.get(
    "/api/v1/webhook-endpoints/{endpoint_id}/deliveries",
    response_model=Page[WebhookDeliveryView],
)
async def get_deliveries(
    endpoint_id: WebhookEndpointId,
    caller: CanRead,
    tx: Reading,
    state: DeliveryState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, object]:
    """What went and goes to a receiver, the newest first."""
    if await queries.endpoint(tx, caller.tenant_id, endpoint_id) is None:
        raise WebhookEndpointNotFound
    place = (caller.tenant_id, endpoint_id)
    items = await queries.deliveries_of(tx, place, state, after(cursor), limit + 1)
    return page(items, limit, lambda item: item.id)


@router.get("/api/v1/webhook-deliveries/{delivery_id}", response_model=WebhookDeliveryWithAttempts)
async def get_delivery(
    delivery_id: WebhookDeliveryId, caller: CanRead, tx: Reading
) -> WebhookDeliveryWithAttempts:
    """One delivery with every attempt."""
    found = await queries.delivery(tx, caller.tenant_id, delivery_id)
    if found is None:
        raise WebhookDeliveryNotFound
    return found


@router.post(
    "/api/v1/webhook-deliveries/{delivery_id}/replay",
    status_code=202,
    response_model=WebhookDeliveryQueued,
)
async def post_replay(delivery_id: WebhookDeliveryId, caller: CanWrite, write: Writing) -> Response:
    """Deliver an event once more, under the same id, once its last delivery has ended."""
    return await write(
        replay_deliveries,
        Replay(caller.tenant_id, delivery_id),
        answer=WebhookDeliveryQueued.of,
        status=202,
    )


@router.get("/api/v1/notifications", response_model=Page[NotificationView], tags=["notifications"])
async def get_notifications(
    caller: CanReadNotifications,
    tx: Reading,
    invoice_id: InvoiceId | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, object]:
    """Messages to recipients, the newest first."""
    items = await queries.notifications_of(
        tx, caller.tenant_id, invoice_id, after(cursor), limit + 1
    )
    return page(items, limit, lambda item: item.id)
