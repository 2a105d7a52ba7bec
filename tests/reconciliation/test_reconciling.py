"""A sample of `python -m tests.reconciliation`, and what matching promises whatever it is given."""

import random
from dataclasses import replace

import pytest
from tests.reconciliation.run import judged, run
from tests.reconciliation.world import CUT_OFF, RULES, world

from reserve_ledger.domain.reconciling import BreakClass, Pass, reconcile


def test_every_planted_break_is_found_and_classed_and_no_other() -> None:
    tally = run(range(300))
    assert tally.missed == []
    assert tally.false == []
    assert len(tally.planted) == 7


def test_every_pass_makes_matches_and_explains_them() -> None:
    made = [match for seed in range(40) for match in judged(world(seed)).matches]
    assert {match.by for match in made} == set(Pass)
    assert all(match.why for match in made)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_or_taken_twice_and_the_difference_is_explained(seed: int) -> None:
    made = world(seed, size=40)
    result = judged(made)
    outside = [key for match in result.matches for key in match.external]
    outside += [each.external for each in result.breaks if each.external]
    inside = [key for match in result.matches for key in match.ledger]
    inside += [each.ledger for each in result.breaks if each.ledger]
    left_alone = {i.key for i in made.ledger if i.elsewhere} - set(inside)
    assert sorted(outside) == sorted(item.key for item in made.external)
    assert sorted([*inside, *left_alone]) == sorted(item.key for item in made.ledger)
    counted = [item for item in made.ledger if item.key not in left_alone]
    apart = sum(i.amount_minor for i in made.external) - sum(i.amount_minor for i in counted)
    assert apart == sum(each.amount_minor for each in result.breaks)


def test_the_order_in_which_items_come_changes_nothing() -> None:
    made = world(7, size=40)
    again = world(7, size=40)
    random.Random(1).shuffle(again.external)
    random.Random(2).shuffle(again.ledger)
    assert judged(made) == judged(again)


def test_a_timing_break_ages_into_a_missing_one() -> None:
    young = replace(world(1).external[0], key="young", reference="young", at=CUT_OFF - RULES.sla)
    (carried,) = reconcile([young], [], rules=RULES, cut_off=CUT_OFF).breaks
    (aged,) = reconcile([young], [], rules=RULES, cut_off=CUT_OFF + RULES.sla / 60).breaks
    assert (carried.kind, aged.kind) == (BreakClass.TIMING, BreakClass.MISSING_IN_LEDGER)
