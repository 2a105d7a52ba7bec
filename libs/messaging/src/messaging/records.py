"""From a Kafka record to an event of ours, or to the reason why it cannot be one."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from invoiceos_contracts import (
    EVENTS,
    PLATFORM,
    Envelope,
    EnvelopeError,
    Event,
    from_headers,
    topics,
)

E_co = TypeVar("E_co", bound=Event, covariant=True)
Record = ConsumerRecord
OWN_TOPICS = frozenset(spec.name for spec in topics())
"""The platform's topics, made with it; others come and go with whom they belong to."""


@dataclass(frozen=True, slots=True)
class Received(Generic[E_co]):
    """An event as it came: the fact, and what the envelope says about it."""

    fact: E_co
    envelope: Envelope
    record: Any

    @property
    def id(self) -> UUID:
        """Id of the event, the same in every redelivery; the cause of what follows from it."""
        return self.envelope.id

    @property
    def tenant_id(self) -> UUID:
        """Tenant the fact belongs to."""
        return self.fact.tenant_id

    @property
    def traceparent(self) -> str | None:
        """Span that stated the fact."""
        return self.envelope.traceparent


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record as somebody outside wrote it: nothing it says is believed yet."""

    record: Any
    id: UUID
    """Follows from where the record stands: the same in every redelivery."""
    traceparent: None = None

    @classmethod
    def of(cls, record: Any) -> "Arrived":
        """Name a record by its place, and by its time lest a topic made anew repeats its places.

        The id has the form of a UUIDv7, so that the inbox forgets it when it is old.
        """
        place = f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp}"
        number = int.from_bytes(hashlib.sha256(place.encode()).digest()[:10], "big")
        number |= min(max(record.timestamp, 0), 2**48 - 1) << 80
        number = number & ~(0xF << 76) | 7 << 76
        return cls(record, UUID(int=number & ~(3 << 62) | 2 << 62))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that breaks the contract, and cannot be answered."""

    record: Any
    reason: str
    error: str


def read(record: Any, wanted: Collection[str]) -> Received[Event] | Unreadable | None:
    """Parse a record; None when it is of a type that nobody here asked for. Never raises."""
    try:
        envelope = from_headers(record.headers)
    except EnvelopeError as error:
        return Unreadable(record, "envelope", str(error))
    if envelope.type not in wanted:
        return None
    try:
        fact = EVENTS[envelope.type].read(record.value or b"")
    except ValidationError as error:
        return Unreadable(record, "contract", str(error.errors(include_input=False))[:2000])
    except (ValueError, RecursionError) as error:
        return Unreadable(record, "contract", repr(error)[:2000])
    if wrong := _contradiction(record, fact, envelope):
        return Unreadable(record, "envelope", wrong)
    return Received(fact, envelope, record)


def _contradiction(record: Any, fact: Event, envelope: Envelope) -> str:
    """What body, headers and key say differently; empty when they agree."""
    if fact.tenant_id not in (envelope.tenant_id, PLATFORM) or fact.subject != envelope.subject:
        return "tenant or subject differs between header and body"
    return "" if record.key == fact.subject.encode() else "the key is not the subject"


def key_of(record: Any) -> bytes:
    """The record's key; records without one stand each for themselves."""
    return record.key or f"{record.partition}@{record.offset}".encode()


def headers_as_text(record: Any) -> list[list[str]]:
    """Headers that can be stored as JSON, whatever bytes they hold."""
    return [
        [name.replace("\x00", ""), (value or b"").decode("utf-8", "replace").replace("\x00", "")]
        for name, value in record.headers
    ]
