"""One choice at a time: what the rules say, what health says, and why it was this one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoiceos_contracts.base import HealthState
from provider_orchestrator.domain.health import STANDARD, Health, Key
from provider_orchestrator.domain.outcomes import PPM
from provider_orchestrator.domain.replays import replay
from provider_orchestrator.domain.routing import (
    CHANCE_MAX,
    Candidate,
    Capabilities,
    Decision,
    Inputs,
    Operation,
    Reason,
    Routable,
    Standing,
    candidates_of,
    choose,
)
from provider_orchestrator.domain.routing_rules import TEMPO_FIRST, RoutingRules, named

NOW = datetime(2026, 11, 20, tzinfo=UTC)
NO_CHANCE = CHANCE_MAX - 1
"""Above every share: no probe, no exploration, the last of a split."""
OPEN, HALF_OPEN = HealthState.OPEN, HealthState.HALF_OPEN


def rules(**said: Any) -> RoutingRules:
    return RoutingRules.model_validate(said)


def candidate(target: str, *, fee_ppm: int = 0, **more: Any) -> Candidate:
    provider, _, rail = target.partition("/")
    can = {"assets": {"EUR", "USD"}, "operations": set(Operation), "methods": {"card"}}
    known = {name: more.pop(name) for name in list(more) if name in Capabilities.model_fields}
    return Candidate(
        can=Capabilities(provider=provider, rail=rail, fee_ppm=fee_ppm, **{**can, **known}),
        standing=Standing(**more),
    )


def decided(
    *candidates: Candidate, by: RoutingRules | None = None, chance: int = NO_CHANCE, **asked: Any
) -> Decision:
    in_use = asked.pop("in_use", None)
    routable = Routable(**{"amount_minor": 5000, "asset": "EUR", **asked})
    inputs = Inputs(routable=routable, candidates=candidates, chance=chance, in_use=in_use)
    return choose(inputs, by or RoutingRules())


def why_not(decision: Decision, target: str) -> str | None:
    return next(one.excluded for one in decision.considered if one.target == target)


A, B, C = candidate("a/card"), candidate("b/card"), candidate("c/card")


def test_tempo_comes_first_as_long_as_it_is_well() -> None:
    tempo = candidate("tempo/tempo")
    assert decided(candidate("a/card"), tempo, by=TEMPO_FIRST).chosen == "tempo/tempo"
    unwell = candidate("tempo/tempo", state=OPEN)
    assert decided(candidate("a/card"), unwell, by=TEMPO_FIRST).chosen == "a/card"


def test_the_score_is_health_less_cost_and_slowness_with_preference() -> None:
    ceiling = STANDARD.latency_ceiling_us
    one = candidate(
        "a/card", fee_ppm=29_000, fee_fixed_minor=30, score_ppm=950_000, p95_us=2 * ceiling
    )
    (weighed,) = decided(one, by=rules(otherwise={"order": ["a"]})).considered
    assert (weighed.cost_ppm, weighed.latency_ppm, weighed.preference_ppm) == (
        35_000,
        20_000,
        10_000,
    )
    assert weighed.score_ppm == 950_000 - 35_000 - 20_000 + 10_000


def test_another_must_be_better_by_the_margin_to_replace_the_one_in_use() -> None:
    better = candidate("b/card", score_ppm=990_000)
    kept = decided(candidate("a/card", score_ppm=970_000), better, in_use="a/card")
    assert (kept.chosen, kept.reason) == ("a/card", Reason.KEPT)
    left = decided(candidate("a/card", score_ppm=969_999), better, in_use="a/card")
    assert (left.chosen, left.reason) == ("b/card", Reason.BEST)


def test_a_circuit_that_is_half_open_gets_a_tenth_of_small_payments_and_no_large_one() -> None:
    trying = candidate("b/card", state=HALF_OPEN)
    draw = 100_000  # the second of the three draws
    inside, outside = 9_999 * draw, 10_000 * draw
    assert decided(A, trying, chance=inside).reason is Reason.PROBE
    assert decided(A, trying, chance=inside).chosen == "b/card"
    assert decided(A, trying, chance=inside, amount_minor=20_000).chosen == "a/card"
    assert decided(A, trying, chance=outside + 99_999 * draw**2).chosen == "a/card"


@pytest.mark.parametrize("operation", [Operation.REFUND, Operation.PAYOUT])
@given(chance=st.integers(0, CHANCE_MAX - 1))
def test_money_that_goes_out_is_never_gambled_with(operation: Operation, chance: int) -> None:
    worse = candidate("b/card", score_ppm=900_000)
    trying = candidate("c/card", state=HALF_OPEN)
    decision = decided(A, worse, trying, chance=chance, operation=operation)
    assert (decision.chosen, decision.reason) == ("a/card", Reason.BEST)


def test_three_percent_of_small_payments_explore_and_only_where_it_is_well() -> None:
    worse = candidate("b/card", score_ppm=800_000)
    opened = candidate("c/card", state=OPEN)
    draws = [n * 100_000**2 + 99_999 * 100_000 for n in range(0, 100_000, 100)]
    found = [decided(A, worse, opened, chance=chance) for chance in draws]
    explored = [one.chosen for one in found if one.reason is Reason.EXPLORE]
    assert len(explored) == 30
    assert set(explored) == {"a/card", "b/card"}
    still = rules(explore=False)
    assert {decided(A, worse, chance=chance, by=still).reason for chance in draws} == {Reason.BEST}
    assert {decided(A, worse, chance=c, amount_minor=20_000).chosen for c in draws} == {"a/card"}


def test_when_none_is_well_the_best_is_flagged_or_the_payment_waits() -> None:
    down = candidate("a/card", state=OPEN, score_ppm=900_000)
    trying = candidate("b/card", state=HALF_OPEN, score_ppm=600_000)
    best = decided(down, trying)
    assert (best.chosen, best.reason, best.degraded) == ("b/card", Reason.DEGRADED, True)
    waits = decided(down, trying, by=rules(when_none_is_well="queue"))
    assert (waits.chosen, waits.reason, waits.degraded) == (None, Reason.QUEUED, False)


def test_what_cannot_be_is_named_with_its_reason() -> None:
    decision = decided(
        candidate("a/card", assets={"USD"}),
        candidate("b/card", operations={Operation.PAYOUT}),
        candidate("c/card", methods=set()),
        candidate("d/card", payer_countries={"US"}),
        candidate("e/card", amount_max_minor=4999),
        candidate("f/card"),
        candidate("g/card", held=True, state=OPEN),
        candidate("h/card"),
        by=rules(otherwise={"exclude": ["f"]}),
        method="card",
        payer_country="DE",
        tried=["h/card"],
    )
    assert (decision.chosen, decision.reason) == (None, Reason.NONE_CAN)
    assert [one.excluded for one in decision.considered] == [
        "it does not take EUR",
        "it cannot collect",
        "it has no method card",
        "it takes no payers from DE",
        "its largest amount is 4999",
        "the rules leave it out",
        "it waits for a person: our credentials were refused",
        "it was tried already",
    ]


def test_a_refund_goes_back_the_way_the_money_came() -> None:
    better = candidate("b/card", score_ppm=PPM)
    decision = decided(A, better, operation=Operation.REFUND, captured_by="a/card")
    assert decision.chosen == "a/card"
    assert why_not(decision, "b/card") == "the money came in by a/card"
    down = candidate("a/card", state=OPEN)
    decision = decided(down, better, operation=Operation.REFUND, captured_by="a")
    assert (decision.chosen, decision.degraded) == ("a/card", True)


def test_the_first_rule_whose_condition_holds_decides() -> None:
    document = rules(
        rules=[
            {
                "name": "large",
                "when": {"amount": {"asset": "EUR", "from_minor": 100, "below_minor": 200}},
                "order": ["b"],
                "order_is": "strict",
            },
            {"name": "french", "when": {"payer_countries": ["FR"]}, "exclude": ["a", "b"]},
            {"name": "dollars", "when": {"currencies": ["USD"]}, "order": ["c", "b"]},
        ]
    )

    def where(**asked: Any) -> tuple[str | None, str | None]:
        decision = decided(A, B, C, by=document, **asked)
        return decision.rule, decision.chosen

    assert where(amount_minor=100) == ("large", "b/card")
    assert where(amount_minor=199, payer_country="FR") == ("large", "b/card")
    assert where(amount_minor=200, payer_country="FR") == ("french", "c/card")
    assert where(amount_minor=99) == (None, "a/card")
    assert where(asset="USD", amount_minor=150) == ("dollars", "c/card")


def test_a_strict_order_gives_way_to_illness_alone_and_a_preference_to_much_better() -> None:
    worse = candidate("a/card", score_ppm=800_000)
    strict = rules(otherwise={"order": ["a", "b"], "order_is": "strict"})
    prefers = rules(otherwise={"order": ["a", "b"]})
    assert decided(worse, B, by=strict).reason is Reason.ORDER
    assert decided(worse, B, by=strict).chosen == "a/card"
    assert decided(worse, B, by=prefers).chosen == "b/card"
    assert decided(candidate("a/card", state=OPEN), B, by=strict).chosen == "b/card"


def test_a_split_gives_each_its_part_and_the_part_of_the_unwell_to_others() -> None:
    document = rules(
        explore=False,
        otherwise={"split": [{"to": "a", "percent": 70}, {"to": "b/card", "percent": 30}]},
    )
    chances = range(0, 100_000, 100)
    found = [decided(A, B, C, by=document, chance=chance).chosen for chance in chances]
    assert (found.count("a/card"), found.count("b/card")) == (700, 300)
    down = candidate("b/card", state=OPEN)
    found = [decided(A, down, C, by=document, chance=chance).chosen for chance in chances]
    assert "b/card" not in found


standings: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    state=st.sampled_from(list(HealthState)),
    held=st.booleans(),
    score_ppm=st.integers(0, PPM),
    p95_us=st.none() | st.integers(0, 10**8),
    fee_ppm=st.integers(0, 50_000),
    assets=st.sampled_from([{"EUR"}, {"USD"}, {"EUR", "USD"}]),
)


@given(
    st.lists(standings, max_size=5),
    st.integers(0, CHANCE_MAX - 1),
    st.sampled_from(["best_degraded", "queue"]),
    st.sets(st.integers(0, 4), max_size=3),
)
def test_whatever_is_chosen_could_be_and_the_same_inputs_choose_the_same(
    known: list[dict[str, Any]], chance: int, unwell: str, tried: set[int]
) -> None:
    offered = [candidate(f"p{n}/card", **standing) for n, standing in enumerate(known)]
    document = rules(when_none_is_well=unwell, otherwise={"order": ["p1"], "exclude": ["p2"]})
    inputs = Inputs(
        routable=Routable(
            amount_minor=100, asset="EUR", tried=tuple(f"p{n}/card" for n in sorted(tried))
        ),
        candidates=tuple(offered),
        chance=chance,
    )
    decision = choose(inputs, document)
    assert len(decision.considered) == len(offered)
    taken = decision.taken
    if taken is None:
        assert decision.reason in {Reason.NONE_CAN, Reason.QUEUED}
        assert not any(
            one.excluded is None and one.state is HealthState.CLOSED for one in decision.considered
        )
    else:
        assert taken.excluded is None
        assert not named(taken.target, ["p2", *inputs.routable.tried])
        assert decision.degraded == (
            taken.state is not HealthState.CLOSED and decision.reason is not Reason.PROBE
        )
    stored = Inputs.model_validate_json(inputs.model_dump_json())
    assert choose(stored, RoutingRules.model_validate_json(document.model_dump_json())) == decision


def test_a_currency_with_few_samples_is_judged_by_its_rail_but_its_own_circuit_counts() -> None:
    catalogue = [Capabilities(provider="a", rail="card", assets=frozenset({"EUR"}))]
    rail = Health(score_ppm=900_000, samples=500, observed_at=NOW)
    few = Health(score_ppm=100_000, samples=19, observed_at=NOW)
    many = Health(score_ppm=100_000, samples=20, observed_at=NOW)
    opened = Health(state=OPEN, samples=5, open_until=NOW + timedelta(minutes=1), observed_at=NOW)

    def standing(own: Health, now: datetime = NOW) -> Standing:
        known = {Key("a", "card"): rail, Key("a", "card", "EUR"): own}
        return candidates_of(catalogue, known, "EUR", now)[0].standing

    assert standing(few).score_ppm == 900_000
    assert standing(many).score_ppm == 100_000
    assert (standing(opened).score_ppm, standing(opened).state) == (900_000, OPEN)
    assert standing(opened, NOW + timedelta(minutes=1)).state is HALF_OPEN
    assert candidates_of(catalogue, {}, "EUR", NOW)[0].standing == Standing()


def test_a_replay_names_each_payment_that_would_go_elsewhere() -> None:
    dear = candidate("a/card", fee_ppm=29_000, score_ppm=990_000)
    cheap = candidate("b/card", score_ppm=950_000, acceptance_ppm=500_000)
    cases = []
    for amount in (100, 90_000):
        inputs = Inputs(
            routable=Routable(amount_minor=amount, asset="EUR"),
            candidates=(dear, cheap),
            chance=NO_CHANCE,
        )
        cases.append((None, inputs, choose(inputs, rules(explore=False))))
    large = {"name": "large", "when": {"amount": {"asset": "EUR", "from_minor": 1000}}}
    found = replay(cases, rules(rules=[{**large, "exclude": ["a"]}]))
    assert (found.payments, found.changed) == (2, 1)
    (difference,) = found.differences
    assert (difference.was, difference.would_be, difference.rule) == ("a/card", "b/card", "large")
    assert found.before.by_target == {"a/card": 2}
    assert found.after.by_target == {"a/card": 1, "b/card": 1}
    assert found.before.success_expected_ppm == 990_000
    assert found.after.success_expected_ppm == (990_000 + 475_000) // 2
    assert (found.before.cost_ppm, found.after.cost_ppm) == (29_000, 14_500)
