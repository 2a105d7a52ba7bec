"""How long a choice takes: candidates from health, choice, and both by number of providers."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from invoiceos_contracts.base import HealthState
from provider_orchestrator.domain.health import Health, Key
from provider_orchestrator.domain.routing import (
    CHANCE_MAX,
    Capabilities,
    Inputs,
    Routable,
    candidates_of,
    choose,
)
from provider_orchestrator.domain.routing_rules import AmountBand, Condition, RoutingRules, Rule

NOW = datetime(2026, 11, 20, tzinfo=UTC)
WARM_UP = 2_000


@dataclass(frozen=True)
class Measured:
    """Microseconds of one choice: on the clock, and of the CPU where neighbours do not count."""

    providers: int
    rules: int
    p50_us: float
    p99_us: float
    p99_cpu_us: float
    each_second: float


def measure(providers: int, rules: int, count: int = 20_000) -> Measured:
    """Time choices one by one, on one core."""
    step = _choice(providers, rules)
    for _ in range(WARM_UP):
        step()
    taken, spent = [], []
    for _ in range(count):
        begin, cpu = time.perf_counter_ns(), time.thread_time_ns()
        step()
        spent.append(time.thread_time_ns() - cpu)
        taken.append(time.perf_counter_ns() - begin)
    return Measured(
        providers,
        rules,
        sorted(taken)[count // 2] / 1000,
        sorted(taken)[count * 99 // 100] / 1000,
        sorted(spent)[count * 99 // 100] / 1000,
        count * 1e9 / sum(spent),
    )


def _choice(providers: int, rules: int) -> Callable[[], object]:
    draws = random.Random(1)
    catalogue = [
        Capabilities(
            provider=f"p{number}", rail="card", assets=frozenset({"EUR"}), fee_ppm=100 * number
        )
        for number in range(providers)
    ]
    known = {
        Key(f"p{number}", "card"): Health(
            state=HealthState.HALF_OPEN if number == 1 else HealthState.CLOSED,
            score_ppm=970_000 - 1000 * number,
            samples=100,
            observed_at=NOW,
            p95_us=500_000,
        )
        for number in range(providers)
    }
    document = RoutingRules(
        rules=tuple(
            Rule(
                name=f"rule {number}",
                when=Condition(
                    currencies=("EUR",),
                    payer_countries=("DE",),
                    amount=AmountBand(asset="EUR", from_minor=10**9 + number),
                ),
                order=("p2",),
            )
            for number in range(rules)
        )
    )

    def step() -> object:
        routable = Routable(
            amount_minor=draws.randrange(1, 100_000), asset="EUR", payer_country="DE"
        )
        inputs = Inputs(
            routable=routable,
            candidates=candidates_of(catalogue, known, "EUR", NOW),
            chance=draws.randrange(CHANCE_MAX),
            in_use="p0/card",
        )
        return choose(inputs, document)

    return step


def markdown(found: list[Measured]) -> str:
    """The table of docs/benchmarks.md."""
    lines = [
        "| providers | rules | p50 | p99 | p99, CPU | choices a second of CPU |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.providers} | {one.rules} | {one.p50_us:.0f} µs | {one.p99_us:.0f} µs "
        f"| {one.p99_cpu_us:.0f} µs | {one.each_second:,.0f} |"
        for one in found
    ]
    return "\n".join(lines)
