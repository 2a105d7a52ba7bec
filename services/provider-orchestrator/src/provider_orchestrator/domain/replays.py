"""What other rules would have chosen."""

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from provider_orchestrator.domain.routing import Decision, Inputs, Reason, Routable, choose
from provider_orchestrator.domain.routing_rules import RoutingRules


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Side(_View):
    """What becomes of all payments under one set of rules."""

    success_expected_ppm: int
    """Mean chance of success at the first attempt, as the providers stood at each choice."""
    cost_ppm: int
    """Mean part of the amounts that goes to fees."""
    without_provider: int
    degraded: int
    by_target: dict[str, int]
    """Payments by provider and rail."""


class Difference(_View):
    """One payment, as it was and as it would be."""

    decision_id: UUID | None
    """The decision of the past; null for a payment that was given."""
    routable: Routable
    was: str | None
    was_reason: Reason
    would_be: str | None
    reason: Reason
    rule: str | None
    """The rule that would decide; null where `otherwise` would."""


class Replayed(_View):
    """Both sides, and each payment that would go elsewhere."""

    payments: int
    changed: int
    before: Side
    after: Side
    differences: Sequence[Difference]


Case = tuple[UUID | None, Inputs, Decision]
"""A payment and the decision that was made of it, or that the active rules would make."""


def replay(cases: Sequence[Case], rules: RoutingRules) -> Replayed:
    """Choose anew with other rules, all else being as it was."""
    made = [(case, choose(case[1], rules)) for case in cases]
    differences = [
        Difference(
            decision_id=decision_id,
            routable=inputs.routable,
            was=was.chosen,
            was_reason=was.reason,
            would_be=would.chosen,
            reason=would.reason,
            rule=would.rule,
        )
        for (decision_id, inputs, was), would in made
        if was.chosen != would.chosen
    ]
    return Replayed(
        payments=len(cases),
        changed=len(differences),
        before=_side(was for _, _, was in cases),
        after=_side(would for _, would in made),
        differences=differences,
    )


def _side(decisions: Iterable[Decision]) -> Side:
    all_of = list(decisions)
    taken = [decision.taken for decision in all_of]
    count = max(1, len(all_of))
    return Side(
        success_expected_ppm=sum(one.success_ppm for one in taken if one) // count,
        cost_ppm=sum(one.cost_ppm for one in taken if one) // count,
        without_provider=taken.count(None),
        degraded=sum(decision.degraded for decision in all_of),
        by_target=dict(sorted(Counter(one.target for one in taken if one).items())),
    )
