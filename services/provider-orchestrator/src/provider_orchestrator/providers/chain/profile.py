"""One chain as it is watched: where it is, what on it is ours, and from when on that counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from provider_orchestrator.domain.health import Key
from provider_orchestrator.domain.transfers import Transfer
from provider_orchestrator.providers.chain.mapping import Log

Filter = Mapping[str, Any]
"""Of logs: `topics`, and `address` where the contracts are named."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is needed beside the hops to understand them."""

    chain_id: int
    assets: Mapping[bytes, str]
    """Asset code by token, for every token among the hops."""
    times: Mapping[bytes, datetime]
    """Time by block hash."""
    companions: Sequence[Log]


class Rules(Protocol):
    """What makes a transfer on one kind of chain a deposit of ours. Nothing is asked here."""

    @property
    def tokens(self) -> Mapping[bytes, str]:
        """The tokens we take: asset code by address."""

    @property
    def by_address(self) -> bool:
        """Whether deposits are looked for by the addresses that are known."""

    def is_token(self, address: bytes) -> bool:
        """Whether a transfer that this contract states can be believed."""

    def deposits(self, addresses: Sequence[bytes] | None, /) -> Sequence[Filter]:
        """Where deposits are found; None where the addresses are too many to be named."""

    def hops(self, found: Sequence[Log]) -> list[Log]:
        """Those of what was found that moved money to us."""

    def companions(self, hops: Sequence[Log], /) -> Sequence[Filter]:
        """Where more about them is found."""

    def transfers(self, hops: Sequence[Log], around: Surroundings) -> list[Transfer]:
        """Hops as transfers."""


@dataclass(frozen=True, slots=True)
class ChainProfile:
    """A chain, as the settings describe it."""

    key: Key
    """Provider and rail, under which its health is kept and its payments are stated."""
    chain_id: int
    rpc_url: str
    rules: Rules
    ws_url: str = ""
    confirmations: int = 0
    """Blocks on top of a payment's own before it is final."""
    finalized_tag: bool = False
    """Final is what the node calls `finalized`, and not a number of blocks."""
    poll_s: float = 0.25
    rpc_timeout_s: float = 5.0
    log_range_max: int = 2000
    start_block: int | None = None
    stall_s: float = 0
    open_s: float = 60
    unmatched_after_s: int = 60
    addresses_max: int = 0
    """More addresses than this are not named in a filter; every transfer of the tokens is read."""
