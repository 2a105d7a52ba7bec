"""Taxes: exact shares, then one rounding."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money import MAX_TAXES_PER_LINE, InvalidTax, Rounding, Tax, divide
from money.tax import require_usable_together, round_to_parts, shares_of_price

taxes = st.lists(
    st.builds(
        Tax,
        code=st.sampled_from("ABCDEFGH"),
        name=st.just(""),
        rate_ppm=st.integers(0, 10_000_000),
        included=st.booleans(),
        compound=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda tax: tax.code,
)
fractions = st.lists(st.fractions(0, 100, max_denominator=1000), min_size=1, max_size=15)


@given(taxes)
def test_each_share_is_the_rate_on_the_exact_base(of: list[Tax]) -> None:
    shares = shares_of_price(of)
    net = 1 - sum(share for share, tax in zip(shares, of, strict=True) if tax.included)
    before = Fraction(net)
    for share, tax in zip(shares, of, strict=True):
        base = before if tax.compound else net
        assert share == base * Fraction(tax.rate_ppm, 10**6)
        before += share


def test_quebec_sales_tax_keeps_its_third_decimal() -> None:
    qst = Tax("QST", "Quebec sales tax", 99_750)
    assert qst.percent_string == "9.975"
    assert shares_of_price([qst]) == (Fraction(9975, 100_000),)


@pytest.mark.parametrize(
    ("ppm", "text"),
    [(190_000, "19"), (0, "0"), (1_000_000, "100"), (55_000, "5.5"), (1, "0.0001")],
)
def test_rates_print_without_needless_zeros(ppm: int, text: str) -> None:
    assert Tax("T", "", ppm).percent_string == text


def test_basis_points_are_hundredths_of_a_percent() -> None:
    assert Tax.from_bps("VAT", "", 1900, included=True) == Tax("VAT", "", 190_000, included=True)


@given(fractions, st.sampled_from(Rounding))
def test_parts_sum_to_the_rounded_sum_and_each_is_near_its_value(
    exact: list[Fraction], rounding: Rounding
) -> None:
    parts = round_to_parts(exact, rounding)
    total = sum(exact, Fraction(0))
    assert sum(parts) == divide(total.numerator, total.denominator, rounding)
    assert all(abs(p - e) < 1 for p, e in zip(parts, exact, strict=True))


@given(st.data(), fractions, st.sampled_from(Rounding))
def test_no_part_exceeds_its_room(
    data: st.DataObject, exact: list[Fraction], rounding: Rounding
) -> None:
    room = [data.draw(st.integers(0, 120)) for _ in exact]
    parts = round_to_parts(exact, rounding, room)
    assert all(0 <= part <= most for part, most in zip(parts, room, strict=True))


@pytest.mark.parametrize("ppm", [-1, 10_000_001])
def test_a_rate_out_of_range_is_refused(ppm: int) -> None:
    with pytest.raises(InvalidTax):
        Tax("T", "", ppm)


@pytest.mark.parametrize(("code", "name"), [("", ""), ("x" * 129, ""), ("T", "x" * 129)])
def test_a_tax_has_a_code_and_short_texts(code: str, name: str) -> None:
    with pytest.raises(InvalidTax):
        Tax(code, name, 1)


@pytest.mark.parametrize("bad", [0.19, True, "19", None])
def test_a_rate_is_an_int(bad: object) -> None:
    with pytest.raises(TypeError):
        Tax("T", "", bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Tax.from_bps("T", "", bad)  # type: ignore[arg-type]


def test_a_flag_is_a_bool() -> None:
    with pytest.raises(TypeError):
        Tax("T", "", 1, included=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Tax("T", "", 1, compound=None)  # type: ignore[arg-type]


def test_a_line_names_a_code_once_and_has_few_taxes() -> None:
    with pytest.raises(InvalidTax):
        require_usable_together([Tax("T", "", 1), Tax("T", "", 2)])
    many = [Tax(str(at), "", 1) for at in range(MAX_TAXES_PER_LINE + 1)]
    require_usable_together(many[:-1])
    with pytest.raises(InvalidTax):
        require_usable_together(many)
