"""The catalogue: what is sent where, and what it must get; read from the tables in `cases/`.

A table names the places its values go to, by door, and what each door answers as a rule:

    about = "Amounts of money"
    [places]
    rest = ["POST /api/v1/invoices body lines.0.unit_price_minor"]
    topic = ["invoiceos.payment.succeeded.v1 body amount.amount_minor"]
    [expected]
    rest = "422 invalid_request"
    topic = "dead contract"
    [cases]
    "negative" = { json = "-1" }
    "NaN" = { json = "NaN", rest = "400 malformed_body" }

A case says what is sent in one of these ways: `json` (JSON text as it stands), `text`, `hex` (raw
bytes), `repeat` (a beginning or none, text, times), `nest` (opening, middle, closing, times),
`absent` (left out), `twice` (given once more); and for a door where the rule does not hold, what it
gets there instead: `rest = "-"` is not sent to that door at all. `header` names the header where
a table is about many. Values that need no name stand in one list, `themselves`.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"
DOORS = ("rest", "topic", "webhook")
NOWHERE = "-"
ABSENT, TWICE = "absent", "twice"
_AS_IT_STANDS = frozenset({"json", "hex", "nest"})
_FORMS = _AS_IT_STANDS | {"text", "repeat", ABSENT, TWICE}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value goes: an operation or a type of event, and the part of it."""

    target: str
    """`POST /api/v1/invoices`, or the type of an event."""
    part: str
    """body, query, path, header, key; `body+` adds the fields of an object to a good body."""
    name: str = ""
    """Path of a field, name of a parameter or header; the whole part where empty."""

    @classmethod
    def of(cls, text: str) -> "Place":
        """`POST /api/v1/invoices body lines.0.quantity`."""
        words = text.split()
        size = 2 if words[0].isupper() else 1
        return cls(" ".join(words[:size]), words[size], *words[size + 1 :])

    def __str__(self) -> str:
        return f"{self.target} {self.part} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Case:
    """One bad (or good) value at one place of one door."""

    table: str
    title: str
    door: str
    place: Place
    sent: bytes
    """As it stands in a body: JSON text; in all other parts the text itself."""
    form: str
    """The way it was written in the table."""
    expected: str
    """`422 invalid_request` of REST, `dead contract` of a topic."""

    @property
    def name(self) -> str:
        """What a person sees when it fails."""
        return f"{self.table}: {self.title} -> {self.place}"

    @property
    def in_json(self) -> bytes:
        """The value as a JSON text."""
        return self.sent if self.form in _AS_IT_STANDS else json.dumps(self.sent.decode()).encode()


def _sent(form: str, value: Any) -> bytes:
    """What goes on the wire."""
    if form == "nest":
        opening, middle, closing, times = value
        return (opening * times + middle + closing * times).encode()
    if form == "hex":
        return bytes.fromhex(value)
    if form == "repeat":
        *before, text, times = value
        return ("".join(before) + text * times).encode()
    return b"" if form == ABSENT else value.encode()


def _titled(table: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Cases by title; values that are listed by themselves are each their own title."""
    yield from table.get("cases", {}).items()
    for value in table.get("themselves", []):
        yield value.encode("unicode_escape").decode(), {"text": value}


def _read(path: Path) -> Iterator[Case]:
    table = tomllib.loads(path.read_text())
    for title, given in _titled(table):
        forms = _FORMS & given.keys()
        if len(forms) != 1 or not given.keys() <= _FORMS | {*DOORS, "header"}:
            message = f"{path.name}: {title}: {sorted(given)}"
            raise ValueError(message)
        form = forms.pop()
        sent = _sent(form, given[form])
        for door, places in table["places"].items():
            expected = given.get(door, table["expected"][door])
            if expected == NOWHERE:
                continue
            for place in places:
                where = Place.of(f"{place} {given.get('header', '')}")
                yield Case(path.stem, title, door, where, sent, form, expected)


def cases(door: str) -> list[Case]:
    """Every case of a door, in the order of the tables."""
    found = (case for path in sorted(CASES.glob("*.toml")) for case in _read(path))
    return [case for case in found if case.door == door]
