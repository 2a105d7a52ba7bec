"""The one calculator of an invoice, shared by API, page, PDF and e-invoice.

Everything is an integer of minor units of one asset, in the words of EN 16931:

    line gross             = round(quantity * unit price)
    line discount          = its percentage of the gross, rounded, or a fixed amount
    line amount            = gross - discount                                      BT-131
    subtotal               = sum of line amounts                                   BT-106
    document discount      = its percentage of the subtotal, rounded, or fixed     BT-107
    line document discount = the document discount allocated by line amounts, to the last unit
    line price             = amount - document discount
    line taxes             = see `tax.shares_of_price`; rounded per line, or rounded once per tax
                             over the document and then handed to the lines
    line net               = price - included taxes
    line total             = net + taxes
    net, tax, total        = sums over the lines                                   BT-109, 110, 112

So the parts always sum to the whole: subtotal - discount = net + included tax, net + tax = total,
lines sum to the document, and taxes by code sum to the tax. The BT numbers hold as they stand for
prices without included tax; for tax-inclusive prices an e-invoice takes each line's `net` as
BT-131 and no document discount, which is already in it. Credit notes use the same positive sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from money.allocation import allocate
from money.assets import Asset
from money.discount import Discount, discount_on
from money.errors import InvalidLine, InvalidTax, TooManyLines
from money.money import Money, total_of
from money.quantity import Quantity
from money.rounding import Rounding
from money.strict import require_type
from money.tax import (
    Tax,
    TaxRounding,
    require_usable_together,
    round_to_parts,
    shares_of_price,
)

MAX_LINES: Final = 10_000
MAX_TAX_COMBINATIONS: Final = 50
"""Different lists of taxes in one document; bounds the size of the exact fractions."""


@dataclass(frozen=True, slots=True)
class LineInput:
    """One line as sold. The unit price is zero or more, and contains the included taxes.

    Raises InvalidLine for a negative price and InvalidTax for taxes that do not go together.
    """

    quantity: Quantity
    unit_price: Money
    discount: Discount | None = None
    taxes: tuple[Tax, ...] = ()

    def __post_init__(self) -> None:
        require_type("quantity", self.quantity, Quantity)
        require_type("unit_price", self.unit_price, Money)
        object.__setattr__(self, "taxes", tuple(self.taxes))
        for tax in self.taxes:
            require_type("tax", tax, Tax)
        if self.unit_price.minor < 0:
            raise InvalidLine("a unit price is never negative; use a credit note")
        require_usable_together(self.taxes)


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """`amount` of `tax` charged on `taxable`: the net, with earlier taxes if compound.

    The amount is rounded from exact values, never from other rounded taxes. With added taxes that
    are not compound it equals round(taxable * rate), per line or per document as chosen;
    compound and included ones may lie one minor unit beside that.
    """

    tax: Tax
    taxable: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class LineTotals:
    """One line worked out; the module docstring gives the formula of each field.

    `discount` is the line's own; `document_discount` is its share of the document's. `taxes`
    follows the order of the line's taxes.
    """

    gross: Money
    discount: Money
    document_discount: Money
    net: Money
    taxes: tuple[TaxAmount, ...]
    tax: Money
    total: Money

    @property
    def amount(self) -> Money:
        """The line after its own discount and before the document's: its part of the subtotal."""
        return self.gross - self.discount


@dataclass(frozen=True, slots=True)
class Totals:
    """A document worked out; the module docstring gives the formula of each field.

    `discount` is the document discount. `included_tax` is the part of `tax` that the prices
    contained. `tax_by_code` has one entry for each different tax, in order of first appearance.
    """

    lines: tuple[LineTotals, ...]
    subtotal: Money
    discount: Money
    net: Money
    tax_by_code: tuple[TaxAmount, ...]
    tax: Money
    included_tax: Money
    total: Money


@dataclass(frozen=True, slots=True)
class _Cell:
    """One tax on one line: where it stands, and its exact size in minor units."""

    line: int
    position: int
    exact: Fraction


def calculate(
    lines: Sequence[LineInput],
    *,
    asset: Asset,
    discount: Discount | None = None,
    tax_rounding: TaxRounding = TaxRounding.PER_LINE,
    rounding: Rounding = Rounding.HALF_UP,
) -> Totals:
    """Work out a document in `asset`; no lines give zeros.

    Raises AssetMismatch for a line or discount of another asset, InvalidDiscount for a discount
    above what it reduces, AmountOutOfRange when any amount or sum exceeds 10**12 major units,
    TooManyLines above 10,000 lines and InvalidTax above 50 different lists of taxes.
    """
    _require_acceptable(lines)
    granularity = TaxRounding(tax_rounding)
    grosses = [line.quantity.priced_at(line.unit_price, rounding) for line in lines]
    subtotal_before = total_of(grosses, asset)
    own = [
        discount_on(gross, line.discount, rounding)
        for gross, line in zip(grosses, lines, strict=True)
    ]
    amounts = [gross - off for gross, off in zip(grosses, own, strict=True)]
    subtotal = subtotal_before - total_of(own, asset)
    document = discount_on(subtotal, discount, rounding)
    shared = _allocate_discount(document, amounts)
    prices = [amount - off for amount, off in zip(amounts, shared, strict=True)]
    taxes = _round_taxes(lines, prices, granularity, rounding)
    worked = tuple(
        _line_totals(line, (grosses[at], own[at], shared[at], prices[at]), taxes[at])
        for at, line in enumerate(lines)
    )
    return _document_totals(worked, subtotal, document)


