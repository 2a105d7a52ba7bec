"""The rail of EVM chains beside Tempo, and news that Tempo is unwell."""

import json
from datetime import UTC, datetime
from uuid import UUID

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.provider_v1 import ProviderHealthChanged
from invoiceos_local import evm_facts as facts
from wallet_factory.domain.configured import create2_of
from wallet_factory.domain.create2 import Create2Rail
from wallet_factory.settings import settings

CHAINS = json.dumps(
    [
        {
            "chain_id": facts.CHAIN_ID,
            "factory": facts.FACTORY,
            "implementation": facts.IMPLEMENTATION,
            "tokens": dict(facts.TOKENS),
        }
    ]
)
KEY = "a7" * 32


def the_rail() -> Create2Rail:
    return create2_of(settings(), settings().evm_chains[0])


def open_tempo() -> ProviderHealthChanged:
    return ProviderHealthChanged(
        tenant_id=PLATFORM,
        provider_id=UUID(int=7),
        provider="tempo",
        rail="tempo",
        old="closed",
        new="open",
        score_ppm=500_000,
        samples=20,
        cause="test",
        at=datetime.now(UTC),
    )
