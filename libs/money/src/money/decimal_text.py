"""Plain decimal text to a scaled integer and back, without any decimal arithmetic."""

import re
from typing import Final

TEXT_LENGTH_MAX: Final = 20
"""Characters accepted in one decimal text, sign and point included."""

_PLAIN_DECIMAL: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")


def power_of_ten(exponent: int) -> int:
    """Return 10**`exponent` for an exponent of zero or more."""
    return int(10**exponent)


def split_decimal(text: str) -> tuple[int, int] | None:
    """Return (integer without the point, number of decimals), or None for anything unusual.

    "12.50" is (1250, 2). Refused: an exponent, spaces, underscores, a plus sign, digits outside
    ASCII, a missing digit beside the point, and more than 20 characters.
    """
    if len(text) > TEXT_LENGTH_MAX:
        return None
    match = _PLAIN_DECIMAL.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction = match.group(1), match.group(2), match.group(3) or ""
    return int(sign + whole + fraction), len(fraction)


def join_decimal(scaled: int, exponent: int) -> str:
    """Print `scaled` / 10**`exponent` with exactly `exponent` decimals: (1250, 2) is "12.50"."""
    sign = "-" if scaled < 0 else ""
    digits = str(abs(scaled)).rjust(exponent + 1, "0")
    if exponent == 0:
        return sign + digits
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"
