"""Constants of the local EVM chain: public test material, none of which guards money."""

from __future__ import annotations

from collections.abc import Mapping

CHAIN_ID = 31338
DEPLOYER_INDEX = 9
"""Account of the mnemonic that makes the contracts, as the first things it ever does."""
OPERATOR_INDEX = 8
TREASURY_INDEX = 7
DEPLOYER_ADDRESS = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
OPERATOR_ADDRESS = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"
TREASURY_ADDRESS = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
PAYER_ADDRESS = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"
"""Account 4, who pays."""
# What CREATE makes of the deployer and its first two nonces, and of the factory and its first.
USDC = "0x700b6A60ce7EaaEA56F065753d8dcB9653dbAD35"
FACTORY = "0xA15BB66138824a1c7167f5E85b957d04Dd34E468"
IMPLEMENTATION = "0x07E06C8Fab4A6bF1E242F3d786bc5B19785Bb921"
TOKENS: Mapping[str, str] = {"USDC": USDC}
DUST_MINOR = 10_000
"""A cent: less at an address is not worth a transaction here."""
UNITS_PER_CENT = 10_000
