"""Every event there is: the one list from which schemas, AsyncAPI, topics and ACLs are made."""

from collections.abc import Iterator
from dataclasses import dataclass

from invoiceos_contracts import (
    ephemeral_v1,
    identity_v1,
    invoice_v1,
    ledger_v1,
    notification_v1,
    payment_v1,
    provider_v1,
    wallet_v1,
)
from invoiceos_contracts.base import Event

_MODULES = (
    identity_v1,
    invoice_v1,
    wallet_v1,
    ephemeral_v1,
    payment_v1,
    provider_v1,
    ledger_v1,
    notification_v1,
)
DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as the broker should have it."""

    name: str
    owner: str
    partitions: int
    retention_ms: int


def _declared() -> Iterator[type[Event]]:
    for module in _MODULES:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Event) and "TYPE" in vars(value):
                yield value


EVENTS: dict[str, type[Event]] = {event.TYPE: event for event in _declared()}
"""CloudEvents type -> model."""


def topics() -> list[TopicSpec]:
    """Each topic and its dead letters; dead letters are kept longer, for people read them."""
    owners = {event.TOPIC: event.OWNER for event in EVENTS.values()}
    specs = []
    for name, owner in sorted(owners.items()):
        specs.append(TopicSpec(name, owner, partitions=6, retention_ms=30 * DAY_MS))
        specs.append(TopicSpec(f"{name}.dlq", owner, partitions=1, retention_ms=90 * DAY_MS))
    return specs


def owned_by(service: str) -> list[type[Event]]:
    """The facts that this service, and no other, states."""
    return [event for event in EVENTS.values() if service == event.OWNER]
