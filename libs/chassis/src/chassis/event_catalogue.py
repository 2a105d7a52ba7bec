"""What partners may know of every event, in one shape: the guide and the page are made of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoiceos_contracts import EVENTS, Event
from invoiceos_contracts.deprecations import DEPRECATIONS, Deprecation
from invoiceos_contracts.glossary import MEANINGS

Schema = dict[str, Any]
NAMED_SHAPES = ("Amount", "Sealed")
"""Shown by name, each once, instead of field by field in every event."""
UNRELEASED = "Unreleased"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body, however deep."""

    path: str
    """`status.document`, `lines[].total`."""
    kind: str
    required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a release did to an event, as `contracts/history.json` keeps it."""

    release: str
    type: str
    change: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, as partners see it."""

    event: type[Event]
    schema: Schema
    sample: dict[str, Any]
    """`topic`, `key`, `headers` and `value` of one record."""
    readers: tuple[str, ...]
    """Services of the platform that consume it."""
    changes: tuple[Change, ...]

    @property
    def name(self) -> str:
        return self.event.__name__

    @property
    def meaning(self) -> str:
        """The first paragraph of its docstring, on one line."""
        return first_paragraph(self.event.__doc__)

    @property
    def key(self) -> str:
        """Which field the record's key is."""
        return self.event.KEY[0]

    @property
    def since(self) -> str:
        """The release that stated it first."""
        return next((c.release for c in self.changes if c.change == "added"), UNRELEASED)

    @property
    def deprecation(self) -> Deprecation | None:
        return DEPRECATIONS.get(self.event.TYPE)

    @property
    def fields(self) -> list[Field]:
        return list(fields_of(self.schema))


def first_paragraph(docstring: str | None) -> str:
    """A docstring's first paragraph, on one line."""
    return " ".join((docstring or "").strip().partition("\n\n")[0].split())


def fields_of(schema: Schema) -> Iterator[Field]:
    """The fields of a body, in their order, nested ones behind the one that holds them."""
    yield from _fields(schema, schema, "")


def _fields(schema: Schema, root: Schema, prefix: str) -> Iterator[Field]:
    required = set(schema.get("required", ()))
    for name, declared in schema.get("properties", {}).items():
        inner, suffix = _inside(declared, root)
        path = f"{prefix}{name}"
        meaning = declared.get("description") or MEANINGS.get(name, "")
        yield Field(path, _kind(declared, root), name in required, meaning)
        if inner is not None and inner.get("title") not in NAMED_SHAPES:
            yield from _fields(inner, root, f"{path}{suffix}.")


def _resolve(schema: Schema, root: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return found


def _options(schema: Schema, root: Schema) -> list[Schema]:
    """The alternatives, those inside alternatives too."""
    found = _resolve(schema, root)
    if "anyOf" not in found:
        return [found]
    return [inner for option in found["anyOf"] for inner in _options(option, root)]


def _inside(schema: Schema, root: Schema) -> tuple[Schema | None, str]:
    """The object in a field, and `[]` where there is a list of them."""
    for option in _options(schema, root):
        if "properties" in option:
            return option, ""
        if option.get("type") == "array" and isinstance(option.get("items"), dict):
            inner, suffix = _inside(option["items"], root)
            return inner, f"[]{suffix}"
    return None, ""


def _kind(schema: Schema, root: Schema) -> str:
    """What may stand there, in a few words."""
    words = [_word(option, root) for option in _options(schema, root)]
    if "string" in words:
        # A value that a later version may add to is any text to its readers.
        words = [word for word in words if not word.startswith("one of")]
    return " or ".join(dict.fromkeys(words))


def _word(schema: Schema, root: Schema) -> str:
    if schema.get("title") in NAMED_SHAPES:
        return str(schema["title"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), root)}"
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return "one of " + ", ".join(f"`{value}`" for value in values)
    return _plain_word(schema)


def _plain_word(schema: Schema) -> str:
    pattern = str(schema.get("pattern", ""))
    if pattern[4:5] == "_" and pattern.startswith("^"):
        return f"id `{pattern[1:5]}...`"
    formats = {"date-time": "time", "uuid": "UUID"}
    return formats.get(str(schema.get("format")), str(schema.get("type", "any")))


def entries(
    schemas: Mapping[str, Schema],
    samples: Mapping[str, dict[str, Any]],
    readers: Mapping[str, tuple[str, ...]],
    changes: list[Change],
) -> list[Entry]:
    """Every event of the registry, in its order; the mappings are by CloudEvents type."""
    return [
        Entry(
            event,
            schemas[name],
            samples[name],
            readers.get(name, ()),
            tuple(change for change in changes if change.type == name),
        )
        for name, event in EVENTS.items()
    ]


def read_history(path: Path) -> list[Change]:
    """The changelog of events; empty where there is none yet."""
    return [Change(**row) for row in json.loads(path.read_text())] if path.exists() else []


def continued(
    history: list[Change], before: Mapping[str, Schema], after: Mapping[str, Schema]
) -> list[Change]:
    """The changelog with what differs now; `before` and `after` are schemas by type.

    A change is written down once, under no release; whoever makes one gives it its name.
    """
    known = {(change.type, change.change) for change in history}
    added = {change.type for change in history if change.change == "added"}
    found = list(history)
    for name, schema in after.items():
        if name not in added:
            found.append(Change(UNRELEASED, name, "added"))
        elif name in before:
            found += [
                Change(UNRELEASED, name, change)
                for change in differences(before[name], schema)
                if (name, change) not in known
            ]
    return found


def differences(before: Schema, after: Schema) -> Iterator[str]:
    """What readers of one version find new: fields, and other values of one they know."""
    old = {field.path: field for field in fields_of(before)}
    for field in fields_of(after):
        if field.path not in old:
            yield f"optional field `{field.path}` added"
        elif field.kind != old[field.path].kind:
            yield f"`{field.path}` may now be {field.kind}"
