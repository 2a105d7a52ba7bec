"""Random reconciliations, each with breaks whose class is known beforehand."""

from collections import Counter
from dataclasses import dataclass, field

from tests.reconciliation.world import CUT_OFF, RULES, World, world

from reserve_ledger.domain.reconciling import BreakClass, Result, reconcile


@dataclass(slots=True)
class Tally:
    """What was planted, and what was found of it."""

    runs: int = 0
    planted: Counter[BreakClass] = field(default_factory=Counter)
    missed: list[tuple[int, object]] = field(default_factory=list)
    false: list[tuple[int, object]] = field(default_factory=list)


def judged(made: World) -> Result:
    return reconcile(made.external, made.ledger, rules=RULES, cut_off=CUT_OFF)


def run(seeds: range) -> Tally:
    """Reconcile a world a seed."""
    tally = Tally()
    for seed in seeds:
        made = world(seed)
        found = {(each.kind, each.external, each.ledger) for each in judged(made).breaks}
        tally.runs += 1
        tally.planted.update(kind for kind, _, _ in made.planted)
        tally.missed += [(seed, one) for one in made.planted - found]
        tally.false += [(seed, one) for one in found - made.planted]
    return tally
