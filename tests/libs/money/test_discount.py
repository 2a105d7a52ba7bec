"""Discounts: never below zero, never above the amount."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money import (
    AmountOff,
    AssetMismatch,
    InvalidDiscount,
    Money,
    PercentOff,
    Rounding,
    asset,
    discount_on,
)

USD, EUR = asset("USD"), asset("EUR")
amounts = st.integers(0, 10**14).map(lambda minor: Money(minor, USD))


@given(amounts, st.integers(0, 1_000_000), st.sampled_from(Rounding))
def test_a_percentage_takes_between_nothing_and_everything(
    amount: Money, ppm: int, rounding: Rounding
) -> None:
    assert Money.zero(USD) <= discount_on(amount, PercentOff(ppm), rounding) <= amount


@given(amounts, st.sampled_from(Rounding))
def test_a_hundred_percent_takes_everything_and_none_nothing(
    amount: Money, rounding: Rounding
) -> None:
    assert discount_on(amount, PercentOff.from_bps(10_000), rounding) == amount
    assert discount_on(amount, AmountOff(amount), rounding) == amount
    assert discount_on(amount, None, rounding) == Money.zero(USD)


@given(amounts)
def test_a_fixed_discount_above_the_amount_is_refused(amount: Money) -> None:
    if amount.minor < 10**14:
        with pytest.raises(InvalidDiscount):
            discount_on(amount, AmountOff(amount + Money(1, USD)), Rounding.HALF_UP)


@pytest.mark.parametrize("ppm", [-1, 1_000_001])
def test_a_percentage_outside_zero_to_a_hundred_is_refused(ppm: int) -> None:
    with pytest.raises(InvalidDiscount):
        PercentOff(ppm)


def test_a_negative_discount_is_refused() -> None:
    with pytest.raises(InvalidDiscount):
        AmountOff(Money(-1, USD))


def test_a_discount_of_another_asset_is_refused() -> None:
    with pytest.raises(AssetMismatch):
        discount_on(Money(1, USD), AmountOff(Money(0, EUR)), Rounding.HALF_UP)


@pytest.mark.parametrize("bad", [0.1, True, "1", None])
def test_rates_are_ints_and_amounts_are_money(bad: object) -> None:
    with pytest.raises(TypeError):
        PercentOff(bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        PercentOff.from_bps(bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        AmountOff(bad)  # type: ignore[arg-type]


def test_something_that_is_no_discount_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        discount_on(Money(1, USD), 10, Rounding.HALF_UP)  # type: ignore[arg-type]
