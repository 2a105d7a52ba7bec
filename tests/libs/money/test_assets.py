"""Assets: the currency table and the tokens."""

import pytest

from money import ASSETS, Asset, InvalidAsset, MoneyError, UnknownAsset, asset, tokens_of


@pytest.mark.parametrize(
    ("code", "exponent"),
    [
        *[("USD", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("XOF", 0), ("BHD", 3), ("KWD", 3)],
        *[("CLF", 4), ("UYW", 4), ("MGA", 2), ("HUF", 2), ("ISK", 0), ("XCG", 2), ("ZWG", 2)],
    ],
)
def test_a_currency_has_the_exponent_of_iso_4217(code: str, exponent: int) -> None:
    assert asset(code) == Asset(code, exponent, code)


def test_the_table_counts_the_codes_of_amendment_180() -> None:
    fiat = [known for known in ASSETS.values() if not known.is_token]
    by_exponent = {e: sum(known.exponent == e for known in fiat) for e in (0, 2, 3, 4)}
    assert by_exponent == {0: 17, 2: 139, 3: 7, 4: 2}
    assert len(fiat) == 165


def test_every_currency_code_is_three_capital_letters() -> None:
    fiat = [code for code, known in ASSETS.items() if not known.is_token]
    assert all(len(c) == 3 and c.isascii() and c.isalpha() and c.isupper() for c in fiat)


@pytest.mark.parametrize("code", ["PATHUSD", "ALPHAUSD", "BETAUSD", "THETAUSD", "USDC", "USDT"])
def test_a_dollar_token_has_six_decimals_and_is_pegged_to_usd(code: str) -> None:
    assert asset(code) == Asset(code, 6, "USD")
    assert asset(code).is_token


@pytest.mark.parametrize(
    "code", ["usd", "Usd", " USD", "USD ", "USD\n", "", "US", "USDD", "840", "ＵＳＤ", "\x00"]
)
def test_anything_but_an_exact_code_is_unknown(code: str) -> None:
    with pytest.raises(UnknownAsset):
        asset(code)


@pytest.mark.parametrize(
    "code", ["XAU", "XDR", "XXX", "XTS", "ANG", "BGN", "HRK", "ZWL", "SLL", "CUC", "DEM"]
)
def test_metals_units_of_account_and_withdrawn_codes_are_unknown(code: str) -> None:
    with pytest.raises(UnknownAsset):
        asset(code)


@pytest.mark.parametrize("code", [None, 840, b"USD", ["USD"]])
def test_a_code_that_is_no_text_is_a_type_error(code: object) -> None:
    with pytest.raises(TypeError):
        asset(code)  # type: ignore[arg-type]


def test_tokens_of_a_currency_are_those_pegged_to_it() -> None:
    assert [token.code for token in tokens_of("EUR")] == ["EURC"]
    assert len(tokens_of("USD")) == 6
    assert tokens_of("JPY") == ()


@pytest.mark.parametrize("code", ["USDC", "nope", "usd"])
def test_tokens_of_something_that_is_no_currency_is_refused(code: str) -> None:
    with pytest.raises(UnknownAsset):
        tokens_of(code)


def test_the_table_of_assets_is_read_only() -> None:
    with pytest.raises(TypeError):
        ASSETS["ABC"] = Asset("ABC", 2, "ABC")  # type: ignore[index]


@pytest.mark.parametrize(("code", "exponent"), [("X", -1), ("X", 7), ("", 2)])
def test_an_impossible_asset_is_refused(code: str, exponent: int) -> None:
    with pytest.raises(InvalidAsset):
        Asset(code, exponent, "X")


@pytest.mark.parametrize("exponent", [True, 2.0, "2"])
def test_an_exponent_that_is_no_int_is_a_type_error(exponent: object) -> None:
    with pytest.raises(TypeError):
        Asset("X", exponent, "X")  # type: ignore[arg-type]


def test_errors_carry_a_stable_code() -> None:
    def all_of(kind: type[MoneyError]) -> list[type[MoneyError]]:
        return [kind, *(below for child in kind.__subclasses__() for below in all_of(child))]

    codes = [kind.code for kind in all_of(MoneyError)]
    assert len(set(codes)) == len(codes) == 12
    assert UnknownAsset.code == "unknown_asset"
    assert issubclass(MoneyError, ValueError)
