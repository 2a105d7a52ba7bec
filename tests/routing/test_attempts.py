"""Whatever answers are lost and whenever they come: one live attempt, and at most one charge."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_orchestrator.domain.attempts import (
    ATTEMPTS_MAX,
    LIVE,
    TRANSITIONS,
    Attempt,
    Finding,
    Hindrance,
    RetryBudget,
    State,
    answered,
    hindrance,
    inquire_at,
    inquired,
    moved,
    needs_person,
)
from provider_orchestrator.domain.outcomes import PPM, Outcome
from provider_orchestrator.errors import IllegalTransition

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PLENTY = RetryBudget()


def an_attempt(state: State = State.CREATED, number: int = 0) -> Attempt:
    since = NOW if state is State.UNKNOWN else None
    return Attempt(uuid4(), UUID(int=1), number, "a/card", uuid4(), state, unknown_since=since)


def after_call(outcome: Outcome) -> Attempt:
    return answered(moved(an_attempt(), State.SENT), outcome, NOW)


@pytest.mark.parametrize("old", State)
@pytest.mark.parametrize("new", State)
def test_only_the_stated_ways_lead_on(old: State, new: State) -> None:
    if new in TRANSITIONS.get(old, frozenset()):
        assert moved(an_attempt(old), new).state is new
    else:
        with pytest.raises(IllegalTransition):
            moved(an_attempt(old), new)
    assert (old in LIVE) == bool(TRANSITIONS.get(old))


@pytest.mark.parametrize(
    ("outcome", "hindered"),
    [
        (Outcome.OK, Hindrance.CAPTURED),
        (Outcome.DECLINED, Hindrance.PAYER_MUST_AGREE),
        (Outcome.OUR_FAULT, Hindrance.OUR_FAULT),
        (Outcome.THROTTLED, Hindrance.MUST_WAIT),
        (Outcome.INFRA, None),
        (Outcome.UNKNOWN, Hindrance.LEASE_HELD),
        (Outcome.AUTH, None),
    ],
)
def test_what_follows_a_first_attempt(outcome: Outcome, hindered: Hindrance | None) -> None:
    assert hindrance([after_call(outcome)], PLENTY) is hindered


def test_a_decline_goes_elsewhere_when_the_payer_agrees_and_nothing_else_by_that() -> None:
    assert hindrance([after_call(Outcome.DECLINED)], PLENTY, payer_agrees=True) is None
    for outcome in (Outcome.OUR_FAULT, Outcome.UNKNOWN, Outcome.OK, Outcome.THROTTLED):
        assert hindrance([after_call(outcome)], PLENTY, payer_agrees=True) is not None


def test_an_unknown_attempt_gives_the_lease_up_only_for_a_definite_end() -> None:
    unknown = after_call(Outcome.UNKNOWN)
    for finding in (Finding.NOT_FOUND, Finding.PENDING, Finding.NO_ANSWER):
        assert hindrance([inquired(unknown, finding)], PLENTY) is Hindrance.LEASE_HELD
    absent = inquired(unknown, Finding.CANNOT_HAPPEN)
    assert absent.state is State.ABSENT
    assert hindrance([absent], PLENTY) is None
    captured = inquired(unknown, Finding.CAPTURED)
    assert hindrance([captured], PLENTY) is Hindrance.CAPTURED
    assert inquired(captured, Finding.CANNOT_HAPPEN) == captured


def test_an_unknown_outcome_is_asked_about_sooner_first_and_for_ever() -> None:
    attempt = after_call(Outcome.UNKNOWN)
    asked = []
    for _ in range(40):
        due = inquire_at(attempt)
        assert due is not None
        asked.append(due - NOW)
        attempt = inquired(attempt, Finding.NO_ANSWER)
    assert asked[:6] == [timedelta(seconds=s) for s in (2, 10, 60, 300, 600, 1200)]
    gaps = [b - a for a, b in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == timedelta(hours=1)
    assert inquire_at(inquired(attempt, Finding.CAPTURED)) is None


def test_what_is_unknown_for_a_day_is_a_persons() -> None:
    unknown = after_call(Outcome.UNKNOWN)
    assert not needs_person(unknown, NOW + timedelta(hours=24, seconds=-1))
    assert needs_person(unknown, NOW + timedelta(hours=24))
    assert not needs_person(after_call(Outcome.INFRA), NOW + timedelta(days=9))


def test_second_attempts_are_a_tenth_of_first_ones_in_the_long_run() -> None:
    budget, second = replace(PLENTY, saved_ppm=0), 0
    for _ in range(10_000):
        budget = budget.first()
        if budget.allows:
            budget, second = budget.second(), second + 1
    assert second == 1000
    for _ in range(100_000):
        budget = budget.first()
    assert budget.saved_ppm == budget.saved_max * PPM
    used = [after_call(Outcome.INFRA)]
    assert hindrance(used, replace(PLENTY, saved_ppm=PPM - 1)) is Hindrance.BUDGET_USED


@given(st.integers(0, 2**32), st.lists(st.sampled_from(Outcome), min_size=3, max_size=3))
def test_no_order_of_answers_charges_twice(seed: int, outcomes: list[Outcome]) -> None:
    """Providers that take the money and lose the answer; inquiries that lag, lie low and come."""
    chance = random.Random(seed)
    taken, made = 0, list[Attempt]()
    for step in range(60):
        if hindrance(made, PLENTY, payer_agrees=chance.random() < 0.5) is None:
            outcome = outcomes[len(made)]
            happens = outcome is Outcome.OK or (
                outcome is Outcome.UNKNOWN and chance.random() < 0.5
            )
            taken += happens
            sent = moved(an_attempt(number=len(made)), State.SENT)
            made.append(answered(sent, outcome, NOW + timedelta(seconds=step)))
            truth = Finding.CAPTURED if happens else Finding.CANNOT_HAPPEN
        elif made and made[-1].state is State.UNKNOWN:
            vague = chance.choice([Finding.NOT_FOUND, Finding.PENDING, Finding.NO_ANSWER])
            made[-1] = inquired(made[-1], truth if chance.random() < 0.3 else vague)
        assert sum(attempt.is_live for attempt in made) <= 1
        assert all(not attempt.is_live for attempt in made[:-1])
        assert len(made) <= ATTEMPTS_MAX
        assert taken <= 1
    assert not made or taken == sum(one.state is State.CAPTURED for one in made) or made[-1].is_live
