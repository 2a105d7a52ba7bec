"""What each principal may do, derived from the contracts and from what services declare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from chassis.runtime import Service
from invoiceos_contracts.registry import FAMILIES, owned_by

AUDITOR = "auditor"
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
    """Writes to its own topics and to the dead letters of those it reads; reads as its groups.

    Its own topics it reads as no group: what it stated, for whoever traces an invoice. What it
    reads by a pattern it may read by the pattern's beginning: a new partner changes no right of a
    service.
    """
    name = service.name
    for topic in {event.TOPIC for event in owned_by(name)}:
        yield Grant(name, "topic", topic, "write")
        yield Grant(name, "topic", topic, "read")
    for family in FAMILIES:
        if family.written_by == name:
            yield Grant(name, "topic", beginning_of(family.pattern), "write", prefix=True)
    for group in service.groups():
        yield Grant(name, "group", group.group, "read")
        for topic in group.topics:
            yield Grant(name, "topic", topic, "read")
            yield Grant(name, "topic", f"{topic}.dlq", "write")
        if group.pattern is not None:
            beginning = beginning_of(group.pattern)
            yield Grant(name, "topic", beginning, "read", prefix=True)
            yield Grant(name, "topic", beginning, "write", prefix=True)  # its dead letters


def beginning_of(pattern: str) -> str:
    """The whole words with which every name begins that matches."""
    found = re.match(r"\^((?:[a-z0-9-]+\\\.)+)", pattern)
    assert found is not None, f"{pattern} would need a right to every topic"
    return found[1].replace("\\.", ".")


def of_auditor() -> Iterator[Grant]:
    """Reads everything and writes nothing; as no group, so that it leaves no trace."""
    for prefix in (PLATFORM_TOPICS, PARTNER_TOPICS):
        yield Grant(AUDITOR, "topic", prefix, "read", prefix=True)


def declared(services: Iterable[Service]) -> frozenset[Grant]:
    """The grants of the platform's own principals."""
    found = {grant for service in services for grant in of_service(service)}
    return frozenset(found.union(of_auditor()))
