"""How many of something a line sells: a scaled integer, never a fraction of a machine number."""

from dataclasses import dataclass
from typing import Final, Self

from money.decimal_text import join_decimal, power_of_ten, split_decimal
from money.errors import InvalidQuantity
from money.money import Money
from money.rounding import Rounding, divide
from money.strict import require_int, require_type

QUANTITY_EXPONENT_MAX: Final = 6
QUANTITY_UNITS_MAX: Final = 10**18


@dataclass(frozen=True, slots=True)
class Quantity:
    """`units` / 10**`exponent` pieces: Quantity(15, 1) is 1.5.

    The decimals are kept as written, so 1.5 and 1.50 print differently and are not equal.
    Raises InvalidQuantity for a negative value, more than 10**18 units or six decimals.
    """

    units: int
    exponent: int = 0

    def __post_init__(self) -> None:
        require_int("units", self.units)
        require_int("exponent", self.exponent)
        if not 0 <= self.exponent <= QUANTITY_EXPONENT_MAX:
            raise InvalidQuantity(f"a quantity has at most {QUANTITY_EXPONENT_MAX} decimals")
        if not 0 <= self.units <= QUANTITY_UNITS_MAX:
            raise InvalidQuantity("a quantity is zero or more, and at most 10**18 units")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a plain decimal such as "3" or "1.5", at most 20 characters.

        Raises InvalidQuantity for any other form and TypeError for anything but a str.
        """
        require_type("text", text, str)
        parts = split_decimal(text)
        if parts is None or text.startswith("-"):
            raise InvalidQuantity(f"{text[:24]!r} is not a plain decimal of zero or more")
        return cls(*parts)

    def to_decimal_string(self) -> str:
        """Print with the decimals it was given: "1.5", "3"."""
        return join_decimal(self.units, self.exponent)

    def priced_at(self, unit_price: Money, rounding: Rounding) -> Money:
        """Return quantity times unit price, rounded once to a minor unit.

        Raises AmountOutOfRange for a product too large.
        """
        minor = divide(self.units * unit_price.minor, power_of_ten(self.exponent), rounding)
        return Money(minor, unit_price.asset)

    def __str__(self) -> str:
        return self.to_decimal_string()
