"""Types of what people send: bounded text, page sizes, versions."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

_ALLOWED_CONTROLS = frozenset("\n\t")
_DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


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


class Input(BaseModel):
    """A body someone sends: unknown fields are refused, nothing is converted behind their back."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
