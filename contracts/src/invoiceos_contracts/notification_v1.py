"""Facts of `invoiceos.notification.v1`: who was told, and who could not be."""

from typing import ClassVar
from uuid import UUID

from invoiceos_contracts.base import Event, Moment
from invoiceos_contracts.ids import (
    InvoiceId,
    NotificationId,
    WebhookDeliveryId,
    WebhookEndpointId,
)


class NotificationSent(Event):
    """A message was accepted by the mail server."""

    TYPE: ClassVar[str] = "invoiceos.notification.sent.v1"
    TOPIC: ClassVar[str] = "invoiceos.notification.v1"
    OWNER: ClassVar[str] = "notification"
    KEY: ClassVar[tuple[str, str]] = ("notification_id", "ntf")

    notification_id: NotificationId
    invoice_id: InvoiceId | None
    channel: str
    template: str
    attempt: int


class NotificationFailed(Event):
    """A message could not be sent and will not be tried again."""

    TYPE: ClassVar[str] = "invoiceos.notification.failed.v1"
    TOPIC: ClassVar[str] = "invoiceos.notification.v1"
    OWNER: ClassVar[str] = "notification"
    KEY: ClassVar[tuple[str, str]] = ("notification_id", "ntf")

    notification_id: NotificationId
    invoice_id: InvoiceId | None
    channel: str
    template: str
    attempt: int
    reason: str


class WebhookDelivered(Event):
    """A subscriber's endpoint took an event."""

    TYPE: ClassVar[str] = "invoiceos.webhook.delivered.v1"
    TOPIC: ClassVar[str] = "invoiceos.notification.v1"
    OWNER: ClassVar[str] = "notification"
    KEY: ClassVar[tuple[str, str]] = ("delivery_id", "whd")

    delivery_id: WebhookDeliveryId
    endpoint_id: WebhookEndpointId
    invoice_id: InvoiceId | None
    delivered_event_id: UUID
    attempt: int
    status_code: int
    """The receiver's answer."""


class WebhookEndpointDisabled(Event):
    """An endpoint failed for so long that it gets nothing more until it is enabled again."""

    TYPE: ClassVar[str] = "invoiceos.webhook.endpoint_disabled.v1"
    TOPIC: ClassVar[str] = "invoiceos.notification.v1"
    OWNER: ClassVar[str] = "notification"
    KEY: ClassVar[tuple[str, str]] = ("endpoint_id", "whe")

    endpoint_id: WebhookEndpointId
    since: Moment
    """When the first failure without a success after it was."""
    reason: str
