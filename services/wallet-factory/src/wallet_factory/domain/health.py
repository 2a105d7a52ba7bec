"""Whether a rail can be used now: judged by every provider, rail and currency we have news of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from money import MoneyError, asset


@runtime_checkable
class ByProviders(Protocol):
    """A rail that any of several providers serves, each on rails of its own."""

    def providers(self, asset_code: str) -> tuple[str, ...]:
        """Who serves an invoice in this asset."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """The newest news of one provider on one rail."""

    provider: str
    rail: str
    currency: str
    """Empty: the rail as a whole."""
    is_open: bool


def unwell(rail: object, name: str, asset_code: str, circuits: Sequence[Circuit]) -> str | None:
    """Who is down, when nobody is left to serve this asset on this rail; else None.

    No news is good news: a provider nobody has spoken of is taken to be well. A circuit that is
    half open is used, for only use can close it.
    """
    currencies = _currencies(asset_code)
    if isinstance(rail, ByProviders):
        asked = rail.providers(asset_code)
        down = [
            one for one in asked if _is_down([c for c in circuits if c.provider == one], currencies)
        ]
    else:
        here = [circuit for circuit in circuits if circuit.rail == name]
        asked = tuple(dict.fromkeys(circuit.provider for circuit in here))
        down = [
            one for one in asked if _is_down([c for c in here if c.provider == one], currencies)
        ]
    return ", ".join(down) if down and len(down) == len(asked) else None


def _is_down(news: Sequence[Circuit], currencies: frozenset[str]) -> bool:
    """Whether each rail of one provider is open, as a whole or in these currencies."""
    rails = {circuit.rail for circuit in news}
    broken = {c.rail for c in _open(news) if not c.currency or c.currency in currencies}
    return bool(rails) and rails == broken


def _open(news: Iterable[Circuit]) -> Iterable[Circuit]:
    return (circuit for circuit in news if circuit.is_open)


def _currencies(asset_code: str) -> frozenset[str]:
    try:
        return frozenset({asset_code, asset(asset_code).currency})
    except MoneyError:
        return frozenset({asset_code})
