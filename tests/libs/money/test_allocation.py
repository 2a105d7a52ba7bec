"""Allocation: nothing lost, nothing invented, the same every time."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money import MAX_PARTS, InvalidWeights, Money, allocate, asset, split, total_of

USD = asset("USD")
amounts = st.integers(-(10**14), 10**14).map(lambda minor: Money(minor, USD))
small = st.integers(-50, 50).map(lambda minor: Money(minor, USD))
weights = st.lists(st.integers(0, 10**20) | st.integers(0, 5), min_size=1, max_size=20).filter(any)


def minors(parts: list[Money]) -> list[int]:
    return [part.minor for part in parts]


@given(amounts | small, weights)
def test_parts_sum_to_the_amount(money: Money, by: list[int]) -> None:
    parts = allocate(money, by)
    assert len(parts) == len(by)
    assert total_of(parts, USD) == money


@given(amounts | small, weights)
def test_a_part_is_less_than_one_unit_from_its_exact_share(money: Money, by: list[int]) -> None:
    for part, weight in zip(allocate(money, by), by, strict=True):
        assert abs(part.minor - Fraction(money.minor * weight, sum(by))) < 1


@given(amounts | small, weights)
def test_a_negative_amount_gives_the_negated_parts(money: Money, by: list[int]) -> None:
    assert allocate(-money, by) == [-part for part in allocate(money, by)]


@given(amounts | small, weights, st.integers(1, 1000))
def test_only_the_proportion_of_weights_matters(money: Money, by: list[int], k: int) -> None:
    assert allocate(money, [weight * k for weight in by]) == allocate(money, by)


@given(amounts | small, weights)
def test_a_heavier_weight_never_gets_less(money: Money, by: list[int]) -> None:
    parts = allocate(abs(money), by)
    ranked = sorted(zip(by, minors(parts), strict=True))
    heavier_or_equal = [part for _, part in ranked]
    assert heavier_or_equal == sorted(heavier_or_equal)


@given(amounts | small, weights)
def test_a_zero_weight_gets_nothing(money: Money, by: list[int]) -> None:
    parts = allocate(money, by)
    assert all(p.minor == 0 for p, weight in zip(parts, by, strict=True) if weight == 0)


def test_left_over_units_go_to_the_largest_remainder_then_to_the_earlier_position() -> None:
    assert minors(allocate(Money(100, USD), [1, 1, 1])) == [34, 33, 33]
    assert minors(allocate(Money(101, USD), [1, 1, 1])) == [34, 34, 33]
    assert minors(allocate(Money(10, USD), [1, 5, 3])) == [1, 6, 3]
    assert minors(allocate(Money(-101, USD), [1, 1, 1])) == [-34, -34, -33]
    assert minors(allocate(Money(1, USD), [0, 1, 1])) == [0, 1, 0]


@given(amounts | small, st.integers(1, 50))
def test_split_parts_are_equal_but_for_one_unit(money: Money, parts: int) -> None:
    sizes = minors(split(money, parts))
    assert sum(sizes) == money.minor
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, key=abs, reverse=True)


@pytest.mark.parametrize("bad", [[], [0], [0, 0], [-1, 2], [1] * (MAX_PARTS + 1)])
def test_unusable_weights_are_refused(bad: list[int]) -> None:
    with pytest.raises(InvalidWeights):
        allocate(Money(1, USD), bad)


@pytest.mark.parametrize("bad", [1.0, True, "1", None])
def test_weights_and_parts_are_ints(bad: object) -> None:
    with pytest.raises(TypeError):
        allocate(Money(1, USD), [1, bad])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        split(Money(1, USD), bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("parts", [0, -1, MAX_PARTS + 1, 10**30])
def test_an_impossible_number_of_parts_is_refused(parts: int) -> None:
    with pytest.raises(InvalidWeights):
        split(Money(1, USD), parts)
