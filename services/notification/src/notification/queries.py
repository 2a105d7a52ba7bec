"""Read models: what the API shows of endpoints, deliveries and notifications."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from invoiceos_contracts.ids import (
    InvoiceId,
    NotificationId,
    WebhookDeliveryId,
    WebhookEndpointId,
)
from messaging import Tx
from messaging.operations import Traced
from notification.store.deliveries import NewDelivery
from notification.store.endpoints import Endpoint


class WebhookEndpointView(BaseModel):
    """A receiver of events; its secret is shown when it is made, never again."""

    id: WebhookEndpointId
    version: int
    url: str
    description: str
    event_types: tuple[str, ...]
    state: str
    """enabled or disabled."""
    disabled_reason: str | None
    """by_request, failing (for too long), or gone (the receiver answered 410)."""
    failing_since: datetime | None
    """First failure since the last success."""
    previous_secret_until: datetime | None
    """Until when the secret before the last rotation signs too."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, endpoint: Endpoint) -> "WebhookEndpointView":
        """Show an endpoint."""
        return cls(
            id=endpoint.id,
            version=endpoint.version,
            url=endpoint.url,
            description=endpoint.description,
            event_types=endpoint.event_types,
            state=endpoint.state,
            disabled_reason=endpoint.disabled_reason,
            failing_since=endpoint.failing_since,
            previous_secret_until=endpoint.previous_secret_until,
            created_at=endpoint.created_at,
            updated_at=endpoint.updated_at,
        )


class WebhookEndpointWithSecret(WebhookEndpointView):
    """A receiver with the secret that its signatures are checked with."""

    secret: str
    """`whsec_...`, as Standard Webhooks libraries take it."""


class WebhookDeliveryView(BaseModel):
    """An event on its way to an endpoint."""

    id: WebhookDeliveryId
    endpoint_id: WebhookEndpointId
    event_id: UUID
    """Also the `webhook-id` header, in every attempt and generation."""
    event_type: str | None
    invoice_id: InvoiceId | None
    generation: int
    """1 at first, one more with each replay."""
    state: str
    """pending, delivering, succeeded, failed or canceled."""
    attempt: int
    """Attempts so far."""
    reason: str | None
    next_at: datetime | None
    """When the next attempt is due, while one is."""
    created_at: datetime
    finished_at: datetime | None


class WebhookAttemptView(BaseModel):
    """One attempt."""

    attempt: int
    at: datetime
    status_code: int | None
    error: str | None
    """Why no status came: timeout, connect, dns, tls, network, refused_address or lost."""
    duration_ms: int
    answer: str
    """The first 1 KB of what the receiver answered."""


class WebhookDeliveryWithAttempts(WebhookDeliveryView):
    """An event on its way to an endpoint, and every attempt."""

    attempts: tuple[WebhookAttemptView, ...]


class WebhookDeliveryQueued(BaseModel):
    """A delivery that has just been queued."""

    id: WebhookDeliveryId
    endpoint_id: WebhookEndpointId
    event_id: UUID
    generation: int

    @classmethod
    def of(cls, delivery: NewDelivery) -> "WebhookDeliveryQueued":
        """Show a new delivery."""
        return cls(
            id=delivery.id,
            endpoint_id=delivery.endpoint_id,
            event_id=delivery.event_id,
            generation=delivery.generation,
        )


class NotificationView(BaseModel):
    """A message to a recipient; who that is stays sealed."""

    id: NotificationId
    invoice_id: InvoiceId
    channel: str
    template: str
    state: str
    """pending, sending, sent or failed."""
    attempt: int
    reason: str | None
    created_at: datetime
    finished_at: datetime | None


async def endpoints_of(
    tx: Tx, tenant_id: UUID, after: UUID | None, limit: int
) -> list[WebhookEndpointView]:
    """Endpoints of a tenant, the newest first."""
    rows = await tx.fetch(
        """
        select id, version, url, description, event_types, state, disabled_reason, failing_since,
               previous_secret_until, created_at, updated_at
        from webhook_endpoint
        where tenant_id = $1 and state <> 'deleted' and ($2::uuid is null or id < $2)
        order by id desc limit $3
        """,
        tenant_id,
        after,
        limit,
    )
    return [WebhookEndpointView(**row) for row in rows]


