"""From a Kafka record to an event of ours, or to the reason why it cannot be one."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from invoiceos_contracts import EVENTS, PLATFORM, Envelope, EnvelopeError, Event, from_headers

E_co = TypeVar("E_co", bound=Event, covariant=True)
Record = ConsumerRecord


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


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that breaks the contract."""

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
    if fact.tenant_id not in (envelope.tenant_id, PLATFORM) or fact.subject != envelope.subject:
        return Unreadable(record, "envelope", "tenant or subject differs between header and body")
    if record.key != fact.subject.encode():
        return Unreadable(record, "envelope", "the key is not the subject")
    return Received(fact, envelope, record)


def key_of(record: Any) -> bytes:
    """The record's key; records without one stand each for themselves."""
    return record.key or f"{record.partition}@{record.offset}".encode()


def headers_as_text(record: Any) -> list[list[str]]:
    """Headers that can be stored as JSON, whatever bytes they hold."""
    return [
        [name.replace("\x00", ""), (value or b"").decode("utf-8", "replace").replace("\x00", "")]
        for name, value in record.headers
    ]
