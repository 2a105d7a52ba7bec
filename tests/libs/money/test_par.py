"""At par: exact between a currency and its tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money import (
    MAX_MINOR,
    AmountOutOfRange,
    Asset,
    AssetMismatch,
    Money,
    Rounding,
    asset,
    at_par,
    compare_at_par,
    from_micros,
    max_minor,
    micros,
    tokens_of,
)

USD, EUR, JPY, USDC = (asset(code) for code in ("USD", "EUR", "JPY", "USDC"))
DOLLARS = (USD, *tokens_of("USD"))
roundings = st.sampled_from(Rounding)


@st.composite
def dollar_amounts(draw: st.DrawFn) -> Money:
    chosen = draw(st.sampled_from(DOLLARS))
    limit = max_minor(chosen)
    return Money(draw(st.integers(-limit, limit)), chosen)


def test_a_cent_is_ten_thousand_micros_in_any_dollar() -> None:
    assert micros(Money(1, USD)) == micros(Money(10_000, USDC)) == 10_000
    assert micros(Money(1, JPY)) == 1_000_000


@given(dollar_amounts(), roundings)
def test_micros_and_back_is_the_same_amount(money: Money, rounding: Rounding) -> None:
    assert from_micros(micros(money), money.asset, rounding) == money


@given(dollar_amounts(), roundings)
def test_a_token_holds_every_amount_exactly(money: Money, rounding: Rounding) -> None:
    token = at_par(money, USDC, rounding)
    assert micros(token) == micros(money)
    assert at_par(token, money.asset, rounding) == money


@given(dollar_amounts(), roundings)
def test_to_cents_moves_less_than_one_cent_and_never_leaves_the_range(
    money: Money, rounding: Rounding
) -> None:
    cents = at_par(money, USD, rounding)
    assert abs(micros(cents) - micros(money)) < 10_000


@given(dollar_amounts(), dollar_amounts())
def test_comparison_is_that_of_micros(left: Money, right: Money) -> None:
    difference = micros(left) - micros(right)
    assert compare_at_par(left, right) == (difference > 0) - (difference < 0)


@pytest.mark.parametrize(
    ("rounding", "cents"),
    [("half_up", 2), ("half_even", 2), ("up", 2), ("down", 1), ("floor", 1), ("ceiling", 2)],
)
def test_half_a_cent_rounds_as_asked(rounding: str, cents: int) -> None:
    assert at_par(Money(15_000, USDC), USD, Rounding(rounding)) == Money(cents, USD)


@pytest.mark.parametrize("other", [EUR, asset("EURC"), JPY])
def test_other_currencies_have_no_par(other: Asset) -> None:
    with pytest.raises(AssetMismatch):
        at_par(Money(1, USDC), other, Rounding.HALF_UP)
    with pytest.raises(AssetMismatch):
        compare_at_par(Money(1, USDC), Money(1, other))


@pytest.mark.parametrize("bad", [1.0, True, "1", None])
def test_micros_are_ints(bad: object) -> None:
    with pytest.raises(TypeError):
        from_micros(bad, USD, Rounding.DOWN)  # type: ignore[arg-type]


def test_micros_beyond_the_limit_are_out_of_range() -> None:
    assert from_micros(MAX_MINOR, JPY, Rounding.DOWN).minor == 10**12
    with pytest.raises(AmountOutOfRange):
        from_micros(MAX_MINOR + 1, USDC, Rounding.DOWN)
