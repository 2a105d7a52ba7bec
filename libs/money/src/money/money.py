"""An amount: an integer of minor units together with its asset."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from money.assets import EXPONENT_MAX, Asset
from money.decimal_text import join_decimal, power_of_ten, split_decimal
from money.errors import AmountOutOfRange, AssetMismatch, InvalidAmount
from money.strict import require_int, require_type

MAX_MAJOR: Final = 10**12
"""Largest size of any amount, in major units of its asset."""

MAX_MINOR: Final = MAX_MAJOR * 10**EXPONENT_MAX
"""Largest size in minor units over all assets (10**18, below 2**63); see `max_minor`."""


def max_minor(asset: Asset) -> int:
    """Return the largest size of an amount of this asset, in its minor units."""
    return MAX_MAJOR * power_of_ten(asset.exponent)


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` minor units of `asset`: Money(1250, asset("USD")) is 12.50 US dollars.

    Amounts are ordered, added and subtracted within one asset only and raise AssetMismatch
    otherwise. Equality never raises: amounts of two assets are simply not equal. Raises
    AmountOutOfRange above 10**12 major units in size and TypeError for anything but an int.
    """

    minor: int
    asset: Asset

    def __post_init__(self) -> None:
        require_int("minor", self.minor)
        require_type("asset", self.asset, Asset)
        if abs(self.minor) > max_minor(self.asset):
            raise AmountOutOfRange(f"amount above {MAX_MAJOR} {self.asset.code} in size")

    @classmethod
    def parse(cls, text: str, asset: Asset) -> Self:
        """Read a plain decimal of major units: "12.50", "-3", at most 20 characters.

        Raises InvalidAmount for any other form or for more decimals than the asset has,
        AmountOutOfRange for a value too large, and TypeError for anything but a str.
        """
        require_type("text", text, str)
        require_type("asset", asset, Asset)
        parts = split_decimal(text)
        if parts is None:
            raise InvalidAmount(f"{text[:24]!r} is not a plain decimal of at most 20 characters")
        scaled, decimals = parts
        if decimals > asset.exponent:
            raise InvalidAmount(f"{asset.code} has at most {asset.exponent} decimals")
        return cls(scaled * power_of_ten(asset.exponent - decimals), asset)

    @classmethod
    def zero(cls, asset: Asset) -> Self:
        """Return nothing, of this asset."""
        return cls(0, asset)

    def to_decimal_string(self) -> str:
        """Print the major units with all decimals of the asset: "12.50", "-0.05", "7" (JPY).

        `parse` reads it back, but for one value: minus 10**12 at six decimals has 21 characters.
        """
        return join_decimal(self.minor, self.asset.exponent)

    @property
    def is_zero(self) -> bool:
        """True when there is no amount."""
        return self.minor == 0

    def require_same_asset(self, other: "Money") -> None:
        """Raise AssetMismatch unless both amounts are of one asset."""
        if self.asset is not other.asset and self.asset != other.asset:
            raise AssetMismatch(f"{self.asset.code} does not mix with {other.asset.code}")

    def __add__(self, other: "Money") -> "Money":
        if not isinstance(other, Money):
            return NotImplemented
        self.require_same_asset(other)
        return Money(self.minor + other.minor, self.asset)

    def __sub__(self, other: "Money") -> "Money":
        if not isinstance(other, Money):
            return NotImplemented
        self.require_same_asset(other)
        return Money(self.minor - other.minor, self.asset)

    def __mul__(self, factor: int) -> "Money":
        if type(factor) is not int:
            return NotImplemented
        return Money(self.minor * factor, self.asset)

    __rmul__ = __mul__

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.asset)

    def __abs__(self) -> "Money":
        return Money(abs(self.minor), self.asset)

    def __lt__(self, other: "Money") -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        self.require_same_asset(other)
        return self.minor < other.minor

    def __le__(self, other: "Money") -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        self.require_same_asset(other)
        return self.minor <= other.minor

    def __gt__(self, other: "Money") -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        self.require_same_asset(other)
        return self.minor > other.minor

    def __ge__(self, other: "Money") -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        self.require_same_asset(other)
        return self.minor >= other.minor

    def __str__(self) -> str:
        return f"{self.to_decimal_string()} {self.asset.code}"


def zero(asset: Asset) -> Money:
    """Return nothing, of this asset."""
    return Money.zero(asset)


def total_of(amounts: Iterable[Money], asset: Asset) -> Money:
    """Add amounts of one asset; only the result must be in range, none gives zero.

    Raises AssetMismatch for an amount of another asset and AmountOutOfRange for the sum.
    """
    nothing = zero(asset)
    minor = 0
    for amount in amounts:
        nothing.require_same_asset(amount)
        minor += amount.minor
    return Money(minor, asset)
