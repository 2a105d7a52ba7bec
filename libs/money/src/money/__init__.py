"""Amounts, assets, rounding, allocation, tax.

Standard library only; integers and exact fractions only.
"""

from money.allocation import MAX_PARTS, allocate, split
from money.assets import ASSETS, EXPONENT_MAX, Asset, asset, tokens_of
from money.calculator import (
    MAX_LINES,
    MAX_TAX_COMBINATIONS,
    LineInput,
    LineTotals,
    TaxAmount,
    Totals,
    calculate,
)
from money.discount import AmountOff, Discount, PercentOff, discount_on
from money.errors import (
    AmountOutOfRange,
    AssetMismatch,
    InvalidAmount,
    InvalidAsset,
    InvalidDiscount,
    InvalidLine,
    InvalidQuantity,
    InvalidTax,
    InvalidWeights,
    MoneyError,
    TooManyLines,
    UnknownAsset,
)
from money.money import MAX_MAJOR, MAX_MINOR, Money, max_minor, total_of, zero
from money.par import at_par, compare_at_par, from_micros, micros
from money.quantity import Quantity
from money.rounding import Rounding, divide
from money.tax import MAX_TAXES_PER_LINE, Tax, TaxRounding

__all__ = [
    "ASSETS",
    "EXPONENT_MAX",
    "MAX_LINES",
    "MAX_MAJOR",
    "MAX_MINOR",
    "MAX_PARTS",
    "MAX_TAXES_PER_LINE",
    "MAX_TAX_COMBINATIONS",
    "AmountOff",
    "AmountOutOfRange",
    "Asset",
    "AssetMismatch",
    "Discount",
    "InvalidAmount",
    "InvalidAsset",
    "InvalidDiscount",
    "InvalidLine",
    "InvalidQuantity",
    "InvalidTax",
    "InvalidWeights",
    "LineInput",
    "LineTotals",
    "Money",
    "MoneyError",
    "PercentOff",
    "Quantity",
    "Rounding",
    "Tax",
    "TaxAmount",
    "TaxRounding",
    "TooManyLines",
    "Totals",
    "UnknownAsset",
    "allocate",
    "asset",
    "at_par",
    "calculate",
    "compare_at_par",
    "discount_on",
    "divide",
    "from_micros",
    "max_minor",
    "micros",
    "split",
    "tokens_of",
    "total_of",
    "zero",
]
