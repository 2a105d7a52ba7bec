"""Faults in how providers are judged, chosen and charged."""

from tests.mutations.mutation import Mutation

_DOMAIN = "services/provider-orchestrator/src/provider_orchestrator/domain"
_TESTS = "tests/routing"

PLANTED = (
    Mutation(
        name="unknown-outcome-gives-up-the-lease",
        sentence="While nobody knows whether a charge happened, another provider may be charged.",
        file=f"{_DOMAIN}/attempts.py",
        old="LIVE = frozenset({State.CREATED, State.SENT, State.UNKNOWN})",
        new="LIVE = frozenset({State.CREATED, State.SENT})",
        suite=f"{_TESTS}/test_attempts.py::test_no_order_of_answers_charges_twice",
    ),
    Mutation(
        name="not-found-taken-for-absent",
        sentence="A charge the provider does not show yet counts as one that never happened.",
        file=f"{_DOMAIN}/attempts.py",
        old="    Finding.CANNOT_HAPPEN: State.ABSENT,\n",
        new="    Finding.CANNOT_HAPPEN: State.ABSENT,\n    Finding.NOT_FOUND: State.ABSENT,\n",
        suite=f"{_TESTS}/test_attempts.py::test_no_order_of_answers_charges_twice",
    ),
    Mutation(
        name="retries-without-a-budget",
        sentence="In an outage every payment is sent a second time.",
        file=f"{_DOMAIN}/attempts.py",
        old="    return None if budget.allows else Hindrance.BUDGET_USED\n",
        new="    return None\n",
        suite=f"{_TESTS}/test_attempts.py"
        "::test_second_attempts_are_a_tenth_of_first_ones_in_the_long_run",
    ),
    Mutation(
        name="degradation-not-noticed",
        sentence="Only failures in a row open a circuit, however low the score is.",
        file=f"{_DOMAIN}/health.py",
        old="        if many or health.score_ppm < parameters.open_below_ppm:",
        new="        if many:",
        suite="tests/provider_orchestrator/test_domain.py::test_a_soft_degradation_opens_it_too",
    ),
    Mutation(
        name="health-does-not-choose",
        sentence="The score of a candidate leaves its health out.",
        file=f"{_DOMAIN}/routing.py",
        old="        score_ppm=standing.score_ppm - cost - latency + preference,",
        new="        score_ppm=STANDARD.rest_ppm - cost - latency + preference,",
        suite=f"{_TESTS}/test_choice.py"
        "::test_the_score_is_health_less_cost_and_slowness_with_preference",
    ),
    Mutation(
        name="payouts-explore",
        sentence="Money that goes out tries providers to learn about them.",
        file=f"{_DOMAIN}/routing.py",
        old="    if routable.operation is Operation.COLLECT and not routable.tried",
        new="    if not routable.tried",
        suite=f"{_TESTS}/test_choice.py::test_money_that_goes_out_is_never_gambled_with",
    ),
    Mutation(
        name="declines-make-a-provider-ill",
        sentence="A payer without money counts as a fault of the provider.",
        file=f"{_DOMAIN}/outcomes.py",
        old="        Outcome.DECLINED: Meaning(None, fails=False,",
        new="        Outcome.DECLINED: Meaning(0, fails=True,",
        suite="tests/provider_orchestrator/test_circuits.py"
        "::test_declines_and_our_own_faults_say_nothing_of_the_providers_health",
    ),
)
