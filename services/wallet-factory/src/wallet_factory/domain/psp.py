"""The rail of the payment service providers: an intent at one of them, when no chain can serve.

The wallet has no chain and no key: its address is a reference that stands for the invoice at
whichever provider charges it, so a provider that fails is replaced without another wallet. Making
one calls nobody; the intent is made by the orchestrator when the payer chooses how to pay.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from invoiceos_contracts import encode
from invoiceos_contracts.base import WalletMode
from money import MoneyError, asset

_MODES = frozenset({WalletMode.EPHEMERAL, WalletMode.PERSISTENT})
REFERENCE_BITS = 128


@dataclass(frozen=True)
class PspRail:
    """The rail `psp` with what each configured provider takes."""

    taken: Mapping[str, tuple[str, ...]]
    """Codes of the assets that each provider takes."""
    name: str = "psp"

    @property
    def chain_id(self) -> int | None:
        """There is no chain."""
        return None

    @property
    def network(self) -> str:
        """References are unique over all providers."""
        return self.name

    def providers(self, asset_code: str) -> tuple[str, ...]:
        """Who can take the money of an invoice in this asset."""
        return tuple(name for name, codes in self.taken.items() if _payable(asset_code, codes))

    def accepts(self, asset_code: str) -> tuple[str, ...]:
        """What any of the providers takes in the currency of the invoice's asset."""
        codes = (code for taken in self.taken.values() for code in _payable(asset_code, taken))
        return tuple(dict.fromkeys(codes))

    def serves(self, asset_code: str, mode: WalletMode) -> str | None:
        """Any invoice in a currency that one of the providers takes."""
        if not self.accepts(asset_code):
            return "asset_not_accepted"
        return None if mode in _MODES else "mode_not_supported"

    def address(self, place: int) -> str:
        """The reference at a place: 128 random bits, so nobody can tell it from another's."""
        return encode("psp", UUID(int=place))

    def salt(self, _place: int) -> str | None:
        """Nothing lies on a chain that would have to be fetched."""
        return None

    def derivation(self, place: int) -> bytes:
        """What the reference came from."""
        return json.dumps({"reference": f"{place:032x}"}, separators=(",", ":")).encode()


def _payable(asset_code: str, codes: tuple[str, ...]) -> tuple[str, ...]:
    try:
        currency = asset(asset_code).currency
    except MoneyError:
        return ()
    return tuple(code for code in codes if asset(code).currency == currency)
