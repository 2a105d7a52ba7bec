"""Every way an amount can be wrong: one named condition each, with a stable code.

All are `ValueError`s, raised for values that came from outside. A wrong *type* (a bool, a
floating-point number, a Decimal where an int belongs) is a mistake in our own code and raises
`TypeError` instead.
"""

from typing import ClassVar


class MoneyError(ValueError):
    """Base of all conditions of this package; `code` is what the API answers."""

    code: ClassVar[str] = "money_error"


class UnknownAsset(MoneyError):
    """The code names no ISO 4217 currency and no token we know (codes are case-sensitive)."""

    code = "unknown_asset"


class InvalidAsset(MoneyError):
    """An asset was described with an empty code or with an exponent outside 0..6."""

    code = "invalid_asset"


class AssetMismatch(MoneyError):
    """Two amounts of different assets met; convert one explicitly first (see `par`)."""

    code = "asset_mismatch"


class AmountOutOfRange(MoneyError):
    """The amount is above 10**12 major units in size."""

    code = "amount_out_of_range"


class InvalidAmount(MoneyError):
    """The text is not a plain decimal with at most the decimals of its asset."""

    code = "invalid_amount"


class InvalidQuantity(MoneyError):
    """The quantity is not a plain decimal, is negative, too large, or has over six decimals."""

    code = "invalid_quantity"


class InvalidWeights(MoneyError):
    """The weights of an allocation are empty, negative or all zero."""

    code = "invalid_weights"


class InvalidDiscount(MoneyError):
    """The discount is negative, above 100 %, or above the amount it reduces."""

    code = "invalid_discount"


class InvalidTax(MoneyError):
    """The tax has no code or a rate out of range, or the taxes cannot be used together."""

    code = "invalid_tax"


class InvalidLine(MoneyError):
    """The line has a negative unit price."""

    code = "invalid_line"


class TooManyLines(MoneyError):
    """The document has more lines than the calculator accepts."""

    code = "too_many_lines"
