"""The calculator: known invoices to the cent, and parts that always sum to the whole."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from money import (
    MAX_LINES,
    MAX_TAX_COMBINATIONS,
    AmountOff,
    AmountOutOfRange,
    AssetMismatch,
    Discount,
    InvalidDiscount,
    InvalidLine,
    InvalidTax,
    LineInput,
    Money,
    PercentOff,
    Quantity,
    Rounding,
    Tax,
    TaxRounding,
    TooManyLines,
    Totals,
    asset,
    calculate,
    divide,
    total_of,
)

USD, EUR, JPY, USDC = (asset(code) for code in ("USD", "EUR", "JPY", "USDC"))
VAT_19 = Tax("VAT19", "VAT", 190_000)
VAT_19_INCLUDED = Tax("VAT19", "VAT", 190_000, included=True)
GST = Tax("GST", "GST", 50_000)
QST = Tax("QST", "QST", 99_750)
PER_LINE, PER_DOCUMENT = TaxRounding.PER_LINE, TaxRounding.PER_DOCUMENT

POOL = [
    VAT_19,
    VAT_19_INCLUDED,
    GST,
    QST,
    Tax("ECO", "Levy", 333_333, included=True),
    Tax("LUX", "Luxury", 9_999_999, included=True, compound=True),
    Tax("OLD", "Tax on tax", 75_000, compound=True),
    Tax("NIL", "Zero rate", 0),
]


def usd(minor: int) -> Money:
    return Money(minor, USD)


def line(
    minor: int, *taxes: Tax, quantity: str = "1", discount: Discount | None = None
) -> LineInput:
    return LineInput(Quantity.parse(quantity), usd(minor), discount, taxes)


def of(*lines: LineInput, **options: Any) -> Totals:
    return calculate(lines, asset=USD, **options)


percents = st.builds(PercentOff, st.integers(0, 1_000_000))
tax_lists = st.lists(st.sampled_from(POOL), max_size=4, unique_by=lambda tax: tax.code).map(tuple)
lines_of = st.lists(
    st.builds(
        LineInput,
        quantity=st.builds(Quantity, st.integers(0, 5000), st.integers(0, 6)),
        unit_price=(st.integers(0, 30) | st.integers(0, 10**9)).map(usd),
        discount=st.none() | percents,
        taxes=tax_lists,
    ),
    max_size=8,
)


@st.composite
def documents(draw: st.DrawFn) -> Totals:
    return of(
        *draw(lines_of),
        discount=draw(st.none() | percents),
        tax_rounding=draw(st.sampled_from(TaxRounding)),
        rounding=draw(st.sampled_from(Rounding)),
    )


@settings(max_examples=400)
@given(documents())
def test_lines_sum_to_the_document(totals: Totals) -> None:
    def column(name: str) -> Money:
        return total_of((getattr(row, name) for row in totals.lines), USD)

    assert column("amount") == totals.subtotal
    assert column("document_discount") == totals.discount
    assert column("net") == totals.net
    assert column("tax") == totals.tax
    assert column("total") == totals.total


@settings(max_examples=400)
@given(documents())
def test_columns_sum_across(totals: Totals) -> None:
    assert totals.net + totals.tax == totals.total
    assert totals.subtotal - totals.discount == totals.net + totals.included_tax
    for row in totals.lines:
        included = total_of((part.amount for part in row.taxes if part.tax.included), USD)
        assert row.gross - row.discount - row.document_discount == row.net + included
        assert total_of((part.amount for part in row.taxes), USD) == row.tax
        assert row.net + row.tax == row.total


@settings(max_examples=400)
@given(documents())
def test_taxes_by_code_sum_to_the_tax_and_to_the_lines(totals: Totals) -> None:
    assert total_of((part.amount for part in totals.tax_by_code), USD) == totals.tax
    taxes = [part.tax for part in totals.tax_by_code]
    assert len(set(taxes)) == len(taxes)
    for whole in totals.tax_by_code:
        parts = [part for row in totals.lines for part in row.taxes if part.tax == whole.tax]
        assert total_of((part.amount for part in parts), USD) == whole.amount
        assert total_of((part.taxable for part in parts), USD) == whole.taxable


@settings(max_examples=400)
@given(documents())
def test_no_amount_is_negative(totals: Totals) -> None:
    amounts = [totals.subtotal, totals.discount, totals.net, totals.tax, totals.total]
    for row in totals.lines:
        amounts += [row.gross, row.discount, row.document_discount, row.amount, row.net, row.total]
        amounts += [part.amount for part in row.taxes]
    assert all(amount.minor >= 0 for amount in amounts)


def exact_tax(price: Money, taxes: tuple[Tax, ...], wanted: Tax) -> Fraction:
    """Work one tax out again from its definition, without the package."""
    of_net: dict[str, Fraction] = {}
    for tax in taxes:
        base = 1 + sum(of_net.values()) if tax.compound else Fraction(1)
        of_net[tax.code] = base * Fraction(tax.rate_ppm, 10**6)
    included = sum(of_net[tax.code] for tax in taxes if tax.included)
    return price.minor / (1 + Fraction(included)) * of_net[wanted.code]


@settings(max_examples=300)
@given(lines_of, st.sampled_from(Rounding))
def test_a_tax_per_line_is_the_exact_tax_rounded_once(
    lines: list[LineInput], rounding: Rounding
) -> None:
    totals = of(*lines, rounding=rounding)
    for given_line, row in zip(lines, totals.lines, strict=True):
        room = row.amount.minor
        for part in row.taxes:
            exact = exact_tax(row.amount, given_line.taxes, part.tax)
            rounded = divide(exact.numerator, exact.denominator, rounding)
            expected = min(rounded, room) if part.tax.included else rounded
            assert part.amount.minor == expected
            room -= expected if part.tax.included else 0


@settings(max_examples=300)
@given(lines_of, st.sampled_from(Rounding))
def test_an_added_tax_per_document_is_the_exact_sum_rounded_once(
    lines: list[LineInput], rounding: Rounding
) -> None:
    totals = of(*lines, rounding=rounding, tax_rounding=PER_DOCUMENT)
    for whole in totals.tax_by_code:
        if whole.tax.included:
            continue
        exact = Fraction(0)
        for given_line, row in zip(lines, totals.lines, strict=True):
            if whole.tax in given_line.taxes:
                share = exact_tax(row.amount, given_line.taxes, whole.tax)
                part = next(part for part in row.taxes if part.tax == whole.tax)
                assert abs(part.amount.minor - share) < 1
                exact += share
        assert whole.amount.minor == divide(exact.numerator, exact.denominator, rounding)


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=8),
    st.integers(0, 10_000_000),
    st.sampled_from(TaxRounding),
    st.sampled_from(Rounding),
)
def test_net_and_included_tax_give_back_the_price(
    prices: list[int], ppm: int, granularity: TaxRounding, rounding: Rounding
) -> None:
    vat = Tax("VAT", "VAT", ppm, included=True)
    totals = of(*(line(p, vat) for p in prices), tax_rounding=granularity, rounding=rounding)
    assert totals.total == totals.subtotal == usd(sum(prices))
    for price, row in zip(prices, totals.lines, strict=True):
        assert row.net + row.tax == row.gross == usd(price)
    exact = Fraction(sum(prices) * ppm, 10**6 + ppm)
    if granularity is PER_DOCUMENT:
        assert totals.tax.minor == divide(exact.numerator, exact.denominator, rounding)


@given(st.integers(0, 10**9), st.integers(0, 999_999))
def test_an_included_tax_is_found_again_from_the_net(price: int, ppm: int) -> None:
    included = of(line(price, Tax("VAT", "", ppm, included=True)))
    added = of(line(included.net.minor, Tax("VAT", "", ppm)))
    assert abs(added.tax.minor - included.tax.minor) <= 1


@given(lines_of)
def test_the_order_of_lines_changes_no_sum_per_line(lines: list[LineInput]) -> None:
    forth, back = of(*lines), of(*reversed(lines))
    assert forth.lines == tuple(reversed(back.lines))
    assert (forth.total, forth.tax, forth.net) == (back.total, back.tax, back.net)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=8), st.data())
def test_a_fixed_document_discount_is_taken_exactly(prices: list[int], data: st.DataObject) -> None:
    off = data.draw(st.integers(0, sum(prices)))
    totals = of(*(line(price, VAT_19) for price in prices), discount=AmountOff(usd(off)))
    assert totals.discount == usd(off)
    assert totals.net == usd(sum(prices) - off)
    assert all(row.document_discount <= row.amount for row in totals.lines)


def test_a_plain_invoice_with_added_tax() -> None:
    totals = of(line(1000, VAT_19, quantity="1.5"), line(499, VAT_19, quantity="3"))
    assert [row.gross.minor for row in totals.lines] == [1500, 1497]
    assert [row.tax.minor for row in totals.lines] == [285, 284]
    assert (totals.subtotal, totals.tax, totals.total) == (usd(2997), usd(569), usd(3566))


def test_rounding_per_line_and_per_document_differ_by_the_cents_of_the_lines() -> None:
    lines = [line(3, VAT_19) for _ in range(10)]  # 0.57 of a cent each, 5.7 together
    per_line, per_document = of(*lines), of(*lines, tax_rounding=PER_DOCUMENT)
    assert per_line.tax == usd(10)
    assert per_document.tax == usd(6)
    assert [row.tax.minor for row in per_document.lines] == [1] * 6 + [0] * 4


def test_an_included_tax_is_taken_out_of_the_price() -> None:
    totals = of(line(11_900, VAT_19_INCLUDED))
    assert (totals.net, totals.tax, totals.total) == (usd(10_000), usd(1900), usd(11_900))
    assert totals.included_tax == totals.tax


def test_an_included_and_an_added_tax_share_one_net() -> None:
    totals = of(line(11_900, VAT_19_INCLUDED, Tax("CITY", "City", 10_000)))
    assert [part.amount.minor for part in totals.tax_by_code] == [1900, 100]
    assert (totals.net, totals.total) == (usd(10_000), usd(12_000))


def test_a_compound_tax_is_charged_on_the_tax_before_it() -> None:
    totals = of(line(10_000, GST, Tax("OLD", "Tax on tax", 75_000, compound=True)))
    assert [part.taxable.minor for part in totals.tax_by_code] == [10_000, 10_500]
    assert [part.amount.minor for part in totals.tax_by_code] == [500, 788]


def test_two_taxes_side_by_side_are_each_charged_on_the_net() -> None:
    totals = of(line(10_000, GST, QST))
    assert [(part.tax.code, part.amount.minor) for part in totals.tax_by_code] == [
        ("GST", 500),
        ("QST", 998),
    ]


def test_discounts_of_line_and_document_come_before_tax() -> None:
    totals = of(
        line(10_000, VAT_19, discount=PercentOff.from_bps(1000)),
        line(1000, VAT_19, discount=AmountOff(usd(1000))),
        line(1000),
        discount=PercentOff.from_bps(500),
    )
    assert [row.discount.minor for row in totals.lines] == [1000, 1000, 0]
    assert [row.document_discount.minor for row in totals.lines] == [450, 0, 50]
    assert (totals.subtotal, totals.discount) == (usd(10_000), usd(500))
    assert (totals.tax, totals.total) == (usd(1625), usd(11_125))  # 85.50 at 19 % is 16.245


def test_included_taxes_on_a_cent_never_make_the_net_negative() -> None:
    pair = (Tax("A", "", 500_000, included=True), Tax("B", "", 500_000, included=True))
    for granularity in TaxRounding:
        totals = of(line(1, *pair), rounding=Rounding.UP, tax_rounding=granularity)
        assert [part.amount.minor for part in totals.tax_by_code] == [1, 0]
        assert totals.net == usd(0)


def test_one_code_with_two_rates_gives_two_entries() -> None:
    reduced = Tax("VAT19", "VAT", 70_000)
    totals = of(line(100, VAT_19), line(100, reduced), line(100, VAT_19))
    assert [(part.tax, part.amount.minor) for part in totals.tax_by_code] == [
        (VAT_19, 38),
        (reduced, 7),
    ]


@pytest.mark.parametrize("discount", [None, PercentOff(500_000), AmountOff(usd(0))])
def test_no_lines_and_free_lines_give_zeros(discount: Discount | None) -> None:
    for totals in (of(discount=discount), of(line(0, VAT_19), discount=discount)):
        assert totals.total == totals.tax == totals.subtotal == totals.discount == usd(0)


def test_assets_without_decimals_and_with_six_are_worked_out_alike() -> None:
    for of_asset, price, tax in ((JPY, 105, 20), (USDC, 105, 20)):
        sold = LineInput(Quantity(1), Money(price, of_asset), None, (VAT_19,))
        assert calculate([sold], asset=of_asset).tax == Money(tax, of_asset)


def test_mixed_assets_are_refused() -> None:
    euro = LineInput(Quantity(1), Money(1, EUR))
    with pytest.raises(AssetMismatch):
        of(line(1), euro)
    with pytest.raises(AssetMismatch):
        of(euro)
    with pytest.raises(AssetMismatch):
        of(line(1), discount=AmountOff(Money(0, EUR)))
    with pytest.raises(AssetMismatch):
        of(line(1, discount=AmountOff(Money(0, USDC))))


def test_a_discount_above_the_amount_is_refused() -> None:
    with pytest.raises(InvalidDiscount):
        of(line(100, discount=AmountOff(usd(101))))
    with pytest.raises(InvalidDiscount):
        of(line(100), line(100), discount=AmountOff(usd(201)))
    with pytest.raises(InvalidDiscount):
        of(discount=AmountOff(usd(1)))


def test_a_total_beyond_the_limit_is_refused() -> None:
    most = line(10**14)
    assert of(most).total == usd(10**14)
    for lines in ([most, line(1)], [most] * MAX_LINES, [line(10**14, VAT_19)]):
        with pytest.raises(AmountOutOfRange):
            of(*lines)
    with pytest.raises(AmountOutOfRange):
        of(line(10**14, quantity="99999999999999999"))


def test_a_negative_price_is_refused() -> None:
    with pytest.raises(InvalidLine):
        line(-1)


def test_too_many_lines_or_lists_of_taxes_are_refused() -> None:
    with pytest.raises(TooManyLines):
        of(*[line(1)] * (MAX_LINES + 1))
    different = [line(1, Tax(str(at), "", at)) for at in range(MAX_TAX_COMBINATIONS + 1)]
    assert of(*different[:-1]).tax == usd(0)
    with pytest.raises(InvalidTax):
        of(*different)


def test_one_code_twice_on_a_line_is_refused() -> None:
    with pytest.raises(InvalidTax):
        line(1, VAT_19, VAT_19_INCLUDED)


@pytest.mark.parametrize("bad", [1, 1.5, "1.5", True, None])
def test_lines_take_quantities_and_money_only(bad: object) -> None:
    with pytest.raises(TypeError):
        LineInput(bad, usd(1))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        LineInput(Quantity(1), bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        LineInput(Quantity(1), usd(1), None, (bad,))  # type: ignore[arg-type]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="nearest"):
        of(line(1), rounding="nearest")
    with pytest.raises(ValueError, match="per_page"):
        of(line(1), tax_rounding="per_page")
