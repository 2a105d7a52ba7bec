"""Every event there is: the one list from which schemas, AsyncAPI, topics and ACLs are made."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from invoiceos_contracts import (
    bulk_v1,
    ephemeral_v1,
    hold_v1,
    identity_v1,
    invoice_v1,
    ledger_v1,
    notification_v1,
    partner_v1,
    payment_v1,
    payout_v1,
    provider_v1,
    wallet_v1,
)
from invoiceos_contracts.base import Event
from invoiceos_contracts.partner_v1 import (
    InvoiceRequest,
    InvoiceRequestAccepted,
    InvoiceRequestRefused,
    InvoiceRequestRejected,
)

_MODULES = (
    identity_v1,
    invoice_v1,
    wallet_v1,
    ephemeral_v1,
    payment_v1,
    payout_v1,
    provider_v1,
    ledger_v1,
    hold_v1,
    notification_v1,
    partner_v1,
    bulk_v1,
)
DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as the broker should have it."""

    name: str
    owner: str
    partitions: int
    retention_ms: int
    compacted: bool = False
    """Whether the newest record of each key stays for ever, and older ones go."""


def _declared() -> Iterator[type[Event]]:
    for module in _MODULES:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Event) and "TYPE" in vars(value):
                yield value


EVENTS: dict[str, type[Event]] = {event.TYPE: event for event in _declared()}
"""CloudEvents type -> model."""


_PUBLISHED_TOPICS = frozenset(
    f"invoiceos.{aggregate}.v1"
    for aggregate in ("invoice", "wallet", "ephemeral", "payment", "payout", "ledger")
)
_OF_THE_PLATFORM = frozenset(
    f"invoiceos.ledger.reserve_{fact}.v1"
    for fact in (
        "stated",
        "breached",
        "restored",
        "freeze_lifted",
        "reconciled",
        "liabilities_proved",
    )
)
PUBLISHED: tuple[type[Event], ...] = tuple(
    event
    for event in EVENTS.values()
    if event.TOPIC in _PUBLISHED_TOPICS and event.TYPE not in _OF_THE_PLATFORM
)
"""Facts of tenants that leave the platform: to webhooks, and to partners' topics of events."""


COMPACTED = frozenset({"invoiceos.ledger_head.v1"})
"""Topics that keep the newest record of each key, however old it is."""


@dataclass(frozen=True, slots=True)
class TopicFamily:
    """Topics of one purpose, one for each partner."""

    purpose: str
    written_by: str
    """`partner`, or the service that writes to it; the other one reads."""
    partitions: int
    retention_ms: int
    carries: tuple[type[Event] | type[InvoiceRequest], ...]

    @property
    def template(self) -> str:
        """The topics' names, `{name}` standing for the partner's."""
        return f"partner.{{name}}.{self.purpose}.v1"

    @property
    def pattern(self) -> str:
        """Regular expression that the topics' names match, and no other topic's."""
        return rf"^partner\.[a-z0-9-]+\.{self.purpose}\.v1$"

    def topic(self, partner: str) -> str:
        """The topic of one partner."""
        return self.template.format(name=partner)

    def partner_of(self, topic: str) -> str | None:
        """Whose topic this is; None where it is none of this family."""
        found = re.fullmatch(rf"partner\.([a-z0-9-]+)\.{self.purpose}\.v1", topic)
        return found[1] if found else None


REQUESTS = TopicFamily("requests", "partner", 3, 7 * DAY_MS, (InvoiceRequest,))
"""What partners ask for; kept briefly, for it may hold what is personal, in clear."""
OUTCOMES = TopicFamily(
    "outcomes",
    "gateway",
    3,
    30 * DAY_MS,
    (InvoiceRequestAccepted, InvoiceRequestRefused, InvoiceRequestRejected),
)
"""What became of each request, keyed by the request."""
PARTNER_EVENTS = TopicFamily("events", "gateway", 6, 30 * DAY_MS, PUBLISHED)
"""The facts of the partner's own tenant, each as it stands on its shared topic."""
FAMILIES: tuple[TopicFamily, ...] = (REQUESTS, OUTCOMES, PARTNER_EVENTS)


def principal_of(partner: str) -> str:
    """Whom the broker knows a partner as."""
    return f"partner-{partner}"


def topics_of(partner: str) -> list[TopicSpec]:
    """The topics of one partner; made with the partner, not with the platform."""
    return [
        TopicSpec(
            family.topic(partner),
            principal_of(partner) if family.written_by == "partner" else family.written_by,
            family.partitions,
            family.retention_ms,
        )
        for family in FAMILIES
    ]


def topics() -> list[TopicSpec]:
    """The platform's topics and their dead letters, which are kept longer, for people read them."""
    owners = {event.TOPIC: event.OWNER for event in EVENTS.values()}
    specs = []
    for name, owner in sorted(owners.items()):
        specs.append(
            TopicSpec(
                name,
                owner,
                partitions=6,
                retention_ms=30 * DAY_MS,
                compacted=name in COMPACTED,
            )
        )
        specs.append(TopicSpec(f"{name}.dlq", owner, partitions=1, retention_ms=90 * DAY_MS))
    return specs


def owned_by(service: str) -> list[type[Event]]:
    """The facts that this service, and no other, states."""
    return [event for event in EVENTS.values() if service == event.OWNER]
