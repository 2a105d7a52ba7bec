"""What is checked in is what the code says, and old messages of every version still parse."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from chassis.documents import _file_name, request_schema, schema_of
from invoiceos_contracts import EVENTS, Event, topics
from invoiceos_contracts.partner_v1 import InvoiceRequest
from invoiceos_contracts.registry import FAMILIES, TopicFamily, topics_of
from invoiceos_contracts.samples import sample

FOLDER = Path(__file__).resolve().parents[2] / "contracts"
HOW = "run `make contracts` and look at the difference"
events = pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.__name__)


def golden_of(event: type[Event]) -> dict[str, Any]:
    """The message of this event as it was when its version was published."""
    golden: dict[str, Any] = json.loads(
        (FOLDER / "golden" / f"{_file_name(event)}.json").read_text()
    )
    return golden


@events
def test_the_schema_checked_in_is_the_one_the_model_has(event: type[Event]) -> None:
    path = FOLDER / "schemas" / event.OWNER / f"{_file_name(event)}.json"
    assert path.exists(), f"{path} is missing: {HOW}"
    assert json.loads(path.read_text()) == schema_of(event), f"{path} is out of date: {HOW}"


def test_every_file_checked_in_belongs_to_an_event() -> None:
    known = {f"{event.OWNER}/{_file_name(event)}.json" for event in EVENTS.values()}
    known.add("partner/InvoiceRequest.v1.json")
    found = {
        path.relative_to(FOLDER / "schemas").as_posix()
        for path in (FOLDER / "schemas").rglob("*.json")
    }
    assert found == known, "an event that was published stays: bring its model back"
    goldens = {path.name for path in (FOLDER / "golden").glob("*.json")}
    assert goldens == {path.rpartition("/")[2] for path in known}


def _within(golden: Any, written: Any) -> Any:
    """Of what is written today, the part that the golden message speaks of, at every depth."""
    if isinstance(golden, dict):
        return {name: _within(golden[name], written[name]) for name in golden}
    if isinstance(golden, list) and len(golden) == len(written):
        return [_within(old, new) for old, new in zip(golden, written, strict=True)]
    return written


@events
def test_the_golden_message_still_parses_and_nothing_of_it_is_lost(event: type[Event]) -> None:
    golden = golden_of(event)
    fact = event.read(json.dumps(golden["data"]).encode())
    assert golden["type"] == event.TYPE
    assert golden["key"] == fact.subject
    written = json.loads(fact.write())
    assert _within(golden["data"], written) == golden["data"]


@events
def test_the_golden_message_fits_the_schema(event: type[Event]) -> None:
    jsonschema.validate(golden_of(event)["data"], schema_of(event))


@events
def test_a_fact_survives_writing_and_reading(event: type[Event]) -> None:
    fact = sample(event)
    assert event.read(fact.write()) == fact


@events
def test_readers_let_fields_be_that_a_later_version_added(event: type[Event]) -> None:
    body = {**json.loads(sample(event).write()), "added_later": {"a": [1]}}
    assert event.read(json.dumps(body).encode()) == sample(event)


@events
def test_writers_may_not_add_fields_of_their_own(event: type[Event]) -> None:
    with pytest.raises(ValueError, match="added"):
        event.model_validate({**sample(event).model_dump(), "added": 1})


@events
def test_an_event_is_frozen(event: type[Event]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        sample(event).tenant_id = None  # type: ignore[assignment,misc]


@events
def test_names_follow_the_rule(event: type[Event]) -> None:
    parts = event.TYPE.split(".")
    assert parts[0] == "invoiceos"
    assert parts[-1][0] == "v"
    assert parts[-1][1:].isdigit()
    assert event.TOPIC.startswith("invoiceos.")
    assert (event.__doc__ or "").strip().endswith("."), "say in a sentence what happened"
    assert set(event.model_fields) >= event.SENSITIVE


def test_each_topic_has_one_owner_and_its_dead_letters() -> None:
    owners: dict[str, set[str]] = {}
    for event in EVENTS.values():
        owners.setdefault(event.TOPIC, set()).add(event.OWNER)
    assert all(len(found) == 1 for found in owners.values()), owners
    names = {topic.name for topic in topics()}
    assert names == set(owners) | {f"{topic}.dlq" for topic in owners}


REQUEST = "InvoiceRequest.v1.json"


def test_what_a_partner_writes_has_its_schema_and_its_example_fits_it() -> None:
    schema = json.loads((FOLDER / "schemas" / "partner" / REQUEST).read_text())
    golden = json.loads((FOLDER / "golden" / REQUEST).read_text())
    assert schema == request_schema(), HOW
    assert golden["type"] == schema["x-type"] == InvoiceRequest.TYPE
    jsonschema.validate(golden["data"], schema)
    assert InvoiceRequest.model_validate(golden["data"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**golden["data"], "added": 1}, schema)


def test_no_type_of_the_platforms_own_may_be_written_by_a_partner() -> None:
    assert not InvoiceRequest.TYPE.startswith("invoiceos.")
    assert InvoiceRequest.TYPE not in EVENTS


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.purpose)
def test_a_familys_topics_are_told_from_all_others(family: TopicFamily) -> None:
    topic = family.topic("acme-2")
    assert family.partner_of(topic) == "acme-2"
    assert re.match(family.pattern, topic)
    others = [spec.name for spec in topics()]
    others += [other.topic("acme") for other in FAMILIES if other is not family]
    others += [f"{topic}.dlq", f"x{topic}", topic.replace("acme", "a.b"), topic.upper()]
    for other in others:
        assert family.partner_of(other) is None
        assert re.match(family.pattern, other) is None


def test_a_partner_writes_to_one_of_its_topics_alone() -> None:
    specs = topics_of("acme")
    assert {spec.name: spec.owner for spec in specs} == {
        "partner.acme.requests.v1": "partner-acme",
        "partner.acme.outcomes.v1": "gateway",
        "partner.acme.events.v1": "gateway",
    }
    assert not {spec.name for spec in specs} & {spec.name for spec in topics()}
