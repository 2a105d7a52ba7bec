"""The door of topics: how a case becomes a record, and where it must end."""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer
from tests.bad_input.catalogue import ABSENT, TWICE, Case
from tests.bad_input.rest import spliced
from uuid_utils.compat import uuid7

from chassis.cli import services
from invoiceos_contracts import EVENTS, Envelope, EnvelopeError, Event, from_headers, to_headers
from invoiceos_contracts.cloudevents import schema_uri
from invoiceos_contracts.samples import sample
from messaging.consuming import Subscriptions
from testkit.platform import Platform

Headers = tuple[tuple[str, bytes | None], ...]
Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A record to produce."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def _fact(kind: str, tenant_id: UUID) -> Event:
    """A good fact about an aggregate that nothing else is about."""
    event = EVENTS[kind]
    return sample(event).model_copy(update={"tenant_id": tenant_id, event.KEY[0]: uuid7()})


def _headers(fact: Event) -> Headers:
    envelope = Envelope(
        id=uuid7(),
        type=fact.TYPE,
        source=f"/invoiceos/{fact.OWNER}",
        subject=fact.subject,
        time=datetime.now(UTC),
        tenant_id=fact.tenant_id,
        aggregate_version=1,
        correlation_id=fact.correlation,
    )
    return to_headers(envelope, schema_uri(type(fact)))


def _with_header(headers: Headers, case: Case) -> Headers:
    name = case.place.name
    if name == "*":
        return ()
    if case.form == TWICE:
        first = dict(headers).get(name, case.sent)
        rest = tuple(pair for pair in headers if pair[0] != name)
        return (*rest, (name, first), (name, case.sent))
    kept = tuple(pair for pair in headers if pair[0] != name)
    return kept if case.form == ABSENT else (*kept, (name, case.sent))


def poison_of(case: Case, tenant_id: UUID) -> Poison:
    """The record of a case: a good one with one thing wrong."""
    fact = _fact(case.place.target, tenant_id)
    body: Any = json.loads(fact.write())
    key: bytes | None = fact.subject.encode()
    value, headers = fact.write(), _headers(fact)
    part, name = case.place.part, case.place.name
    if part == "header":
        headers = _with_header(headers, case)
    elif part == "key":
        key = None if case.form == ABSENT else case.sent
    elif part == "body+":
        value = json.dumps(body | json.loads(case.sent)).encode()
    else:
        value = spliced(body, name, case.in_json) if name else case.sent
    return Poison(fact.TOPIC, key, value, headers)


def readers() -> Mapping[str, Subscriptions]:
    """What each service reads."""
    return {
        name: Subscriptions(service.group or name, service.subscriptions)
        for name, service in services().items()
        if service.subscriptions
    }


def concerned(poison: Poison, everyone: Mapping[str, Subscriptions]) -> set[str]:
    """Services that must put a record aside: all that read its topic, where its headers say
    nothing to go by; else those that ask for its type.
    """
    reading = {name for name, reader in everyone.items() if poison.topic in reader.topics}
    try:
        kind = from_headers(poison.headers).type
    except EnvelopeError:
        return reading
    return {name for name in reading if kind in everyone[name].types}


async def produce(bootstrap: str, poisons: Sequence[Poison]) -> list[Place]:
    """Where each record went."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_request_size=16 * 1024 * 1024
    )
    async with producer:
        sent = [
            await producer.send(p.topic, p.value, p.key, headers=list(p.headers)) for p in poisons
        ]
        done = await asyncio.gather(*sent)
    return [(one.topic, one.partition, one.offset) for one in done]


async def put_aside(
    platform: Platform, names: Collection[str]
) -> dict[tuple[str, Place], tuple[str, str]]:
    """State and reason of every dead letter, by service and place of the record."""
    found = {}
    for name in names:
        rows = await platform.sql(
            "select topic, partition, record_offset, state, reason"
            f" from {name.replace('-', '_')}.dead_letter"
        )
        for topic, partition, offset, state, reason in rows:
            found[name, (topic, partition, offset)] = (state, reason)
    return found
