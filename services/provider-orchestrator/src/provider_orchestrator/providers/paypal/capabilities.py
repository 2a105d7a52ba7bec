"""What PayPal can do: take from wallets, give back, pay out."""

from collections.abc import Sequence

from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.providers.paypal.settings import settings as paypal_settings
from provider_orchestrator.settings import OrchestratorSettings

PROVIDER = "paypal"
RAIL = "wallet"


def capabilities(settings: OrchestratorSettings) -> Sequence[Capabilities]:
    """One rail, where there are credentials."""
    del settings
    chosen = paypal_settings()
    if not chosen.configured:
        return []
    return [
        Capabilities(
            provider=PROVIDER,
            rail=RAIL,
            assets=frozenset(chosen.paypal_currencies),
            operations=frozenset({Operation.COLLECT, Operation.REFUND, Operation.PAYOUT}),
            methods=frozenset({"paypal"}),
            payer_countries=frozenset(chosen.paypal_countries) or None,
            amount_max_minor=chosen.paypal_amount_max_minor,
            fee_ppm=chosen.paypal_fee_ppm,
            fee_fixed_minor=chosen.paypal_fee_fixed_minor,
            pages=frozenset(chosen.paypal_pages),
        )
    ]
