"""How the deposits of a chain are found, as far as those who only record must know."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Watching:
    """A chain we watch."""

    chain_id: int
    provider: str
    rail: str
    confirmations: int = 0
    by_address: bool = False
    """Only what is looked for is found: an address must be known before its money is."""
