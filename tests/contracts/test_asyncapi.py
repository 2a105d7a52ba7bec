"""Each service's AsyncAPI document is whole, and together they say who states and who hears what."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from chassis.documents import asyncapi, partner_asyncapi
from chassis.runtime import Service
from invoiceos_contracts import EVENTS, owned_by

FOLDER = Path(__file__).resolve().parents[2] / "contracts"
NAMES = sorted(point.name for point in entry_points(group="invoiceos.services"))
each_service = pytest.mark.parametrize("name", NAMES)


def service_named(name: str) -> Service:
    (point,) = entry_points(group="invoiceos.services", name=name)
    service: Service = point.load()
    return service


@cache
def document_of(name: str) -> dict[str, Any]:
    """Made once: each test looks at it, none changes it."""
    return asyncapi(service_named(name))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolve(document: Any, reference: str) -> Any:
    found = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def events_of(document: dict[str, Any], action: str) -> list[str]:
    return [
        reference["$ref"].rpartition("/")[2]
        for operation in document["operations"].values()
        if operation["action"] == action
        for reference in operation["messages"]
    ]


@each_service
def test_every_reference_resolves_inside_the_document(name: str) -> None:
    document = document_of(name)
    found = list(references(document))
    assert all(reference.startswith("#/") for reference in found)
    for reference in found:
        assert resolve(document, reference) is not None
    assert document["asyncapi"] == "3.0.0"


@each_service
def test_operations_refer_to_messages_of_their_own_channel(name: str) -> None:
    document = document_of(name)
    for operation in document["operations"].values():
        channel = operation["channel"]["$ref"]
        assert operation["messages"]
        assert all(m["$ref"].startswith(f"{channel}/messages/") for m in operation["messages"])


@each_service
def test_it_sends_what_it_owns_and_receives_what_it_subscribed_to(name: str) -> None:
    service = service_named(name)
    document = document_of(name)
    assert sorted(events_of(document, "send")) == sorted(e.__name__ for e in owned_by(name))
    subscribed = [event.__name__ for s in service.subscriptions for event in s.events]
    assert sorted(events_of(document, "receive")) == sorted(subscribed)


def test_every_event_is_sent_by_its_owner_and_by_nobody_else() -> None:
    senders: dict[str, list[str]] = {event.__name__: [] for event in EVENTS.values()}
    for name in NAMES:
        for event in events_of(document_of(name), "send"):
            senders[event].append(name)
    assert senders == {event.__name__: [event.OWNER] for event in EVENTS.values()}


@each_service
def test_examples_fit_the_payload_they_are_examples_of(name: str) -> None:
    document = document_of(name)
    for message in document["components"]["messages"].values():
        schema = resolve(document, message["payload"]["$ref"])
        for example in message["examples"]:
            jsonschema.validate(example["payload"], schema)


@each_service
def test_the_document_checked_in_is_the_generated_one(name: str) -> None:
    path = FOLDER / "asyncapi" / f"{name}.json"
    assert path.exists(), f"{path} is missing: run `make contracts`"
    assert json.loads(path.read_text()) == document_of(name), "run `make contracts`"


def test_the_partners_document_is_whole_and_is_the_one_checked_in() -> None:
    document = partner_asyncapi()
    assert json.loads((FOLDER / "asyncapi" / "partner.json").read_text()) == document
    for reference in references(document):
        assert resolve(document, reference) is not None
    for message in document["components"]["messages"].values():
        schema = resolve(document, message["payload"]["$ref"])
        for example in message["examples"]:
            jsonschema.validate(example["payload"], schema)
    assert events_of(document, "send") == ["InvoiceRequest"]
