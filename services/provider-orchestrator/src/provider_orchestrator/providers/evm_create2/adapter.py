"""Deposits on an EVM chain: transfers of our tokens to addresses we know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from provider_orchestrator.domain.adapters import Adapter
from provider_orchestrator.domain.health import Key
from provider_orchestrator.domain.transfers import CREATE2, Transfer
from provider_orchestrator.providers.chain.client import RpcClient
from provider_orchestrator.providers.chain.mapping import TRANSFER, Log, word
from provider_orchestrator.providers.chain.profile import ChainProfile, Filter, Surroundings
from provider_orchestrator.providers.evm_create2.deposits import DepositAddresses, DepositChain
from provider_orchestrator.settings import EvmChain, OrchestratorSettings, settings

ADDRESSES_MAX = 500
"""Addresses asked for in one filter."""


@dataclass(frozen=True, slots=True)
class DepositRules:
    """Addresses that hold what came to them. Only our tokens count: others can state anything."""

    tokens: Mapping[bytes, str]
    by_address: bool = True

    def is_token(self, address: bytes) -> bool:
        """A token we take."""
        return address in self.tokens

    def deposits(self, addresses: Sequence[bytes] | None) -> Sequence[Filter]:
        """Transfers of our tokens to these addresses, or to any."""
        where = ["0x" + token.hex() for token in sorted(self.tokens)]
        if addresses is None:
            return [{"address": where, "topics": [TRANSFER]}]
        return [
            {
                "address": where,
                "topics": [
                    TRANSFER,
                    None,
                    [word(one) for one in addresses[place : place + ADDRESSES_MAX]],
                ],
            }
            for place in range(0, len(addresses), ADDRESSES_MAX)
        ]

    def hops(self, found: Sequence[Log]) -> list[Log]:
        """Each transfer of something from somebody else."""
        return [log for log in found if log.units > 0 and log.sender != log.receiver]

    def companions(self, _hops: Sequence[Log]) -> Sequence[Filter]:
        """The transfer itself says all there is."""
        return []

    def transfers(self, hops: Sequence[Log], around: Surroundings) -> list[Transfer]:
        """Hops as transfers; within a transaction those to one address are counted."""
        counted: dict[tuple[bytes, bytes, bytes], int] = {}
        made = []
        for hop in hops:
            place = (hop.block_hash, hop.transaction_hash, hop.receiver)
            counted[place] = ordinal = counted.get(place, -1) + 1
            made.append(_transfer(hop, ordinal, around))
        return made


def _transfer(hop: Log, ordinal: int, around: Surroundings) -> Transfer:
    return Transfer(
        chain_id=around.chain_id,
        block_number=hop.block_number,
        block_hash=hop.block_hash,
        block_at=around.times[hop.block_hash],
        transaction_hash=hop.transaction_hash,
        log_index=hop.index,
        ordinal=ordinal,
        address=hop.receiver,
        token=hop.token,
        asset=around.assets[hop.token],
        listed=True,
        units=hop.units,
        payer=hop.sender,
        memo=None,
        blocked=False,
    )


def profile_of(chain: EvmChain) -> ChainProfile:
    """A chain as the settings describe it."""
    return ChainProfile(
        key=Key(CREATE2, chain.rail),
        chain_id=chain.chain_id,
        rpc_url=chain.rpc_url,
        rules=DepositRules(chain.tokens_by_address),
        ws_url=chain.ws_url,
        confirmations=chain.finality if isinstance(chain.finality, int) else 0,
        finalized_tag=chain.finality == "finalized",
        poll_s=chain.poll_s,
        rpc_timeout_s=chain.rpc_timeout_s,
        log_range_max=chain.log_range_max,
        start_block=chain.start_block,
        stall_s=chain.stall_s,
        open_s=chain.open_s,
        addresses_max=chain.addresses_max,
    )


def adapter(session: aiohttp.ClientSession) -> Adapter | None:
    """What came to addresses, and what treasuries have; None where no chain was given."""
    del session  # a node is asked through the client that all chains have
    return open_deposits(settings())


def open_deposits(chosen: OrchestratorSettings) -> DepositAddresses | None:
    """All chains of the settings; None where there is none."""
    made = [
        DepositChain(
            RpcClient(chain.rpc_url, timeout_s=chain.rpc_timeout_s),
            profile_of(chain),
            chain.factory_address,
        )
        for chain in chosen.evm_chains
    ]
    return DepositAddresses(made) if made else None


def chains(chosen: OrchestratorSettings) -> Sequence[ChainProfile]:
    """Every EVM chain of the settings."""
    return [profile_of(chain) for chain in chosen.evm_chains]
