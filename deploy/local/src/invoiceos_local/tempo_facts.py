"""Constants of the local Tempo chain: public test material, none of which guards money."""

from __future__ import annotations

from collections.abc import Mapping

CHAIN_ID = 31337
MNEMONIC = "test test test test test test test test test test test junk"
PATH_USD = "0x20c0000000000000000000000000000000000000"
ALPHA_USD = "0x20c0000000000000000000000000000000000001"
TOKENS: Mapping[str, str] = {"PATHUSD": PATH_USD, "ALPHAUSD": ALPHA_USD}
TOKEN_DECIMALS = 6
VIRTUAL_REGISTRY = "0xFDC0000000000000000000000000000000000000"

MASTER_INDEX = 0
MASTER_ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
# The proof of work that makes the first account a virtual master, and the id that comes of it.
MASTER_SALT = (0xABF52BAF).to_bytes(32, "big")
MASTER_ID = "58e21090"
PAYER_INDEX = 1
VIRTUAL_MARK = b"\xfd" * 10
