"""The rails this process serves, built from its settings."""

from collections.abc import Callable, Mapping
from functools import partial

from wallet_factory.domain.create2 import Create2Rail
from wallet_factory.domain.psp import PspRail
from wallet_factory.domain.rails import Rail
from wallet_factory.domain.tempo import TempoRail
from wallet_factory.settings import EvmChain, WalletFactorySettings


def tempo_of(settings: WalletFactorySettings) -> TempoRail:
    """The rail Tempo as the settings describe it."""
    return TempoRail(
        chain_id=settings.tempo_chain_id,
        master_address=settings.tempo_master_address,
        master_id=settings.tempo_master_id,
        tokens=tuple(settings.tempo_tokens),
        tag_key=bytes.fromhex(settings.tempo_tag_key.get_secret_value()),
    )


def psp_of(settings: WalletFactorySettings) -> PspRail:
    """The rail of the payment service providers as the settings describe them."""
    return PspRail(settings.psp_assets)


def create2_of(settings: WalletFactorySettings, chain: EvmChain) -> Create2Rail:
    """The rail of one EVM chain as the settings describe it."""
    return Create2Rail(
        chain_id=chain.chain_id,
        factory=chain.factory,
        implementation=chain.implementation,
        tokens=tuple(chain.tokens),
        salt_key=bytes.fromhex(settings.evm_salt_key.get_secret_value()),
        name=chain.rail,
    )


def _makers(settings: WalletFactorySettings) -> Mapping[str, Callable[[], Rail]]:
    evm = {chain.rail: partial(create2_of, settings, chain) for chain in settings.evm_chains}
    return {"tempo": partial(tempo_of, settings), "psp": partial(psp_of, settings), **evm}


def rails_of(settings: WalletFactorySettings) -> tuple[Rail, ...]:
    """The configured rails in their order; raises `ValueError` for one that nobody wrote."""
    makers = _makers(settings)
    unknown = [name for name in settings.rails if name not in makers]
    if unknown:
        raise ValueError(f"there is no rail {unknown}; there is {sorted(makers)}")
    return tuple(makers[name]() for name in settings.rails)
