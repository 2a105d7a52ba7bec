"""What Tempo can do: take its tokens, and what is owed in the currencies they are pegged to."""

from collections.abc import Sequence

from money import asset
from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.domain.transfers import PROVIDER, RAIL
from provider_orchestrator.settings import OrchestratorSettings

OUTGOING = frozenset({Operation.REFUND, Operation.PAYOUT})


def capabilities(settings: OrchestratorSettings) -> Sequence[Capabilities]:
    """One rail. The payer pays the chain's fee, a tenth of a cent; we pay none."""
    tokens = frozenset(settings.tokens.values())
    return [
        Capabilities(
            provider=PROVIDER,
            rail=RAIL,
            assets=tokens | {asset(code).currency for code in tokens},
            operations=frozenset({Operation.COLLECT})
            | (OUTGOING if settings.tempo_treasury_key_file else frozenset()),
            methods=frozenset({"stablecoin"}),
            by_wallet=True,
        )
    ]
