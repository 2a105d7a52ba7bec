"""Amounts that providers write as decimal texts, to minor units and back, without a float."""

from money import ASSETS, asset
from money.decimal_text import join_decimal, split_decimal
from provider_orchestrator.providers.exchange import Senseless, Unsayable


def text_of(minor: int, code: str, decimals: int) -> str:
    """Minor units of an asset with so many decimals; raises `Unsayable` where that loses some."""
    if code not in ASSETS:
        message = f"there is no asset {code}"
        raise Unsayable(message)
    places = asset(code).exponent - decimals
    scaled, rest = (minor * 10**-places, 0) if places <= 0 else divmod(minor, 10**places)
    if rest:
        message = f"{minor} minor units of {code} have more than {decimals} decimals"
        raise Unsayable(message)
    return join_decimal(scaled, decimals)


def minor_of(text: object, code: object) -> int:
    """Minor units of what is written; raises `Senseless` for what is no amount of that asset."""
    split = split_decimal(text) if isinstance(text, str) else None
    if split is None or not isinstance(code, str) or code not in ASSETS:
        message = f"{str(text)[:40]!r} {str(code)[:10]!r} is no amount"
        raise Senseless(message)
    scaled, decimals = split
    places = asset(code).exponent - decimals
    minor, rest = (scaled * 10**places, 0) if places >= 0 else divmod(scaled, 10**-places)
    if rest:
        message = f"{text} {code} has more decimals than the asset"
        raise Senseless(message)
    return int(minor)
