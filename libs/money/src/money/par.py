"""Exact comparison at par: a token pegged to a currency counts as that currency, one to one."""

from money.assets import EXPONENT_MAX, Asset
from money.decimal_text import power_of_ten
from money.errors import AssetMismatch
from money.money import Money
from money.rounding import Rounding, divide
from money.strict import require_int


def micros(money: Money) -> int:
    """Return the amount in millionths of one unit of its currency; always exact.

    1 US cent and 10,000 minor units of USDC are both 10,000 micros.
    """
    return money.minor * _micros_per_minor(money.asset)


def from_micros(micros: int, asset: Asset, rounding: Rounding) -> Money:
    """Return the amount of `asset` worth so many millionths of its currency.

    Rounded only when the asset has fewer than six decimals. Raises TypeError for anything but
    an int and AmountOutOfRange for a value too large.
    """
    require_int("micros", micros)
    return Money(divide(micros, _micros_per_minor(asset), rounding), asset)


def at_par(money: Money, asset: Asset, rounding: Rounding) -> Money:
    """Express an amount in another asset of the same currency, one to one.

    Never out of range, since every asset has the same limit in major units. Raises AssetMismatch
    when the currencies differ.
    """
    _require_same_currency(money.asset, asset)
    return from_micros(micros(money), asset, rounding)


def compare_at_par(left: Money, right: Money) -> int:
    """Return -1, 0 or 1 as `left` is worth less than, as much as or more than `right`.

    Exact, nothing is rounded. Raises AssetMismatch when the currencies differ.
    """
    _require_same_currency(left.asset, right.asset)
    difference = micros(left) - micros(right)
    return (difference > 0) - (difference < 0)


def _micros_per_minor(asset: Asset) -> int:
    return power_of_ten(EXPONENT_MAX - asset.exponent)


def _require_same_currency(left: Asset, right: Asset) -> None:
    if left.currency != right.currency:
        raise AssetMismatch(f"{left.code} and {right.code} are not of one currency")
