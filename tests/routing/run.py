"""Send a seed's payments by a policy and count what became of them."""

from dataclasses import dataclass
from uuid import UUID

from tests.routing.policies import Policy
from tests.routing.world import World

from provider_orchestrator.domain.attempts import (
    Attempt,
    RetryBudget,
    State,
    answered,
    hindrance,
    moved,
)
from provider_orchestrator.domain.outcomes import Outcome


@dataclass
class Score:
    """Payments by what became of them."""

    payments: int = 0
    first: int = 0
    """Good at the first attempt."""
    good: int = 0
    """Good at the end: answered so, or found out by asking."""
    attempts: int = 0
    charged_twice: int = 0
    switches: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(*(a + b for a, b in zip(self._all, other._all, strict=True)))

    @property
    def _all(self) -> tuple[int, ...]:
        return (
            *(self.payments, self.first, self.good),
            *(self.attempts, self.charged_twice, self.switches),
        )

    @property
    def first_percent(self) -> float:
        return 100 * self.first / self.payments

    @property
    def good_percent(self) -> float:
        return 100 * self.good / self.payments


def run(world: World, policy: Policy) -> Score:
    """Every payment of a world, by the product's own rules of when there may be an attempt."""
    score, budget, last = Score(), RetryBudget(), None
    for place, arrival in enumerate(world.payments()):
        score.payments += 1
        budget = budget.first()
        made: list[Attempt] = []
        taken = 0
        while hindrance(made, budget) is None:
            chosen = policy.choose(arrival, tuple(attempt.target for attempt in made))
            if chosen is None:
                break
            if made:
                budget = budget.second()
            else:
                score.switches += last not in {None, chosen}
                last = chosen
            outcome = arrival.fate[chosen]
            policy.saw(arrival.at, chosen, outcome)
            score.attempts += 1
            score.first += outcome is Outcome.OK and not made
            taken += arrival.happened[chosen]
            name = UUID(int=place)
            begun = moved(Attempt(name, name, len(made), chosen, name), State.SENT)
            made.append(answered(begun, outcome, arrival.at))
        score.good += taken > 0
        score.charged_twice += taken > 1
    return score
