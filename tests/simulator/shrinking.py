"""A seed that failed, made small: fewer faults and less work, as long as it still fails."""

from collections.abc import Callable

from tests.simulator.fates import Plan

STEPS_MAX = 60
"""Runs after which what was reached is small enough."""


def smaller(plan: Plan, findings_of: Callable[[Plan], list[str]]) -> Plan:
    """The plan without what it does not need to fail in the same way."""
    wanted = _kinds(findings_of(plan))
    candidates = plan.simpler()
    for _ in range(STEPS_MAX):
        candidate = next(candidates, None)
        if candidate is None:
            break
        if _kinds(findings_of(candidate)) & wanted:
            plan, candidates = candidate, candidate.simpler()
    return plan


def _kinds(findings: list[str]) -> set[str]:
    """What was found, without the particulars."""
    return {finding.partition(":")[0] for finding in findings}
