"""What is taken off a line or off a document: a share of the amount, or a fixed amount."""

from dataclasses import dataclass
from typing import Final, Self

from money.errors import InvalidDiscount
from money.money import Money
from money.rounding import Rounding, divide
from money.strict import require_int, require_type

PPM: Final = 1_000_000
"""Parts per million in a whole: 1 % is 10,000 ppm."""

PPM_PER_BASIS_POINT: Final = 100


@dataclass(frozen=True, slots=True)
class PercentOff:
    """A share of the amount in parts per million, 0..1,000,000. Raises InvalidDiscount."""

    rate_ppm: int

    def __post_init__(self) -> None:
        require_int("rate_ppm", self.rate_ppm)
        if not 0 <= self.rate_ppm <= PPM:
            raise InvalidDiscount("a discount is between 0 % and 100 %")

    @classmethod
    def from_bps(cls, rate_bps: int) -> Self:
        """Make one from basis points (hundredths of a percent)."""
        require_int("rate_bps", rate_bps)
        return cls(rate_bps * PPM_PER_BASIS_POINT)


@dataclass(frozen=True, slots=True)
class AmountOff:
    """A fixed amount, zero or more. Raises InvalidDiscount when negative."""

    amount: Money

    def __post_init__(self) -> None:
        require_type("amount", self.amount, Money)
        if self.amount.minor < 0:
            raise InvalidDiscount("a discount is never negative")


Discount = PercentOff | AmountOff


def discount_on(amount: Money, discount: Discount | None, rounding: Rounding) -> Money:
    """Return what the discount takes off an amount of zero or more, between zero and all of it.

    percent: round(amount * rate); fixed: the amount itself; None: zero. Raises InvalidDiscount
    when a fixed discount exceeds the amount and AssetMismatch when it is of another asset.
    """
    match discount:
        case None:
            return Money.zero(amount.asset)
        case PercentOff(rate_ppm):
            return Money(divide(amount.minor * rate_ppm, PPM, rounding), amount.asset)
        case AmountOff(off):
            if off > amount:
                raise InvalidDiscount(f"a discount of {off} exceeds the amount of {amount}")
            return off
        case _:
            raise TypeError(f"not a discount: {type(discount).__name__}")
