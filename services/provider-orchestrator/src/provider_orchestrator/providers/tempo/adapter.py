"""Tempo's chain: one filter finds the deposits of all invoices, for all end at the master."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from provider_orchestrator.domain.adapters import Adapter
from provider_orchestrator.domain.chain import Block
from provider_orchestrator.domain.health import Key
from provider_orchestrator.domain.transfers import PROVIDER, RAIL, Transfer
from provider_orchestrator.providers.chain.client import ChainFault, RpcClient
from provider_orchestrator.providers.chain.mapping import TRANSFER, TRANSFER_WITH_MEMO, Log, word
from provider_orchestrator.providers.chain.profile import ChainProfile, Filter, Surroundings
from provider_orchestrator.providers.chain.reader import ChainReader, Glance, Moved
from provider_orchestrator.providers.tempo import mapping
from provider_orchestrator.providers.tempo.treasury import open_treasury
from provider_orchestrator.settings import OrchestratorSettings, settings

ADDRESSES_MAX = 500
"""Addresses asked for in one filter."""


@dataclass(frozen=True, slots=True)
class TempoRules:
    """Virtual addresses of one master (TIP-1022), and where blocked transfers are kept."""

    tokens: Mapping[bytes, str]
    master: bytes
    master_id: bytes
    guard: bytes | None
    by_address: bool = False

    def is_token(self, address: bytes) -> bool:
        """The protocol's own tokens alone."""
        return mapping.is_token(address)

    def deposits(self, _addresses: Sequence[bytes] | None) -> Sequence[Filter]:
        """One filter for all invoices: Transfer, from anywhere, to the master or the guard."""
        ends = [self.master] + ([self.guard] if self.guard else [])
        return [{"topics": [TRANSFER, None, [word(end) for end in ends]]}]

    def hops(self, found: Iterable[Log]) -> list[Log]:
        """The last hop of each deposit."""
        return mapping.hops(found, guard=self.guard, master_id=self.master_id)

    def companions(self, hops: Sequence[Log]) -> Sequence[Filter]:
        """What came to the addresses in those blocks: it names payer and memo."""
        addresses = sorted({log.sender for log in hops})
        both = [TRANSFER, TRANSFER_WITH_MEMO]
        return [
            {"topics": [both, None, [word(one) for one in addresses[n : n + ADDRESSES_MAX]]]}
            for n in range(0, len(addresses), ADDRESSES_MAX)
        ]

    def transfers(self, hops: Sequence[Log], around: Surroundings) -> list[Transfer]:
        """Hops as transfers. What the master sends to itself over a virtual address is none."""
        ends = mapping.Ends(self.master, self.guard, frozenset(self.tokens))
        return mapping.transfers(hops, around, ends)


def profile_of(s: OrchestratorSettings) -> ChainProfile:
    """Tempo as the settings describe it."""
    return ChainProfile(
        key=Key(PROVIDER, RAIL),
        chain_id=s.tempo_chain_id,
        rpc_url=s.tempo_rpc_url,
        rules=TempoRules(s.tokens, s.master, s.master_id, s.guard),
        ws_url=s.tempo_ws_url,
        confirmations=s.tempo_confirmations,
        poll_s=s.tempo_poll_s,
        rpc_timeout_s=s.tempo_rpc_timeout_s,
        log_range_max=s.tempo_log_range_max,
        start_block=s.tempo_start_block,
        stall_s=s.tempo_stall_s,
        open_s=s.tempo_open_s,
        unmatched_after_s=s.tempo_unmatched_after_s,
    )


def chains(settings: OrchestratorSettings) -> Sequence[ChainProfile]:
    """Tempo is one chain."""
    return [profile_of(settings)]


def adapter(session: aiohttp.ClientSession) -> Adapter | None:
    """Refunds and payouts from the treasury; None where no key was given."""
    chosen = settings()
    return open_treasury(session, chosen, profile_of(chosen))


class Tempo(ChainReader):
    """Questions to a node of a Tempo chain."""

    def __init__(self, client: RpcClient, settings: OrchestratorSettings) -> None:
        """Take the chain's facts from the settings."""
        super().__init__(client, profile_of(settings))
        self._settings = settings

    async def reserves(self, number: int) -> tuple[Block, dict[str, int], dict[str, int]]:
        """What the master holds of each token, and how much there is of those we issue.

        All of it after one block; raises `Moved`.
        """
        s = self._settings
        issued = [(token, code) for token, code in sorted(s.tokens.items()) if code in s.issued]
        block, held = await self.balances([s.master], number)
        there, units = await self.supplies([token for token, _ in issued], number)
        if there != block:
            raise Moved
        supply = {code: amount for (_, code), amount in zip(issued, units, strict=True)}
        return block, held[0], supply


__all__ = ["ChainFault", "Glance", "Moved", "Tempo"]
