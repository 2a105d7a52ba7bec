"""Our envelope is CloudEvents 1.0 in Kafka's binary mode: the official SDK is the judge."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from invoiceos_contracts import EVENTS, Envelope, EnvelopeError, Event, from_headers, to_headers
from invoiceos_contracts.cloudevents import schema_uri
from invoiceos_contracts.samples import sample

events = pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.__name__)


def envelope_of(fact: Event) -> Envelope:
    return Envelope(
        id=UUID("0193a5b2-7c4d-7e8f-9a0b-1c2d3e4f5a6b"),
        type=fact.TYPE,
        source=f"/invoiceos/{fact.OWNER}",
        subject=fact.subject,
        time=datetime(2026, 11, 20, 12, 30, 15, 123456, UTC),
        tenant_id=fact.tenant_id,
        aggregate_version=7,
        correlation_id=fact.correlation,
        causation_id=UUID("0193a5b2-0000-7e8f-9a0b-1c2d3e4f5a6b"),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


@events
def test_the_sdk_reads_what_we_write(event: type[Event]) -> None:
    fact = sample(event)
    headers = dict(to_headers(envelope_of(fact), schema_uri(event)))
    message = KafkaMessage(headers=headers, key=fact.subject.encode(), value=fact.write())
    read = from_binary(message, JSONFormat())
    assert isinstance(read, CloudEvent)
    assert read.get_specversion() == "1.0"
    assert read.get_id() == "0193a5b2-7c4d-7e8f-9a0b-1c2d3e4f5a6b"
    assert read.get_type() == event.TYPE
    assert read.get_source() == f"/invoiceos/{event.OWNER}"
    assert read.get_subject() == read.get_extension("partitionkey") == fact.subject
    assert read.get_time() == datetime(2026, 11, 20, 12, 30, 15, 123456, UTC)
    assert read.get_dataschema() == schema_uri(event)
    assert read.get_datacontenttype() == "application/json"
    assert read.get_extension("aggregateversion") == "7"
    assert read.get_extension("tenant").startswith("ten_")
    assert read.get_extension("correlationid") == fact.correlation
    assert read.get_data() == json.loads(fact.write())


@events
def test_we_read_what_the_sdk_writes(event: type[Event]) -> None:
    fact = sample(event)
    known = envelope_of(fact)
    ours = dict(to_headers(known, schema_uri(event)))
    made = CloudEvent(
        attributes={
            name.removeprefix("ce_"): value.decode()
            for name, value in ours.items()
            if name.startswith("ce_") and name != "ce_time"
        }
        | {"time": known.time, "datacontenttype": "application/json"},
        data=json.loads(fact.write()),
    )
    message = to_binary(made, JSONFormat(), key_mapper=lambda cloud_event: fact.subject)
    assert from_headers(message.headers.items()) == replace(known, traceparent=None)
    assert event.read(message.value) == fact
    assert set(message.headers) <= set(ours)


@events
def test_an_envelope_survives_the_headers(event: type[Event]) -> None:
    known = envelope_of(sample(event))
    assert from_headers(to_headers(known, schema_uri(event))) == known
    bare = replace(known, causation_id=None, traceparent=None)
    assert from_headers(to_headers(bare, schema_uri(event))) == bare


FACT = sample(next(iter(EVENTS.values())))
GOOD = dict(to_headers(envelope_of(FACT), "x"))


@pytest.mark.parametrize(
    "name",
    [name for name in GOOD if name not in {"ce_causationid", "ce_dataschema", "traceparent"}][:-1],
)
def test_a_header_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(EnvelopeError, match=name):
        from_headers((other, value) for other, value in GOOD.items() if other != name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_specversion", b"0.3"),
        ("ce_id", b"not a uuid"),
        ("ce_id", b"\xff\xfe"),
        ("ce_time", b"2026-11-20T12:00:00"),
        ("ce_time", b"yesterday"),
        ("ce_tenant", b"inv_00000000000000000000000000"),
        ("ce_aggregateversion", b"seven"),
        ("ce_causationid", b"0"),
        ("ce_type", b"\xff"),
    ],
)
def test_a_header_that_is_wrong_is_an_envelope_error_and_nothing_else(
    name: str, value: bytes
) -> None:
    with pytest.raises(EnvelopeError):
        from_headers({**GOOD, name: value}.items())


def test_foreign_headers_are_let_be_whatever_their_bytes() -> None:
    assert from_headers([*GOOD.items(), ("x-binary", b"\xff\x00"), ("empty", None)])
