"""Money: strict in, exact out, one asset at a time."""

import copy
import operator
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from money import (
    ASSETS,
    MAX_MINOR,
    AmountOutOfRange,
    Asset,
    AssetMismatch,
    InvalidAmount,
    Money,
    asset,
    max_minor,
    total_of,
    zero,
)

USD, JPY, BHD, CLF, USDC = (asset(code) for code in ("USD", "JPY", "BHD", "CLF", "USDC"))
assets = st.sampled_from([USD, JPY, BHD, CLF, USDC])


@st.composite
def amounts(draw: st.DrawFn, of: st.SearchStrategy[Asset] = assets) -> Money:
    chosen = draw(of)
    limit = max_minor(chosen)
    return Money(draw(st.integers(-limit, limit)), chosen)


usd = amounts(of=st.just(USD))


@given(amounts().filter(lambda money: money != Money(-MAX_MINOR, USDC)))
@example(Money(MAX_MINOR, USDC))
@example(Money(-MAX_MINOR + 1, USDC))
def test_a_printed_amount_reads_back_as_itself(money: Money) -> None:
    assert Money.parse(money.to_decimal_string(), money.asset) == money


def test_only_the_lowest_amount_of_six_decimals_prints_longer_than_parse_accepts() -> None:
    lowest = Money(-MAX_MINOR, USDC)
    assert lowest.to_decimal_string() == "-1000000000000.000000"
    with pytest.raises(InvalidAmount):
        Money.parse(lowest.to_decimal_string(), USDC)
    assert Money.parse("-1000000000000", USDC) == lowest
    assert Money.parse("-999999999999.999999", USDC).minor == -MAX_MINOR + 1


@pytest.mark.parametrize(
    ("minor", "of", "text"),
    [
        (1250, USD, "12.50"),
        (-5, USD, "-0.05"),
        (0, USD, "0.00"),
        (7, JPY, "7"),
        (-7, JPY, "-7"),
        (1, BHD, "0.001"),
        (10**18, USDC, "1000000000000.000000"),
    ],
)
def test_amounts_print_with_all_decimals_of_their_asset(minor: int, of: Asset, text: str) -> None:
    assert Money(minor, of).to_decimal_string() == text
    assert str(Money(minor, of)) == f"{text} {of.code}"


@pytest.mark.parametrize(
    ("text", "minor"),
    [("12.50", 1250), ("12.5", 1250), ("12", 1200), ("-0.05", -5), ("-0", 0), ("007", 700)],
)
def test_plain_decimals_are_read(text: str, minor: int) -> None:
    assert Money.parse(text, USD) == Money(minor, USD)


REFUSED_TEXTS = [
    *["", "-", ".", "1.", ".5", "+1", "--1", "1-", "1e3", "1E3", "1e-9", "1e400", "NaN", "inf"],
    *["-inf", "Infinity", " 1", "1 ", "1\n", "\n1", "1\t", "1_000", "1,000", "1,5", "1.2.3"],
    *["0x10", "١٢", "１２", "1\u00a0", "1\x00", "\u22121", "²", "1.001", "12.500", "$1", "1/2"],
    *["0" * 21, "1" * 4000, "-" + "0" * 20],
]


@pytest.mark.parametrize("text", REFUSED_TEXTS)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount):
        Money.parse(text, USD)


@given(st.text(max_size=24))
@example("1\u0660")
def test_random_text_is_refused_or_is_ascii_decimal(text: str) -> None:
    try:
        Money.parse(text, USDC)
    except (InvalidAmount, AmountOutOfRange):
        return
    assert text.isascii()
    assert text.lstrip("-").replace(".", "").isdigit()


@pytest.mark.parametrize(("text", "of"), [("1.0", JPY), ("1.2345", BHD), ("0.0000001", USDC)])
def test_more_decimals_than_the_asset_has_are_refused(text: str, of: Asset) -> None:
    with pytest.raises(InvalidAmount):
        Money.parse(text, of)


NOT_INTS = [1.0, float("nan"), True, False, Decimal(1), Fraction(1), "1", b"1", None, 1j]


@pytest.mark.parametrize("bad", NOT_INTS)
def test_nothing_but_an_int_is_an_amount(bad: object) -> None:
    with pytest.raises(TypeError):
        Money(bad, USD)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [1, 1.5, Decimal("1.5"), True, None, b"1.5"])