def _require_acceptable(lines: Sequence[LineInput]) -> None:
    if len(lines) > MAX_LINES:
        raise TooManyLines(f"a document has at most {MAX_LINES} lines, not {len(lines)}")
    if len({line.taxes for line in lines}) > MAX_TAX_COMBINATIONS:
        raise InvalidTax(f"a document has at most {MAX_TAX_COMBINATIONS} different lists of taxes")


def _allocate_discount(discount: Money, amounts: Sequence[Money]) -> list[Money]:
    """Share the document discount by line amounts; no part exceeds the amount of its line."""
    if discount.is_zero:
        return [discount] * len(amounts)
    return allocate(discount, [amount.minor for amount in amounts])


def _round_taxes(
    lines: Sequence[LineInput],
    prices: Sequence[Money],
    granularity: TaxRounding,
    rounding: Rounding,
) -> list[list[int]]:
    """Return the minor units of every tax of every line.

    Included taxes of one line never exceed its price, so that no net is negative.
    """
    taxes = [[0] * len(line.taxes) for line in lines]
    room = [price.minor for price in prices]
    for tax, cells in _cells_to_round_together(lines, prices, granularity):
        limits = [room[cell.line] for cell in cells] if tax.included else None
        parts = round_to_parts([cell.exact for cell in cells], rounding, limits)
        for cell, part in zip(cells, parts, strict=True):
            taxes[cell.line][cell.position] = part
            if tax.included:
                room[cell.line] -= part
    return taxes


def _cells_to_round_together(
    lines: Sequence[LineInput], prices: Sequence[Money], granularity: TaxRounding
) -> list[tuple[Tax, list[_Cell]]]:
    """Group the taxes of all lines: each alone, or all of the same tax together."""
    shares = {taxes: shares_of_price(taxes) for taxes in {line.taxes for line in lines}}
    groups: dict[tuple[Tax, int], list[_Cell]] = {}
    for at, (line, price) in enumerate(zip(lines, prices, strict=True)):
        key = at if granularity is TaxRounding.PER_LINE else 0
        for position, (tax, share) in enumerate(zip(line.taxes, shares[line.taxes], strict=True)):
            cell = _Cell(at, position, price.minor * share)
            groups.setdefault((tax, key), []).append(cell)
    return [(tax, cells) for (tax, _), cells in groups.items()]


def _line_totals(
    line: LineInput, priced: tuple[Money, Money, Money, Money], taxes: Sequence[int]
) -> LineTotals:
    gross, own, shared, price = priced
    asset = price.asset
    amounts = [Money(minor, asset) for minor in taxes]
    included = [amount for tax, amount in zip(line.taxes, amounts, strict=True) if tax.included]
    net = price - total_of(included, asset)
    tax = total_of(amounts, asset)
    charged: list[TaxAmount] = []
    before = net
    for named, amount in zip(line.taxes, amounts, strict=True):
        charged.append(TaxAmount(named, before if named.compound else net, amount))
        before += amount
    return LineTotals(gross, own, shared, net, tuple(charged), tax, net + tax)


def _document_totals(lines: tuple[LineTotals, ...], subtotal: Money, discount: Money) -> Totals:
    asset = subtotal.asset
    net = total_of((line.net for line in lines), asset)
    tax = total_of((line.tax for line in lines), asset)
    return Totals(
        lines=lines,
        subtotal=subtotal,
        discount=discount,
        net=net,
        tax_by_code=_tax_by_code(lines),
        tax=tax,
        included_tax=subtotal - discount - net,
        total=net + tax,
    )


def _tax_by_code(lines: Sequence[LineTotals]) -> tuple[TaxAmount, ...]:
    sums: dict[Tax, TaxAmount] = {}
    for part in (part for line in lines for part in line.taxes):
        known = sums.get(part.tax)
        sums[part.tax] = part if known is None else _both(known, part)
    return tuple(sums.values())


def _both(left: TaxAmount, right: TaxAmount) -> TaxAmount:
    return TaxAmount(left.tax, left.taxable + right.taxable, left.amount + right.amount)
