"""CloudEvents 1.0, Kafka binary binding: the envelope in headers, the value is the data alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from invoiceos_contracts.base import Event
from invoiceos_contracts.ids import decode, encode

Headers = tuple[tuple[str, bytes], ...]
SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
SCHEMA_BASE = "https://schemas.invoiceos.dev"
"""Prefix of schema URIs: names, not places to fetch from."""
HEADER_LENGTH_MAX = 512
"""Characters of a header that is read; each is printable ASCII and given once."""
_YEARS = range(2000, 2200)
_DIGITS_MAX = 18
_READ = frozenset(
    {
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_subject",
        "ce_time",
        "ce_tenant",
        "ce_aggregateversion",
        "ce_correlationid",
        "ce_causationid",
        "traceparent",
        "tracestate",
        "content-type",
    }
)


class EnvelopeError(ValueError):
    """The headers of a record do not make a CloudEvents envelope of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What is said about a fact: who stated it, when, in which tenant, because of what."""

    id: UUID
    type: str
    source: str
    subject: str
    time: datetime
    tenant_id: UUID
    aggregate_version: int
    correlation_id: str
    causation_id: UUID | None = None
    traceparent: str | None = None
    tracestate: str | None = None


def schema_uri(event: type[Event]) -> str:
    """URI of the JSON Schema of an event, version included."""
    return f"{SCHEMA_BASE}/{event.OWNER}/{event.__name__}.{event.TYPE.rpartition('.')[2]}.json"


def to_headers(envelope: Envelope, dataschema: str) -> Headers:
    """Kafka headers of an envelope, in a fixed order."""
    pairs: list[tuple[str, str | None]] = [
        ("ce_specversion", SPEC_VERSION),
        ("ce_id", str(envelope.id)),
        ("ce_type", envelope.type),
        ("ce_source", envelope.source),
        ("ce_subject", envelope.subject),
        ("ce_time", envelope.time.isoformat().replace("+00:00", "Z")),
        ("ce_dataschema", dataschema),
        ("ce_tenant", encode("ten", envelope.tenant_id)),
        ("ce_aggregateversion", str(envelope.aggregate_version)),
        ("ce_correlationid", envelope.correlation_id),
        ("ce_causationid", str(envelope.causation_id) if envelope.causation_id else None),
        ("traceparent", envelope.traceparent),
        ("tracestate", envelope.tracestate),
        ("content-type", CONTENT_TYPE),
    ]
    return tuple((name, value.encode()) for name, value in pairs if value is not None)


def from_headers(headers: Iterable[tuple[str, bytes | None]]) -> Envelope:
    """The envelope in a record's headers; raises `EnvelopeError`, never anything else."""
    found: dict[str, str] = {}
    try:
        for name, value in headers:
            if name not in _READ or value is None:
                continue
            if name in found:
                message = f"header {name} is given twice"
                raise EnvelopeError(message)
            found[name] = _text(name, value)
        return _read(found)
    except KeyError as error:
        message = f"header {error.args[0]} is missing"
        raise EnvelopeError(message) from error
    except ValueError as error:
        raise EnvelopeError(str(error)) from error


def _text(name: str, value: bytes) -> str:
    text = value.decode("ascii")
    if len(text) > HEADER_LENGTH_MAX or not text.isprintable():
        message = f"header {name} is too long or holds what cannot be printed"
        raise EnvelopeError(message)
    return text


def _read(text: dict[str, str]) -> Envelope:
    if text["ce_specversion"] != SPEC_VERSION:
        message = f"CloudEvents {text['ce_specversion']} is not {SPEC_VERSION}"
        raise EnvelopeError(message)
    if text.get("content-type", CONTENT_TYPE).partition(";")[0].strip() != CONTENT_TYPE:
        message = f"content-type is not {CONTENT_TYPE}"
        raise EnvelopeError(message)
    cause = text.get("ce_causationid")
    return Envelope(
        id=_uuid(text["ce_id"]),
        type=text["ce_type"],
        source=text["ce_source"],
        subject=text["ce_subject"],
        time=_moment(text["ce_time"]),
        tenant_id=decode("ten", text["ce_tenant"]),
        aggregate_version=_version(text["ce_aggregateversion"]),
        correlation_id=text["ce_correlationid"],
        causation_id=_uuid(cause) if cause else None,
        traceparent=text.get("traceparent"),
        tracestate=text.get("tracestate"),
    )


def _uuid(text: str) -> UUID:
    """Only the one way to write it that everyone reads: UUID() takes braces and prefixes too."""
    value = UUID(text)
    if str(value) != text.lower():
        message = "a UUID is written as 8-4-4-4-12 hexadecimal digits"
        raise EnvelopeError(message)
    return value


def _moment(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        message = "ce_time has no offset from UTC"
        raise EnvelopeError(message)
    if time.year not in _YEARS:
        message = "ce_time is not of our times"
        raise EnvelopeError(message)
    return time


def _version(text: str) -> int:
    if not text.isdecimal() or len(text) > _DIGITS_MAX or text.startswith("0"):
        message = "ce_aggregateversion is not 1, 2, 3 ..."
        raise EnvelopeError(message)
    return int(text)
