"""From what was asked to what is owed, by the one calculator."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from invoice.domain.states import Line, Sums, Terms
from invoice.errors import ToleranceTooLarge, TotalNotPositive, Unacceptable
from money import (
    LineInput,
    Money,
    MoneyError,
    Quantity,
    TaxAmount,
    Totals,
    asset,
    calculate,
)


@dataclass(frozen=True, slots=True)
class Worked:
    """A draft worked out: its terms, its lines with their parts, and the sums."""

    terms: Terms
    lines: tuple[Line, ...]
    sums: Sums


def work_out(terms: Terms, lines: Sequence[Line]) -> Worked:
    """Calculate a draft.

    Raises `Unacceptable` with the calculator's code, `TotalNotPositive` or `ToleranceTooLarge`.
    """
    try:
        totals = totals_of(terms, lines)
    except MoneyError as error:
        raise Unacceptable(error) from error
    if totals.total.minor <= 0:
        raise TotalNotPositive
    if terms.tolerance_minor >= totals.total.minor:
        raise ToleranceTooLarge
    worked = tuple(
        replace(
            line,
            net_minor=part.net.minor,
            tax_minor=part.tax.minor,
            total_minor=part.total.minor,
        )
        for line, part in zip(lines, totals.lines, strict=True)
    )
    sums = Sums(
        subtotal_minor=totals.subtotal.minor,
        discount_minor=totals.discount.minor,
        net_minor=totals.net.minor,
        tax_minor=totals.tax.minor,
        total_minor=totals.total.minor,
    )
    return Worked(terms, worked, sums)


def totals_of(terms: Terms, lines: Sequence[Line]) -> Totals:
    """The whole calculation; raises `MoneyError`."""
    unit = asset(terms.asset)
    inputs = [
        LineInput(
            Quantity.parse(line.quantity),
            Money(line.unit_price_minor, unit),
            line.discount,
            line.taxes,
        )
        for line in lines
    ]
    return calculate(
        inputs,
        asset=unit,
        discount=terms.discount,
        tax_rounding=terms.tax_rounding,
        rounding=terms.rounding,
    )


def taxes_of(terms: Terms, lines: Sequence[Line]) -> tuple[TaxAmount, ...]:
    """Tax by code of a draft that was worked out before."""
    return totals_of(terms, lines).tax_by_code
