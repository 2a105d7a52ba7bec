"""The rail Tempo: a virtual address of the treasury's master for each invoice (TIP-1022).

No key exists for such an address and nothing is on chain until it is paid: a transfer to it is
credited to the master in the same call. The 48-bit tag is a counter under a keyed permutation:
unique because it is a permutation, not to be enumerated because it is keyed.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property

from eth_utils.address import to_checksum_address

from invoiceos_contracts.base import WalletMode
from wallet_factory.domain.permutation import fingerprint, permute, places
from wallet_factory.domain.rails import pegged

TAG_HALF_BYTES = 3
TAGS = places(TAG_HALF_BYTES)
"""How many addresses one master has."""
_FILLER = b"\xfd" * 10
_MODES = frozenset({WalletMode.EPHEMERAL, WalletMode.PERSISTENT})


@dataclass(frozen=True)
class TempoRail:
    """The rail Tempo with one registered master."""

    chain_id: int
    master_address: str
    master_id: str
    """4 bytes, hexadecimal."""
    tokens: tuple[str, ...]
    """Codes of the tokens that are taken."""
    tag_key: bytes = field(repr=False)
    name: str = "tempo"

    @property
    def network(self) -> str:
        """One chain is one network."""
        return f"{self.name}/{self.chain_id}"

    @cached_property
    def tag_key_fingerprint(self) -> str:
        """Names the key without telling it."""
        return fingerprint(self.tag_key)

    def accepts(self, asset_code: str) -> tuple[str, ...]:
        """The configured tokens pegged to the currency of the invoice's asset."""
        return pegged(self.tokens, asset_code)

    def serves(self, asset_code: str, mode: WalletMode) -> str | None:
        """Any mode, any invoice in a currency one of the tokens is pegged to."""
        if not self.accepts(asset_code):
            return "asset_not_accepted"
        return None if mode in _MODES else "mode_not_supported"

    def address(self, place: int) -> str:
        """EIP-55 text of master id (4 bytes), ten bytes 0xfd, tag (6 bytes)."""
        tag = permute(self.tag_key, place, TAG_HALF_BYTES).to_bytes(6, "big")
        return str(to_checksum_address(bytes.fromhex(self.master_id) + _FILLER + tag))

    def salt(self, _place: int) -> str | None:
        """Money at such an address is the master's at once; nothing has to be fetched."""
        return None

    def derivation(self, place: int) -> bytes:
        """Chain, master and sequence number."""
        record = {"chain_id": self.chain_id, "master_id": self.master_id, "sequence": place}
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
