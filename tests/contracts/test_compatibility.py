"""The gate bites: what would break a reader inside a version is named, an addition is not."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from typer import Exit

from chassis import documents
from chassis.documents import schema_of
from chassis.runtime import Service
from invoiceos_contracts import EVENTS
from invoiceos_contracts.compatibility import breaks

Schema = dict[str, Any]


def an_object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
OLD = an_object(
    "name",
    name=TEXT,
    count={"type": "integer", "minimum": 0, "maximum": 10},
    mode={"type": "string", "enum": ["a", "b"]},
    code={"type": "string", "maxLength": 5, "pattern": "^a"},
    either={"anyOf": [TEXT, NUMBER]},
    items={"type": "array", "items": an_object("x", x=TEXT)},
)


def changed(name: str, schema: Schema) -> Schema:
    return {**OLD, "properties": {**OLD["properties"], name: schema}}


REFUSED = {
    "a field removed": ({**OLD, "properties": {"name": TEXT}}, "is gone"),
    "a field retyped": (changed("name", NUMBER), "type string became integer"),
    "a new required field": (
        {**changed("extra", TEXT), "required": ["name", "extra"]},
        "newly required",
    ),
    "an optional field made required": ({**OLD, "required": ["name", "count"]}, "newly required"),
    "a required field made optional": ({**OLD, "required": []}, "no longer always there"),
    "an enum narrowed": (changed("mode", {"type": "string", "enum": ["a"]}), "'b' is gone"),
    "an enum introduced": (changed("name", {"type": "string", "enum": ["a"]}), "now only some"),
    "a maximum lowered": (
        changed("count", {"type": "integer", "minimum": 0, "maximum": 9}),
        "maximum was tightened",
    ),
    "a minimum raised": (
        changed("count", {"type": "integer", "minimum": 1, "maximum": 10}),
        "minimum was tightened",
    ),
    "a minimum introduced": (changed("name", {**TEXT, "minLength": 1}), "minLength was tightened"),
    "a length cut": (
        changed("code", {"type": "string", "maxLength": 4, "pattern": "^a"}),
        "maxLength was tightened",
    ),
    "a pattern changed": (
        changed("code", {"type": "string", "maxLength": 5, "pattern": "^b"}),
        "pattern changed",
    ),
    "an alternative removed": (changed("either", {"anyOf": [TEXT]}), "is gone"),
    "a field removed inside a list": (
        changed("items", {"type": "array", "items": an_object()}),
        ".x is gone",
    ),
}
ACCEPTED = {
    "nothing changed": OLD,
    "an optional field added": changed("extra", TEXT),
    "an enum widened": changed("mode", {"type": "string", "enum": ["a", "b", "c"]}),
    "a bound loosened": changed("count", {"type": "integer", "minimum": 0, "maximum": 11}),
    "an alternative added": changed("either", {"anyOf": [TEXT, NUMBER, {"type": "null"}]}),
    "a description changed": changed("name", {**TEXT, "description": "other words"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_breaks_a_reader_is_refused(case: str) -> None:
    schema, reason = REFUSED[case]
    assert any(reason in found for found in breaks(OLD, schema)), breaks(OLD, schema)


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_a_reader_does_not_notice_is_accepted(case: str) -> None:
    assert breaks(OLD, ACCEPTED[case]) == []


def test_references_are_followed() -> None:
    old = {**an_object(part={"$ref": "#/$defs/Part"}), "$defs": {"Part": an_object(a=TEXT)}}
    new = {**an_object(part={"$ref": "#/$defs/Part"}), "$defs": {"Part": an_object(a=NUMBER)}}
    assert breaks(old, new) == [".part.a: type string became integer"]


class First(BaseModel):
    """A model, to see that pydantic's own schemas are understood."""

    model_config = ConfigDict(extra="forbid")
    name: str


class Second(First):
    """With an optional field more."""

    note: str | None = None


def test_an_optional_field_of_a_model_is_an_addition() -> None:
    old = First.model_json_schema(mode="serialization")
    new = Second.model_json_schema(mode="serialization")
    assert [found for found in breaks(old, new) if "note is newly required" not in found] == []
    assert breaks(new, old) == [".note is gone"]


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.__name__)
def test_every_schema_is_compatible_with_itself(event: Any) -> None:
    assert breaks(schema_of(event), schema_of(event)) == []


def test_make_contracts_writes_nothing_when_a_schema_would_break(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    services: dict[str, Service] = {}
    written = list(documents.write(tmp_path, services))
    of_partners = ["schema", "golden", "asyncapi"]
    assert len(written) == 3 * len(EVENTS) + len([*of_partners, "history"])
    victim = next(path for path in written if path.parts[-3] == "schemas")
    schema = json.loads(victim.read_text())
    schema["properties"]["was_there"] = {"type": "string"}
    victim.write_text(json.dumps(schema))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    with pytest.raises(Exit):
        list(documents.write(tmp_path, services))
    assert "was_there is gone" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
