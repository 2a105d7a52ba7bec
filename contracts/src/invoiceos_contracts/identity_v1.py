"""Facts of `invoiceos.identity.v1`: tenants and the keys that act for them."""

from typing import ClassVar

from invoiceos_contracts.base import Event
from invoiceos_contracts.ids import ApiKeyId, PartnerName


class IdentityEvent(Event):
    """Belongs to a tenant's history."""

    TOPIC: ClassVar[str] = "invoiceos.identity.v1"
    OWNER: ClassVar[str] = "gateway"
    KEY: ClassVar[tuple[str, str]] = ("tenant_id", "ten")


class TenantCreated(IdentityEvent):
    """A company joined."""

    TYPE: ClassVar[str] = "invoiceos.tenant.created.v1"

    name: str


class ApiKeyCreated(IdentityEvent):
    """A key was made; its secret was shown once and is nowhere in this event."""

    TYPE: ClassVar[str] = "invoiceos.api_key.created.v1"

    api_key_id: ApiKeyId
    name: str
    prefix: str
    """First letters of the key, enough to recognise it."""
    scopes: tuple[str, ...]


class ApiKeyRevoked(IdentityEvent):
    """A key stopped working."""

    TYPE: ClassVar[str] = "invoiceos.api_key.revoked.v1"

    api_key_id: ApiKeyId
    prefix: str


class PartnerEvent(IdentityEvent):
    """About a partner that acts for the tenant through topics of its own."""

    partner: PartnerName
    principal: str
    """Whom the broker knows it as."""


class PartnerRegistered(PartnerEvent):
    """A partner got its topics, or wants other events from now on."""

    TYPE: ClassVar[str] = "invoiceos.partner.registered.v1"

    event_types: tuple[str, ...]
    """Which facts are copied to its topic of events: `*`, types, or prefixes ending in `.*`."""


class PartnerRevoked(PartnerEvent):
    """Nothing of this partner is let in any more, and nothing copied for it."""

    TYPE: ClassVar[str] = "invoiceos.partner.revoked.v1"
