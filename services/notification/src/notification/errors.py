"""Conditions that a request about webhooks can meet."""

from messaging.errors import Kind, Refusal


class WebhookUrlRefused(Refusal):
    """The address must not be called."""

    code = "webhook_url_refused"
    kind = Kind.INVALID
    title = "The URL must be https on port 443 of a public host"


class UnknownEventType(Refusal):
    """Nothing of this type is ever sent."""

    code = "unknown_event_type"
    kind = Kind.INVALID
    title = "Name event types that exist, a prefix such as invoiceos.invoice.*, or *"


class WebhookEndpointNotFound(Refusal):
    """No such endpoint, as far as the caller may know."""

    code = "webhook_endpoint_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no webhook endpoint with this id"


class WebhookDeliveryNotFound(Refusal):
    """No such delivery, as far as the caller may know."""

    code = "webhook_delivery_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no webhook delivery with this id"


class WebhookEndpointVersionDiffers(Refusal):
    """Somebody changed it since it was read."""

    code = "version_differs"
    kind = Kind.PRECONDITION
    title = "The endpoint was changed since; read it again and repeat the change"


class TooManyWebhookEndpoints(Refusal):
    """The tenant has as many endpoints as there may be."""

    code = "too_many_webhook_endpoints"
    kind = Kind.REFUSED
    title = "Delete a webhook endpoint before creating another"


class WebhookEndpointDisabledNow(Refusal):
    """Nothing is sent to a disabled endpoint."""

    code = "webhook_endpoint_disabled"
    kind = Kind.REFUSED
    title = "The endpoint is disabled; enable it first"


class WebhookDeliveryUnfinished(Refusal):
    """The event is still being delivered to this endpoint."""

    code = "webhook_delivery_unfinished"
    kind = Kind.REFUSED
    title = "The event is still being delivered; replay it once that has ended"
