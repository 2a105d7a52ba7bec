"""What Circle can do: take stablecoins at an address, give back, and transfer to addresses."""

from collections.abc import Sequence

from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.providers.circle.settings import settings as circle_settings
from provider_orchestrator.settings import OrchestratorSettings

PROVIDER = "circle"
RAIL = "usdc"


def capabilities(settings: OrchestratorSettings) -> Sequence[Capabilities]:
    """One rail, where there is an API key."""
    del settings
    chosen = circle_settings()
    if not chosen.configured:
        return []
    pays_out = {Operation.PAYOUT} if chosen.circle_wallet_id else set()
    return [
        Capabilities(
            provider=PROVIDER,
            rail=RAIL,
            assets=frozenset(chosen.circle_assets),
            operations=frozenset({Operation.COLLECT, Operation.REFUND} | pays_out),
            methods=frozenset({"stablecoin"}),
            payer_countries=frozenset(chosen.circle_countries) or None,
            amount_max_minor=chosen.circle_amount_max_minor,
            fee_ppm=chosen.circle_fee_ppm,
            fee_fixed_minor=chosen.circle_fee_fixed_minor,
        )
    ]
