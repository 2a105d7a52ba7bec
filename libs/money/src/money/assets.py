"""What an amount is an amount of: ISO 4217 currencies and the tokens pegged to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from money.errors import InvalidAsset, UnknownAsset
from money.iso4217 import EXPONENT_BY_CODE
from money.strict import require_int, require_type

EXPONENT_MAX: Final = 6
"""Decimals an asset may have; also the scale of `par.micros`."""

TOKEN_EXPONENT: Final = 6

CURRENCY_BY_TOKEN: Final[dict[str, str]] = {
    "PATHUSD": "USD",
    "ALPHAUSD": "USD",
    "BETAUSD": "USD",
    "THETAUSD": "USD",
    "USDC": "USD",
    "USDT": "USD",
    "EURC": "EUR",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A currency or token.

    `exponent` is the number of decimals (one major unit is 10**exponent minor units).
    `currency` is the fiat currency the asset is pegged to; a fiat currency names itself.
    Take assets from `asset()`; build one by hand only in tests. Raises InvalidAsset.
    """

    code: str
    exponent: int
    currency: str

    def __post_init__(self) -> None:
        require_type("code", self.code, str)
        require_type("currency", self.currency, str)
        require_int("exponent", self.exponent)
        if not self.code or not self.currency:
            raise InvalidAsset("code and currency must not be empty")
        if not 0 <= self.exponent <= EXPONENT_MAX:
            raise InvalidAsset(f"exponent must be 0..{EXPONENT_MAX}, not {self.exponent}")

    @property
    def is_token(self) -> bool:
        """True for a token pegged to a currency, False for the currency itself."""
        return self.code != self.currency

    def __str__(self) -> str:
        return self.code


def _known_assets() -> dict[str, Asset]:
    fiat = {code: Asset(code, exponent, code) for code, exponent in EXPONENT_BY_CODE.items()}
    tokens = {
        code: Asset(code, TOKEN_EXPONENT, currency) for code, currency in CURRENCY_BY_TOKEN.items()
    }
    return fiat | tokens


ASSETS: Final[Mapping[str, Asset]] = MappingProxyType(_known_assets())
"""Every asset by its code, read-only."""


def asset(code: str) -> Asset:
    """Return the asset of this exact code (`USD`, not `usd`). Raises UnknownAsset."""
    require_type("code", code, str)
    found = ASSETS.get(code)
    if found is None:
        raise UnknownAsset(f"{code[:16]!r} is not the code of a known currency or token")
    return found


def tokens_of(currency: str) -> tuple[Asset, ...]:
    """Return the tokens pegged to a fiat currency, possibly none.

    Raises UnknownAsset when `currency` is not the code of a fiat currency.
    """
    if asset(currency).is_token:
        raise UnknownAsset(f"{currency} is a token, not a currency")
    return tuple(
        known for known in ASSETS.values() if known.is_token and known.currency == currency
    )
