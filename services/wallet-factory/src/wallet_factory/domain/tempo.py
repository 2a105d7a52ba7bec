"""The rail Tempo: a virtual address of the treasury's master for each invoice (TIP-1022).

No key exists for such an address and nothing is on chain until it is paid: a transfer to it is
credited to the master in the same call. The 48-bit tag is a counter under a keyed permutation:
unique because it is a permutation, not to be enumerated because it is keyed.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property

from eth_utils.address import to_checksum_address

from invoiceos_contracts.base import WalletMode
from money import MoneyError, asset

_HALF_BITS = 24
_HALF = (1 << _HALF_BITS) - 1
_ROUNDS = 8
TAGS = 1 << (2 * _HALF_BITS)
"""How many addresses one master has."""
_FILLER = b"\xfd" * 10
_MODES = frozenset({WalletMode.EPHEMERAL, WalletMode.PERSISTENT})


def _round(key: bytes, number: int, half: int) -> int:
    message = bytes([number]) + half.to_bytes(3, "big")
    return int.from_bytes(hashlib.blake2b(message, key=key, digest_size=3).digest(), "big")


def permute(key: bytes, place: int) -> int:
    """The tag at a place of the counter: a balanced Feistel network, keyed BLAKE2b in each round.

    Raises `ValueError` outside 0 .. 2**48 - 1.
    """
    if not 0 <= place < TAGS:
        raise ValueError(f"a master has places 0 to {TAGS - 1}")
    left, right = place >> _HALF_BITS, place & _HALF
    for number in range(_ROUNDS):
        left, right = right, left ^ _round(key, number, right)
    return left << _HALF_BITS | right


def place_of(key: bytes, tag: int) -> int:
    """The place a tag stands for: the inverse of `permute`."""
    if not 0 <= tag < TAGS:
        raise ValueError(f"a tag is 0 to {TAGS - 1}")
    left, right = tag >> _HALF_BITS, tag & _HALF
    for number in reversed(range(_ROUNDS)):
        left, right = right ^ _round(key, number, left), left
    return left << _HALF_BITS | right


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
        return hashlib.blake2b(b"fingerprint", key=self.tag_key, digest_size=32).hexdigest()

    def accepts(self, asset_code: str) -> tuple[str, ...]:
        """The configured tokens pegged to the currency of the invoice's asset."""
        try:
            currency = asset(asset_code).currency
        except MoneyError:
            return ()
        return tuple(code for code in self.tokens if asset(code).currency == currency)

    def serves(self, asset_code: str, mode: WalletMode) -> str | None:
        """Any mode, any invoice in a currency one of the tokens is pegged to."""
        if not self.accepts(asset_code):
            return "asset_not_accepted"
        return None if mode in _MODES else "mode_not_supported"

    def address(self, place: int) -> str:
        """EIP-55 text of master id (4 bytes), ten bytes 0xfd, tag (6 bytes)."""
        tag = permute(self.tag_key, place).to_bytes(6, "big")
        return str(to_checksum_address(bytes.fromhex(self.master_id) + _FILLER + tag))

    def derivation(self, place: int) -> bytes:
        """Chain, master and sequence number."""
        record = {"chain_id": self.chain_id, "master_id": self.master_id, "sequence": place}
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
