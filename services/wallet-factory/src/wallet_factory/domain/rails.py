"""Where an invoice can be paid: rails in the configured order, the first that serves is taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from invoiceos_contracts.base import WalletMode
from money import MoneyError, asset
from wallet_factory.domain.health import Circuit, unwell

RAIL_RULE = "configured_order.v2"
"""Tempo stands first in the configuration; the first that serves and is well in the currency."""
TENANT_RULE = "tenant_order.v1"
"""As that, in the order of the tenant's own policy."""


class Rail(Protocol):
    """A way to be paid. Making an address needs no call to anyone; see docs/adding-a-provider.md.

    To add one: a class with these members, a line in `rails_of`, and its name in the setting.
    """

    @property
    def name(self) -> str:
        """Name in settings, facts and health news."""

    @property
    def chain_id(self) -> int | None:
        """Chain the addresses are valid on; None where there is no chain."""

    @property
    def network(self) -> str:
        """Within one network no address is given twice."""

    def accepts(self, asset: str) -> tuple[str, ...]:
        """Codes of what an invoice in this asset can be paid with; empty when it cannot."""

    def serves(self, asset: str, mode: WalletMode) -> str | None:
        """None when this rail can serve, else the code of the reason why not."""

    def address(self, place: int) -> str:
        """The address at a place of the rail's own counter."""

    def salt(self, place: int) -> str | None:
        """What money at this address is fetched with; None where nothing has to be fetched."""

    def derivation(self, place: int) -> bytes:
        """How the address at this place came about, canonical; kept until destruction."""


def pegged(tokens: Sequence[str], asset_code: str) -> tuple[str, ...]:
    """Those of the tokens that are pegged to the currency of an asset."""
    try:
        currency = asset(asset_code).currency
    except MoneyError:
        return ()
    return tuple(code for code in tokens if asset(code).currency == currency)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rail that was not taken, and why."""

    rail: str
    reason: str
    detail: str | None = None
    """Who is down, where that is the reason."""

    def __str__(self) -> str:
        """As it stands in `WalletFailed.tried`."""
        return f"{self.rail}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RailChoice:
    """The rail that was taken, if any, and every one passed over before it."""

    rail: Rail | None
    skipped: tuple[Skipped, ...]

    @property
    def rail_name(self) -> str | None:
        """The name of the rail that was taken."""
        return self.rail.name if self.rail else None

    @property
    def failure(self) -> str:
        """Why none was taken, as one code; that of all rails where they agree."""
        reasons = {item.reason for item in self.skipped}
        return reasons.pop() if len(reasons) == 1 else "no_rail_available"


def choose_rail(
    rails: Sequence[Rail], circuits: Sequence[Circuit], asset: str, mode: WalletMode
) -> RailChoice:
    """The first rail that serves and of whose providers one is well in this currency."""
    skipped: list[Skipped] = []
    for rail in rails:
        # What a rail can never serve is said before what it cannot serve now: a retry helps only
        # with the latter.
        reason = rail.serves(asset, mode)
        down = None if reason else unwell(rail, rail.name, asset, circuits)
        if reason is None and down is None:
            return RailChoice(rail, tuple(skipped))
        skipped.append(Skipped(rail.name, reason or "unhealthy", down))
    return RailChoice(None, tuple(skipped))
