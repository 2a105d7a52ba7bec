"""Types of what people send: bounded text, page sizes, versions."""

import re
import unicodedata
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
)

_ALLOWED_CONTROLS = frozenset("\n\t")
_DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_YEARS = range(2000, 2200)
_DIGITS = re.compile(r"-?[0-9]{1,20}")


def clean(text: str) -> str:
    """Text in NFC; refuses control characters and those that turn the reading direction."""
    for letter in text:
        if letter in _ALLOWED_CONTROLS:
            continue
        if letter in _DIRECTION_CONTROLS or unicodedata.category(letter) in ("Cc", "Cs"):
            message = f"character U+{ord(letter):04X} is not allowed"
            raise ValueError(message)
    return unicodedata.normalize("NFC", text)


ShortText = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strict=True), AfterValidator(clean)
]
LongText = Annotated[
    str, StringConstraints(min_length=1, max_length=2000, strict=True), AfterValidator(clean)
]
EmailAddress = Annotated[
    str,
    StringConstraints(
        min_length=3,
        max_length=254,
        strict=True,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
        r"@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$",
    ),
]


def _written_out(value: object) -> object:
    """Refuse numbers and loose forms, which would else be read as times."""
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        message = "a time is text such as 2030-01-31T12:00:00Z"
        raise ValueError(message)
    return value


def _in_our_times(value: Any) -> Any:
    if value.year not in _YEARS:
        message = "a time lies between the years 2000 and 2199"
        raise ValueError(message)
    return value


def _plain_digits(value: object) -> object:
    """Refuse what only a program would call a number: 1_0, spaces, digits of other scripts."""
    if isinstance(value, str) and _DIGITS.fullmatch(value) is None:
        message = "a number is written in plain digits"
        raise ValueError(message)
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_our_times)]
"""A time as RFC 3339 writes it."""
Number = Annotated[int, BeforeValidator(_plain_digits)]
"""A whole number of a query."""


class Input(BaseModel):
    """A body someone sends: unknown fields are refused, nothing is converted behind their back."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
