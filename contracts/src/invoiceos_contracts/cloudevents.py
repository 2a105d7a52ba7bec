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
    raw = {name: value for name, value in headers if value is not None}
    try:
        return _read({name: value.decode() for name, value in raw.items() if _ours(name)})
    except KeyError as error:
        message = f"header {error.args[0]} is missing"
        raise EnvelopeError(message) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise EnvelopeError(str(error)) from error


def _ours(name: str) -> bool:
    return name.startswith("ce_") or name in {"traceparent", "tracestate"}


def _read(text: dict[str, str]) -> Envelope:
    if text["ce_specversion"] != SPEC_VERSION:
        message = f"CloudEvents {text['ce_specversion']} is not {SPEC_VERSION}"
        raise EnvelopeError(message)
    time = datetime.fromisoformat(text["ce_time"])
    if time.tzinfo is None:
        message = "ce_time has no offset from UTC"
        raise EnvelopeError(message)
    cause = text.get("ce_causationid")
    return Envelope(
        id=UUID(text["ce_id"]),
        type=text["ce_type"],
        source=text["ce_source"],
        subject=text["ce_subject"],
        time=time,
        tenant_id=decode("ten", text["ce_tenant"]),
        aggregate_version=int(text["ce_aggregateversion"]),
        correlation_id=text["ce_correlationid"],
        causation_id=UUID(cause) if cause else None,
        traceparent=text.get("traceparent"),
        tracestate=text.get("tracestate"),
    )
