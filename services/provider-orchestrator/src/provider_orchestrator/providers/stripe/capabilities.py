"""What Stripe can do: cards in the currencies of the account, and give back."""

from collections.abc import Sequence

from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.providers.stripe.settings import settings as stripe_settings
from provider_orchestrator.settings import OrchestratorSettings

PROVIDER = "stripe"
RAIL = "card"


def capabilities(settings: OrchestratorSettings) -> Sequence[Capabilities]:
    """One rail, where there is a secret key."""
    del settings
    chosen = stripe_settings()
    if not chosen.configured:
        return []
    return [
        Capabilities(
            provider=PROVIDER,
            rail=RAIL,
            assets=frozenset(chosen.stripe_currencies),
            operations=frozenset({Operation.COLLECT, Operation.REFUND}),
            methods=frozenset({"card"}),
            payer_countries=frozenset(chosen.stripe_countries) or None,
            amount_max_minor=chosen.stripe_amount_max_minor,
            fee_ppm=chosen.stripe_fee_ppm,
            fee_fixed_minor=chosen.stripe_fee_fixed_minor,
            pages=frozenset(chosen.stripe_pages),
        )
    ]
