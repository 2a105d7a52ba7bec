"""Ways to route: ours, which is the product's own code, and those it is compared with."""

import random
from datetime import datetime, timedelta
from typing import Protocol

from tests.routing.world import PROVIDERS, Arrival

from provider_orchestrator.domain.health import STANDARD, Health, Key, Observation, observe
from provider_orchestrator.domain.outcomes import MEANINGS, Outcome
from provider_orchestrator.domain.routing import (
    CHANCE_MAX,
    Capabilities,
    Inputs,
    Reason,
    Routable,
    candidates_of,
    choose,
)
from provider_orchestrator.domain.routing_rules import RoutingRules

LATENCY_US = 400_000


class Policy(Protocol):
    def choose(self, arrival: Arrival, tried: tuple[str, ...]) -> str | None: ...

    def saw(self, at: datetime, provider: str, outcome: Outcome) -> None: ...


class Static:
    """The first in the order, always; another only after a failure."""

    def choose(self, arrival: Arrival, tried: tuple[str, ...]) -> str | None:
        return next((one for one in PROVIDERS if one not in tried), None)

    def saw(self, at: datetime, provider: str, outcome: Outcome) -> None:
        """It learns nothing."""


class Breaker(Static):
    """The first in the order that has not failed five times in a row within the last minute."""

    def __init__(self) -> None:
        self._failures = dict.fromkeys(PROVIDERS, 0)
        self._until: dict[str, datetime] = {}

    def choose(self, arrival: Arrival, tried: tuple[str, ...]) -> str | None:
        left = [one for one in PROVIDERS if one not in tried]
        well = [one for one in left if self._until.get(one, arrival.at) <= arrival.at]
        return next(iter(well or left), None)

    def saw(self, at: datetime, provider: str, outcome: Outcome) -> None:
        self._failures[provider] = self._failures[provider] + 1 if MEANINGS[outcome].fails else 0
        if self._failures[provider] >= STANDARD.failures_to_open:
            self._until[provider] = at + timedelta(seconds=60)


class Oracle(Static):
    """Knows which provider is best now, and not what will become of the payment."""

    def choose(self, arrival: Arrival, tried: tuple[str, ...]) -> str | None:
        left = [one for one in PROVIDERS if one not in tried]
        return max(left, key=arrival.share.__getitem__, default=None)


class Ours(Static):
    """The product's own choice and its own health, with the chance of a seed."""

    CATALOGUE = tuple(
        Capabilities(provider=one.partition("/")[0], rail="card", assets=frozenset({"EUR"}))
        for one in PROVIDERS
    )
    RULES = RoutingRules()

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"ours {seed}")
        self._known: dict[Key, Health] = {}
        self._in_use: str | None = None

    def choose(self, arrival: Arrival, tried: tuple[str, ...]) -> str | None:
        inputs = Inputs(
            routable=Routable(amount_minor=arrival.amount_minor, asset="EUR", tried=tried),
            candidates=candidates_of(self.CATALOGUE, self._known, "EUR", arrival.at),
            chance=self._chance.randrange(CHANCE_MAX),
            in_use=self._in_use,
        )
        decision = choose(inputs, self.RULES)
        if not tried and decision.reason in {Reason.BEST, Reason.KEPT}:
            self._in_use = decision.chosen
        return decision.chosen

    def saw(self, at: datetime, provider: str, outcome: Outcome) -> None:
        name, _, rail = provider.partition("/")
        jitter = self._chance.randint(-STANDARD.jitter_ppm, STANDARD.jitter_ppm)
        seen = Observation(at, outcome, LATENCY_US, "simulated")
        for level in Key(name, rail, "EUR").levels:
            known = self._known.get(level, Health())
            self._known[level], _ = observe(known, seen, jitter_ppm=jitter)
