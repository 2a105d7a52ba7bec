"""Division: equal to the exact fraction rounded by the book."""

import decimal
from fractions import Fraction
from math import ceil, floor, trunc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from money import Rounding, divide

BIG = 10**40
integers = st.integers(-BIG, BIG) | st.integers(-30, 30)
denominators = (st.integers(-BIG, BIG) | st.integers(-10, 10)).filter(bool)
DECIMAL_NAME = {mode: f"ROUND_{mode.name}" for mode in Rounding}


def away_from_zero(value: Fraction) -> int:
    return ceil(value) if value > 0 else floor(value)


def by_the_book(value: Fraction, mode: Rounding) -> int:
    doubled_distance = 2 * abs(value - trunc(value))
    match mode:
        case Rounding.FLOOR:
            return floor(value)
        case Rounding.CEILING:
            return ceil(value)
        case Rounding.DOWN:
            return trunc(value)
        case Rounding.UP:
            return away_from_zero(value)
        case Rounding.HALF_UP:
            return away_from_zero(value) if doubled_distance >= 1 else trunc(value)
        case Rounding.HALF_EVEN:
            return round(value)


@example(2**53 + 1, 1, Rounding.HALF_UP)  # the first integer that a float cannot hold
@given(integers, denominators, st.sampled_from(Rounding))
def test_division_equals_the_exact_fraction_rounded(n: int, d: int, mode: Rounding) -> None:
    assert divide(n, d, mode) == by_the_book(Fraction(n, d), mode)


@pytest.mark.parametrize("mode", Rounding)
def test_modes_mean_what_the_decimal_module_means(mode: Rounding) -> None:
    for quarters in range(-41, 42):
        exact = decimal.Decimal(quarters) / 4
        expected = int(exact.to_integral_value(DECIMAL_NAME[mode]))
        assert divide(quarters, 4, mode) == expected


@pytest.mark.parametrize("symmetric", ["half_up", "half_even", "up", "down"])
@given(n=integers, d=denominators)
def test_a_negative_rounds_to_minus_the_positive(symmetric: str, n: int, d: int) -> None:
    mode = Rounding(symmetric)
    assert divide(-n, d, mode) == -divide(n, d, mode) == divide(n, -d, mode)


@given(integers, denominators, st.sampled_from(Rounding))
def test_the_result_is_less_than_one_away(n: int, d: int, mode: Rounding) -> None:
    assert abs(divide(n, d, mode) - Fraction(n, d)) < 1


@pytest.mark.parametrize("bad", [1.0, True, "1", None, decimal.Decimal(1), Fraction(1)])
def test_only_ints_are_divided(bad: object) -> None:
    with pytest.raises(TypeError):
        divide(bad, 3, Rounding.HALF_UP)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        divide(3, bad, Rounding.HALF_UP)  # type: ignore[arg-type]


def test_a_zero_denominator_and_an_unknown_mode_are_refused() -> None:
    with pytest.raises(ZeroDivisionError):
        divide(1, 0, Rounding.HALF_UP)
    with pytest.raises(ValueError, match="banker"):
        divide(1, 2, "banker")  # type: ignore[arg-type]
