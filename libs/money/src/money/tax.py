"""Taxes of a line: their exact size as fractions, and their rounding to minor units."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final, Self

from money.decimal_text import join_decimal
from money.discount import PPM, PPM_PER_BASIS_POINT
from money.errors import InvalidTax
from money.rounding import Rounding, divide
from money.strict import require_bool, require_int, require_type

RATE_PPM_MAX: Final = 10 * PPM
MAX_TAXES_PER_LINE: Final = 8
MAX_TAX_TEXT: Final = 128
_PERCENT_EXPONENT: Final = 4


class TaxRounding(StrEnum):
    """Where a tax is rounded: on each line, or once per tax on the sum of the document."""

    PER_LINE = "per_line"
    PER_DOCUMENT = "per_document"


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax as applied to a line.

    `rate_ppm` is in parts per million, 0..10,000,000: 19 % is 190,000 and 19.975 % is 199,750.
    `included` means the price contains the tax. `compound` means the tax is charged on the net
    and on the taxes before it in the line. Raises InvalidTax.
    """

    code: str
    name: str
    rate_ppm: int
    included: bool = False
    compound: bool = False

    def __post_init__(self) -> None:
        require_type("code", self.code, str)
        require_type("name", self.name, str)
        require_int("rate_ppm", self.rate_ppm)
        require_bool("included", self.included)
        require_bool("compound", self.compound)
        if not self.code or max(len(self.code), len(self.name)) > MAX_TAX_TEXT:
            raise InvalidTax(f"a tax has a code, and texts of at most {MAX_TAX_TEXT} characters")
        if not 0 <= self.rate_ppm <= RATE_PPM_MAX:
            raise InvalidTax("a tax rate is between 0 % and 1000 %")

    @classmethod
    def from_bps(cls, code: str, name: str, rate_bps: int, *, included: bool = False) -> Self:
        """Make one from basis points (hundredths of a percent)."""
        require_int("rate_bps", rate_bps)
        return cls(code, name, rate_bps * PPM_PER_BASIS_POINT, included)

    @property
    def percent_string(self) -> str:
        """The rate in percent without needless zeros: "19", "19.975"."""
        return join_decimal(self.rate_ppm, _PERCENT_EXPONENT).rstrip("0").rstrip(".")


def require_usable_together(taxes: Sequence[Tax]) -> None:
    """Refuse more than MAX_TAXES_PER_LINE taxes or one code twice. Raises InvalidTax."""
    if len(taxes) > MAX_TAXES_PER_LINE:
        raise InvalidTax(f"a line has at most {MAX_TAXES_PER_LINE} taxes")
    codes = [tax.code for tax in taxes]
    if len(set(codes)) != len(codes):
        raise InvalidTax("a line names each tax code once")


def shares_of_price(taxes: Sequence[Tax]) -> tuple[Fraction, ...]:
    """Return what each tax is, exactly, as a share of the price of its line.

    With rate r, the share of the net is e = r, or e = r * (1 + sum of the e before it) for a
    compound tax. The price holds the net and the included taxes, so net = price / (1 + E) with E
    the sum of e over the included ones, and each tax = price * e / (1 + E).
    """
    whole = PPM ** len(taxes)
    of_net: list[int] = []
    for tax in taxes:
        base = whole + sum(of_net) if tax.compound else whole
        of_net.append(base * tax.rate_ppm // PPM)  # exact: base holds a factor PPM per tax left
    price = whole + sum(part for part, tax in zip(of_net, taxes, strict=True) if tax.included)
    return tuple(Fraction(part, price) for part in of_net)


def round_to_parts(
    exact: Sequence[Fraction], rounding: Rounding, room: Sequence[int] | None = None
) -> list[int]:
    """Round the sum of non-negative values once, and give it to the values as whole parts.

    Every part is its value rounded down, plus one for those with the largest fractional parts
    until the rounded sum is reached; ties go to the earlier position. `room` is the most each
    part may be (None: no bound); what does not fit anywhere is left out, which takes rounding
    away from zero and several included taxes on a price of a few minor units.
    """
    total = _rounded_sum(exact, rounding)
    limits = [total] * len(exact) if room is None else list(room)
    parts = [min(int(value // 1), limit) for value, limit in zip(exact, limits, strict=True)]
    left = total - sum(parts)
    for at in sorted(range(len(exact)), key=lambda at: (-(exact[at] % 1), at)):
        if left <= 0:
            break
        if parts[at] < limits[at]:
            parts[at] += 1
            left -= 1
    return parts


def _rounded_sum(exact: Sequence[Fraction], rounding: Rounding) -> int:
    """Add by denominator first: thousands of lines share a few, and fractions add slowly."""
    numerators: defaultdict[int, int] = defaultdict(int)
    for value in exact:
        numerators[value.denominator] += value.numerator
    total = sum((Fraction(top, bottom) for bottom, top in numerators.items()), Fraction(0))
    return divide(total.numerator, total.denominator, rounding)
