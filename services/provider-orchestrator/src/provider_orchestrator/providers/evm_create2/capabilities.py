"""What deposit addresses can do: take a chain's tokens, for what these are pegged to."""

from collections.abc import Sequence

from money import asset
from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.domain.transfers import CREATE2
from provider_orchestrator.settings import OrchestratorSettings


def capabilities(settings: OrchestratorSettings) -> Sequence[Capabilities]:
    """A rail for each chain. The payer pays for the payment, and we for fetching it."""
    return [
        Capabilities(
            provider=CREATE2,
            rail=chain.rail,
            assets=frozenset(chain.tokens) | {asset(code).currency for code in chain.tokens},
            operations=frozenset({Operation.COLLECT}),
            methods=frozenset({"stablecoin"}),
            by_wallet=True,
        )
        for chain in settings.evm_chains
    ]
