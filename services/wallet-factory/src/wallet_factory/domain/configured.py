"""The rails this process serves, built from its settings."""

from collections.abc import Callable, Mapping

from wallet_factory.domain.psp import PspRail
from wallet_factory.domain.rails import Rail
from wallet_factory.domain.tempo import TempoRail
from wallet_factory.settings import WalletFactorySettings


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


_MAKERS: Mapping[str, Callable[[WalletFactorySettings], Rail]] = {
    "tempo": tempo_of,
    "psp": psp_of,
}


def rails_of(settings: WalletFactorySettings) -> tuple[Rail, ...]:
    """The configured rails in their order; raises `ValueError` for one that nobody wrote."""
    unknown = [name for name in settings.rails if name not in _MAKERS]
    if unknown:
        raise ValueError(f"there is no rail {unknown}; there is {sorted(_MAKERS)}")
    return tuple(_MAKERS[name](settings) for name in settings.rails)
