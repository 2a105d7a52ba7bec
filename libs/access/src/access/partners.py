"""The life of a partner on the broker: made, looked at, given another secret, sent away."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from access.administration import Administration, line_of
from access.grants import Grant
from invoiceos_contracts.registry import (
    OUTCOMES,
    PARTNER_EVENTS,
    REQUESTS,
    principal_of,
    topics,
    topics_of,
)

NAME = r"[a-z0-9-]{2,40}"
PRODUCER_LIMIT = 256 * 1024
"""Bytes a second that a partner may write to each broker, unless another limit is asked for."""
CONSUMER_LIMIT = 2 * 1024 * 1024
"""Bytes a second that a partner may read from each broker."""
_LIMITS = ("producer_byte_rate", "consumer_byte_rate")
_SECRET_BYTES = 32


class UnknownTopic(Exception):
    """A topic that no contract declares."""


@dataclass(frozen=True)
class Wish:
    """A partner as an operator wants it."""

    name: str
    reads: Sequence[str] = ()
    """Topics of the platform that it may read besides its own; they carry facts of ALL tenants."""
    producer_limit: int = PRODUCER_LIMIT
    consumer_limit: int = CONSUMER_LIMIT
    replication: int = 1

    @property
    def principal(self) -> str:
        """Whom the broker knows it as."""
        return principal_of(self.name)

    def grants(self) -> frozenset[Grant]:
        """Write what it asks for; read what is meant for it, and what it was granted besides."""
        who = self.principal
        own = [family.topic(self.name) for family in (OUTCOMES, PARTNER_EVENTS)]
        return frozenset(
            {
                Grant(who, "topic", REQUESTS.topic(self.name), "write"),
                Grant(who, "group", group_prefix(self.name), "read", prefix=True),
                *(Grant(who, "topic", topic, "read") for topic in [*own, *self.reads]),
            }
        )


@dataclass(frozen=True)
class Found:
    """A partner as the broker has it."""

    principal: str
    has_secret: bool
    topics: Sequence[str]
    grants: Sequence[str]
    """One line each."""
    limits: dict[str, float] = field(default_factory=dict)
    """Bytes a second by the broker's names for them."""

    @property
    def exists(self) -> bool:
        """Whether anything but topics, which are kept, is there."""
        return self.has_secret or bool(self.grants) or bool(self.limits)


def group_prefix(name: str) -> str:
    """How the names of all consumer groups of a partner begin."""
    return f"partner.{name}."


def create(broker: Administration, wish: Wish) -> str | None:
    """Make what is missing, in an order in which dying half way leaves nothing open.

    The secret comes last and is given back once; None where the partner has one already.
    Raises `UnknownTopic`.
    """
    unknown = set(wish.reads) - {spec.name for spec in topics()}
    if unknown:
        raise UnknownTopic(", ".join(sorted(unknown)))
    broker.create_topics(topics_of(wish.name), wish.replication)
    broker.set_quota(
        wish.principal,
        dict(zip(_LIMITS, (wish.producer_limit, wish.consumer_limit), strict=True)),
    )
    broker.replace(wish.principal, wish.grants())
    if wish.principal in broker.users():
        return None
    return rotate(broker, wish.name)


def rotate(broker: Administration, name: str) -> str:
    """Give the partner a new secret; with the old one nobody logs in any more."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    broker.set_password(principal_of(name), secret)
    return secret


def revoke(broker: Administration, name: str) -> None:
    """Take rights, secret and limits; rights first, for they end open connections too."""
    principal = principal_of(name)
    broker.replace(principal, frozenset())
    broker.remove_user(principal)
    limits = broker.quota(principal)
    if limits:
        broker.set_quota(principal, dict.fromkeys(limits))


def look(broker: Administration, name: str) -> Found:
    """What the broker has of a partner."""
    principal = principal_of(name)
    present = broker.topics()
    return Found(
        principal=principal,
        has_secret=principal in broker.users(),
        topics=[spec.name for spec in topics_of(name) if spec.name in present],
        grants=sorted(line_of(entry) for entry in broker.rights(principal)),
        limits=broker.quota(principal),
    )


def lag(broker: Administration, name: str) -> dict[str, dict[Any, tuple[int, int]]]:
    """By group of the partner: of each partition the offset read up to, and the end."""
    return broker.lag(group_prefix(name))
