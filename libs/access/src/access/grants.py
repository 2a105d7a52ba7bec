"""What each principal may do, derived from the contracts and from what services declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from chassis.runtime import Service
from invoiceos_contracts.registry import owned_by
from messaging import Subscriptions

AUDITOR = "auditor"
GATEWAY = "gateway"
PARTNER_DOOR = "gateway.partners"
"""The consumer group by which the gateway reads what partners ask for."""
PARTNER_TOPICS = "partner."
"""How the names of all topics between a partner and the gateway begin."""
PLATFORM_TOPICS = "invoiceos."
"""How the names of the platform's own topics begin."""

Kind = Literal["topic", "group"]
Operation = Literal["read", "write"]


@dataclass(frozen=True, order=True, slots=True)
class Grant:
    """One thing that one principal may do, from any host.

    Whoever may read or write may also describe; there are no refusals, for what is not granted is
    refused.
    """

    principal: str
    kind: Kind
    name: str
    operation: Operation
    prefix: bool = False
    """It holds for everything whose name begins like this."""


def of_service(service: Service) -> Iterator[Grant]:
    """Writes to its own topics and to the dead letters of those it reads; reads as its group."""
    name = service.name
    for topic in {event.TOPIC for event in owned_by(name)}:
        yield Grant(name, "topic", topic, "write")
    group = service.group or name
    if service.subscriptions:
        yield Grant(name, "group", group, "read")
    for topic in Subscriptions(group, service.subscriptions).topics:
        yield Grant(name, "topic", topic, "read")
        yield Grant(name, "topic", f"{topic}.dlq", "write")


def of_partner_door() -> Iterator[Grant]:
    """The gateway takes what partners ask for and tells them what became of it.

    New partners need no new grant. Dead letters of a partner's topic begin like the topic.
    """
    yield Grant(GATEWAY, "topic", PARTNER_TOPICS, "read", prefix=True)
    yield Grant(GATEWAY, "topic", PARTNER_TOPICS, "write", prefix=True)
    yield Grant(GATEWAY, "group", PARTNER_DOOR, "read")


def of_auditor() -> Iterator[Grant]:
    """Reads everything and writes nothing; as no group, so that it leaves no trace."""
    for prefix in (PLATFORM_TOPICS, PARTNER_TOPICS):
        yield Grant(AUDITOR, "topic", prefix, "read", prefix=True)


def declared(services: Iterable[Service]) -> frozenset[Grant]:
    """The grants of the platform's own principals."""
    found = {grant for service in services for grant in of_service(service)}
    return frozenset(found.union(of_auditor(), of_partner_door()))