async def endpoint(tx: Tx, tenant_id: UUID, endpoint_id: UUID) -> WebhookEndpointView | None:
    """One endpoint."""
    row = await tx.fetchrow(
        """
        select id, version, url, description, event_types, state, disabled_reason, failing_since,
               previous_secret_until, created_at, updated_at
        from webhook_endpoint where tenant_id = $1 and id = $2 and state <> 'deleted'
        """,
        tenant_id,
        endpoint_id,
    )
    return None if row is None else WebhookEndpointView(**row)


_DELIVERY = """
    select d.id, d.endpoint_id, d.event_id, e.type as event_type, e.invoice_id, d.generation,
           d.state, d.attempt, d.reason,
           case when d.state = 'pending' then d.next_at end as next_at,
           d.created_at, d.finished_at
    from webhook_delivery d
    left join webhook_event e on e.tenant_id = d.tenant_id and e.id = d.event_id
"""
_DELIVERIES = (
    _DELIVERY
    + """
    where d.tenant_id = $1 and d.endpoint_id = $2 and ($3::text is null or d.state = $3)
      and ($4::uuid is null or d.id < $4)
    order by d.id desc limit $5
"""
)
_ONE_DELIVERY = _DELIVERY + " where d.tenant_id = $1 and d.id = $2"


async def deliveries_of(
    tx: Tx, endpoint_key: tuple[UUID, UUID], state: str | None, after: UUID | None, limit: int
) -> list[WebhookDeliveryView]:
    """Deliveries to an endpoint (tenant, id), the newest first."""
    rows = await tx.fetch(_DELIVERIES, *endpoint_key, state, after, limit)
    return [WebhookDeliveryView(**row) for row in rows]


async def delivery(
    tx: Tx, tenant_id: UUID, delivery_id: UUID
) -> WebhookDeliveryWithAttempts | None:
    """One delivery with its attempts."""
    row = await tx.fetchrow(_ONE_DELIVERY, tenant_id, delivery_id)
    if row is None:
        return None
    return WebhookDeliveryWithAttempts(
        **row, attempts=await _attempts_of(tx, tenant_id, delivery_id)
    )


async def _attempts_of(
    tx: Tx, tenant_id: UUID, delivery_id: UUID
) -> tuple[WebhookAttemptView, ...]:
    rows: Sequence[Any] = await tx.fetch(
        """
        select attempt, at, status_code, error, duration_ms, answer from webhook_attempt
        where tenant_id = $1 and delivery_id = $2 order by attempt
        """,
        tenant_id,
        delivery_id,
    )
    return tuple(WebhookAttemptView(**row) for row in rows)


async def notifications_of(
    tx: Tx, tenant_id: UUID, invoice_id: UUID | None, after: UUID | None, limit: int
) -> list[NotificationView]:
    """Notifications of a tenant, or of one invoice, the newest first."""
    rows = await tx.fetch(
        """
        select id, invoice_id, channel, template, state, attempt, reason, created_at, finished_at
        from notification
        where tenant_id = $1 and ($2::uuid is null or invoice_id = $2)
          and ($3::uuid is null or id < $3)
        order by id desc limit $4
        """,
        tenant_id,
        invoice_id,
        after,
        limit,
    )
    return [NotificationView(**row) for row in rows]


TRACED = (
    Traced(
        "mail",
        """
        select tenant_id, invoice_id, coalesce(finished_at, created_at) as at,
               template || ', ' || state as title, cause_event_id as cause, null as subject,
               jsonb_build_object('attempts', attempt, 'reason', reason,
                                  'next_at', case when state = 'pending' then next_at end)
                   as details
        from notification
        """,
    ),
    Traced(
        "webhook delivery",
        """
        select d.tenant_id, e.invoice_id, coalesce(d.finished_at, d.created_at) as at,
               w.url || ', ' || d.state as title, d.event_id as cause, null as subject,
               jsonb_build_object('delivery', d.id, 'reason', d.reason, 'attempts', (
                   select jsonb_agg(jsonb_build_object(
                       'at', a.at, 'status', a.status_code, 'error', a.error,
                       'ms', a.duration_ms, 'answer', left(a.answer, 200)) order by a.attempt)
                   from webhook_attempt a
                   where a.tenant_id = d.tenant_id and a.delivery_id = d.id)) as details
        from webhook_delivery d
        join webhook_event e on e.tenant_id = d.tenant_id and e.id = d.event_id
        join webhook_endpoint w on w.tenant_id = d.tenant_id and w.id = d.endpoint_id
        """,
    ),
)
"""What operators see of an invoice when they trace it."""
