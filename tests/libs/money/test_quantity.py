"""Quantities: plain decimals of zero or more."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money import AmountOutOfRange, InvalidQuantity, Money, Quantity, Rounding, asset

USD = asset("USD")


@given(st.integers(0, 10**18), st.integers(0, 6))
def test_a_printed_quantity_reads_back_as_itself(units: int, exponent: int) -> None:
    quantity = Quantity(units, exponent)
    assert Quantity.parse(quantity.to_decimal_string()) == quantity


def test_decimals_are_kept_as_written() -> None:
    assert Quantity.parse("1.5") == Quantity(15, 1)
    assert str(Quantity.parse("1.50")) == "1.50"
    assert Quantity.parse("0") == Quantity(0)


@pytest.mark.parametrize(
    "text",
    [
        *["", "-1", "-0", "1.", ".5", "+1", "1e3", " 1", "1_0", "1,5", "١", "0.0000001", "NaN"],
        *["1\n", "9999999999999999999", "1" * 21],
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuantity):
        Quantity.parse(text)


@pytest.mark.parametrize(("units", "exponent"), [(-1, 0), (10**18 + 1, 0), (1, -1), (1, 7)])
def test_a_quantity_out_of_range_is_refused(units: int, exponent: int) -> None:
    with pytest.raises(InvalidQuantity):
        Quantity(units, exponent)


@pytest.mark.parametrize("bad", [1.5, True, Decimal(1), None])
def test_a_quantity_is_made_of_ints_or_text(bad: object) -> None:
    with pytest.raises(TypeError):
        Quantity(bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Quantity.parse(bad)  # type: ignore[arg-type]


def test_a_price_is_rounded_once() -> None:
    price = Money(333, USD)
    assert Quantity.parse("1.5").priced_at(price, Rounding.HALF_UP) == Money(500, USD)
    assert Quantity.parse("1.5").priced_at(price, Rounding.DOWN) == Money(499, USD)
    assert Quantity.parse("1.5").priced_at(price, Rounding.HALF_EVEN) == Money(500, USD)


def test_a_price_beyond_the_limit_is_refused() -> None:
    with pytest.raises(AmountOutOfRange):
        Quantity(10**18).priced_at(Money(10**14, USD), Rounding.HALF_UP)
