"""The rail `evm-create2`: on any EVM chain, an address where a contract can be put later (CREATE2).

The address follows from the factory, a salt and the code of the proxy (EIP-1167) that the factory
puts there. Nothing is on chain until money is fetched, and no key exists: the factory sends what
lies there to its treasury, whenever it came.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from invoiceos_contracts.base import WalletMode
from wallet_factory.domain.permutation import fingerprint, permute
from wallet_factory.domain.rails import pegged

CREATE2_RAIL = "evm-create2"
SALT_HALF_BYTES = 8
"""Salts are 16 bytes of 32: too many to try them all, which 48 bits are not."""
_PROXY_BEFORE = bytes.fromhex("602d3d8160093d39f3363d3d373d3d3d363d73")
_PROXY_AFTER = bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
_MODES = frozenset({WalletMode.EPHEMERAL, WalletMode.PERSISTENT})


def create2_address(factory: bytes, implementation: bytes, salt: bytes) -> str:
    """EIP-55 text of where the factory puts the proxy of the implementation under this salt."""
    code_hash = keccak(_PROXY_BEFORE + implementation + _PROXY_AFTER)
    return str(to_checksum_address(keccak(b"\xff" + factory + salt + code_hash)[12:]))


@dataclass(frozen=True)
class Create2Rail:
    """One chain with one factory of deposit addresses."""

    chain_id: int
    factory: str
    implementation: str
    tokens: tuple[str, ...]
    """Codes of the tokens that are taken."""
    salt_key: bytes = field(repr=False)
    name: str = CREATE2_RAIL

    @property
    def network(self) -> str:
        """One chain is one network, whatever the rail is called."""
        return f"eip155/{self.chain_id}"

    @cached_property
    def salt_key_fingerprint(self) -> str:
        """Names the key without telling it."""
        return fingerprint(self._key)

    @cached_property
    def _key(self) -> bytes:
        """Of this factory alone: the same place of another chain must not have the same salt."""
        return bytes(keccak(self.salt_key + self.chain_id.to_bytes(8, "big") + self._factory))

    @cached_property
    def _factory(self) -> bytes:
        return bytes.fromhex(self.factory[2:])

    def accepts(self, asset_code: str) -> tuple[str, ...]:
        """The configured tokens pegged to the currency of the invoice's asset."""
        return pegged(self.tokens, asset_code)

    def serves(self, asset_code: str, mode: WalletMode) -> str | None:
        """Any mode, any invoice in a currency one of the tokens is pegged to."""
        if not self.accepts(asset_code):
            return "asset_not_accepted"
        return None if mode in _MODES else "mode_not_supported"

    def address(self, place: int) -> str:
        """Where money of the invoice at this place goes."""
        salt = bytes.fromhex(self.salt(place)[2:])
        return create2_address(self._factory, bytes.fromhex(self.implementation[2:]), salt)

    def salt(self, place: int) -> str:
        """What whoever fetches the money must know for ever; it tells nothing but that."""
        return "0x" + permute(self._key, place, SALT_HALF_BYTES).to_bytes(32, "big").hex()

    def derivation(self, place: int) -> bytes:
        """Chain, factory and sequence number."""
        record = {"chain_id": self.chain_id, "factory": self.factory, "sequence": place}
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
