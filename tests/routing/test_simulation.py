"""Ours against simpler ways, in worlds where providers fail and degrade (providers.md, 4.3)."""

import pytest
from tests.routing import bench, table
from tests.routing.policies import Ours
from tests.routing.run import Score, run
from tests.routing.world import PROVIDERS, World

SEEDS = range(4)


@pytest.fixture(scope="module")
def scores() -> dict[str, Score]:
    return table.scores(SEEDS)


def test_ours_beats_static_priority_by_nine_points_at_the_first_attempt(
    scores: dict[str, Score],
) -> None:
    assert scores["ours"].first_percent > scores["static priority"].first_percent + 9


def test_ours_beats_a_breaker_alone_by_a_point_at_the_first_attempt(
    scores: dict[str, Score],
) -> None:
    assert scores["ours"].first_percent > scores["priority and a breaker"].first_percent + 1


def test_ours_is_within_a_point_and_a_half_of_knowing_everything(scores: dict[str, Score]) -> None:
    assert scores["ours"].first_percent > scores["oracle"].first_percent - 1.5


def test_after_one_failover_more_ends_well_than_by_any_simpler_way(
    scores: dict[str, Score],
) -> None:
    ours = scores["ours"].good_percent
    assert ours > 99.3
    for simpler in ("static priority", "priority and a breaker"):
        assert ours > scores[simpler].good_percent


def test_ours_sends_fewer_attempts_than_a_breaker(scores: dict[str, Score]) -> None:
    assert scores["ours"].attempts < scores["priority and a breaker"].attempts


def test_nothing_is_charged_twice_and_nothing_sent_a_third_time(scores: dict[str, Score]) -> None:
    for score in scores.values():
        assert score.charged_twice == 0
        assert score.payments <= score.attempts <= 2 * score.payments


def test_a_seed_tells_the_same_story_again() -> None:
    assert [run(World(7, 1000), Ours(7)) for _ in range(2)] == [run(World(7, 1000), Ours(7))] * 2
    assert run(World(7, 1000), Ours(7)) != run(World(8, 1000), Ours(8))


def test_the_world_has_the_troubles_it_is_about() -> None:
    world = World(3)
    assert [(t.provider, t.share < 0.1) for t in world.troubles] == [
        (PROVIDERS[0], True),
        (PROVIDERS[0], False),
        (PROVIDERS[1], True),
    ]
    hard = world.troubles[0]
    during = [
        arrival
        for place, arrival in enumerate(world.payments())
        if hard.begin + 0.02 < place / 10_000 < hard.end - 0.02
    ]
    assert len(during) > 300
    assert all(arrival.share[hard.provider] == hard.share for arrival in during)


def test_the_benchmark_measures_choices_that_were_made() -> None:
    measured = bench.measure(3, 2, 50)
    assert measured.p50_us <= measured.p99_us
    assert str(measured.providers) in bench.markdown([measured])
