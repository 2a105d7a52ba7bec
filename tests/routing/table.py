"""All policies through all seeds, side by side."""

from collections.abc import Callable, Iterable, Mapping

from tests.routing.policies import Breaker, Oracle, Ours, Policy, Static
from tests.routing.run import Score, run
from tests.routing.world import PAYMENTS, World

POLICIES: Mapping[str, Callable[[int], Policy]] = {
    "static priority": lambda _: Static(),
    "priority and a breaker": lambda _: Breaker(),
    "ours": Ours,
    "oracle": lambda _: Oracle(),
}


def scores(seeds: Iterable[int], payments: int = PAYMENTS) -> dict[str, Score]:
    """What each policy made of the same seeds."""
    chosen = list(seeds)
    return {
        name: sum((run(World(seed, payments), make(seed)) for seed in chosen), Score())
        for name, make in POLICIES.items()
    }


def markdown(found: Mapping[str, Score]) -> str:
    """The table of docs/benchmarks.md."""
    lines = [
        "| policy | first attempt | in the end | attempts a payment | switches | charged twice |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {score.first_percent:.1f} % | {score.good_percent:.2f} % "
        f"| {score.attempts / score.payments:.3f} | {score.switches} | {score.charged_twice} |"
        for name, score in found.items()
    ]
    return "\n".join(lines)
