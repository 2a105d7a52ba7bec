"""Three providers, an outage, a soft degradation and a second outage; all of it from a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from provider_orchestrator.domain.outcomes import Outcome

BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
PROVIDERS = ("a/card", "b/card", "c/card")
"""In the order of a static priority."""
USUAL = {"a/card": 0.965, "b/card": 0.955, "c/card": 0.945}
"""Share of good answers on a good day."""
LOST = 0.1
"""Part of the failures in which nobody knows what happened; half of these have happened."""
PAYMENTS = 10_000
SEEDS = range(12)


@dataclass(frozen=True)
class Trouble:
    """A provider that is worse for a while: from and to are parts of the whole time."""

    provider: str
    begin: float
    end: float
    share: float
    """Of good answers, meanwhile."""


@dataclass(frozen=True)
class Arrival:
    """A payment, and what each provider would make of it; nobody but the oracle may look."""

    at: datetime
    amount_minor: int
    fate: dict[str, Outcome]
    happened: dict[str, bool]
    """Whether the money would be taken there."""
    share: dict[str, float]


class World:
    """What happens in one seed. Every policy meets the same."""

    def __init__(self, seed: int, payments: int = PAYMENTS) -> None:
        self.seed = seed
        self._count = payments
        chance = random.Random(f"troubles {seed}")
        hard, soft, second = (chance.uniform(-0.03, 0.03) for _ in range(3))
        self.troubles = (
            Trouble("a/card", 0.15 + hard, 0.24 + hard, 0.0),
            Trouble("a/card", 0.45 + soft, 0.55 + soft, 0.72),
            Trouble("b/card", 0.5 + second, 0.6 + second, 0.02),
        )

    def payments(self) -> Iterator[Arrival]:
        """Payments in order of time, one a second on average."""
        chance = random.Random(f"payments {self.seed}")
        now = BEGIN
        for _ in range(self._count):
            now += timedelta(seconds=chance.expovariate(1.0))
            part = (now - BEGIN) / timedelta(seconds=self._count)
            share = {provider: self._share(provider, part) for provider in PROVIDERS}
            fate, happened = {}, {}
            for provider in PROVIDERS:
                good, lost, taken = chance.random(), chance.random(), chance.random()
                if good < share[provider]:
                    fate[provider], happened[provider] = Outcome.OK, True
                elif lost < LOST:
                    fate[provider], happened[provider] = Outcome.UNKNOWN, taken < 0.5
                else:
                    fate[provider], happened[provider] = Outcome.INFRA, False
            amount = int(100 * chance.lognormvariate(4, 1)) + 1
            yield Arrival(now, amount, fate, happened, share)

    def _share(self, provider: str, part: float) -> float:
        for trouble in self.troubles:
            if trouble.provider == provider and trouble.begin <= part < trouble.end:
                return trouble.share
        return USUAL[provider]