def test_nothing_but_text_is_parsed(bad: object) -> None:
    with pytest.raises(TypeError):
        Money.parse(bad, USD)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [2.0, True, Decimal(2), Fraction(2), "2", Money(2, USD)])
def test_nothing_but_an_int_multiplies(bad: Any) -> None:
    with pytest.raises(TypeError):
        Money(5, USD) * bad
    with pytest.raises(TypeError):
        bad * Money(5, USD)


@pytest.mark.parametrize("bad", [0, 1, 1.0, True, Decimal(1), None])
@pytest.mark.parametrize(
    "operation", [operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge]
)
def test_a_bare_number_neither_adds_nor_compares(
    operation: Callable[[Any, Any], object], bad: object
) -> None:
    with pytest.raises(TypeError):
        operation(Money(1, USD), bad)
    with pytest.raises(TypeError):
        operation(bad, Money(1, USD))


@pytest.mark.parametrize(
    "operation", [operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge]
)
def test_two_assets_never_mix(operation: Callable[[Any, Any], object]) -> None:
    with pytest.raises(AssetMismatch):
        operation(Money(1, USD), Money(1, asset("EUR")))
    with pytest.raises(AssetMismatch):
        operation(Money(1, USD), Money(1, USDC))


def test_amounts_of_two_assets_are_unequal_without_an_error() -> None:
    assert Money(1, USD) != Money(1, USDC)
    assert Money(0, USD) != Money(0, JPY)
    assert len({Money(1, USD), Money(1, USD), Money(1, USDC)}) == 2


@given(usd, usd)
def test_order_is_the_order_of_minor_units(left: Money, right: Money) -> None:
    assert (left < right) == (left.minor < right.minor)
    assert (left <= right) == (left.minor <= right.minor)
    assert (left > right) == (left.minor > right.minor)
    assert (left >= right) == (left.minor >= right.minor)


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12), st.integers(-9, 9))
def test_arithmetic_is_that_of_integers(left: int, right: int, factor: int) -> None:
    a, b = Money(left, USD), Money(right, USD)
    assert (a + b).minor == left + right
    assert (a - b).minor == left - right
    assert (-a).minor == -left
    assert abs(a).minor == abs(left)
    assert (a * factor).minor == (factor * a).minor == left * factor


@pytest.mark.parametrize("of", ASSETS.values(), ids=str)
def test_the_limit_is_a_million_million_units_of_every_asset(of: Asset) -> None:
    limit = max_minor(of)
    assert limit == 10 ** (12 + of.exponent) <= MAX_MINOR < 2**63
    highest = Money(limit, of)
    attempts: list[Callable[[], Money]] = [
        lambda: Money(limit + 1, of),
        lambda: Money(-limit - 1, of),
        lambda: highest + Money(1, of),
        lambda: -highest - Money(1, of),
        lambda: highest * 2,
        lambda: Money.parse("1000000000001", of),
    ]
    for beyond in attempts:
        with pytest.raises(AmountOutOfRange):
            beyond()


def test_a_sum_may_pass_the_limit_on_its_way_but_not_at_its_end() -> None:
    limit = max_minor(USD)
    high, one = Money(limit, USD), Money(1, USD)
    assert total_of([high, one, -high], USD) == one
    assert total_of([], USD) == zero(USD) == Money.zero(USD)
    with pytest.raises(AmountOutOfRange):
        total_of([high, one], USD)
    with pytest.raises(AssetMismatch):
        total_of([one, Money(1, JPY)], USD)


def test_an_amount_cannot_be_changed() -> None:
    money = Money(1, USD)
    with pytest.raises(FrozenInstanceError):
        money.minor = 2  # type: ignore[misc]


def test_an_amount_survives_copy_and_pickle() -> None:
    money = Money(-123, BHD)
    assert copy.deepcopy(money) == money
    assert pickle.loads(pickle.dumps(money)) == money


def test_an_asset_of_the_same_code_but_other_decimals_is_another_asset() -> None:
    with pytest.raises(AssetMismatch):
        Money(1, USD) + Money(1, Asset("USD", 6, "USD"))
