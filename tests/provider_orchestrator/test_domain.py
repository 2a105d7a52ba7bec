"""The decisions, without a database: transfers, health, how far a chain was read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoiceos_contracts.base import MAX_MINOR, HealthState
from invoiceos_contracts.payment_v1 import (
    PaymentConflicted,
    PaymentReverted,
    PaymentSeen,
    PaymentSucceeded,
)
from money import ASSETS
from provider_orchestrator.domain.chain import (
    Block,
    common_ancestor,
    contradicts,
    last_block_within,
)
from provider_orchestrator.domain.health import STANDARD, Health, Observation, observe
from provider_orchestrator.domain.outcomes import PPM, Outcome
from provider_orchestrator.domain.transfers import (
    Finality,
    Payment,
    Transfer,
    Watched,
    appear,
    asset_code,
    finalise,
    revert,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WATCHED = Watched(
    uuid4(), uuid4(), uuid4(), 31337, b"\x01" * 20, b"\x02" * 32, ("PATHUSD",), 1250, "USD"
)
TRANSFER = Transfer(
    chain_id=31337,
    block_number=10,
    block_hash=b"\x0a" * 32,
    block_at=NOW,
    transaction_hash=b"\x0b" * 32,
    log_index=3,
    ordinal=0,
    address=WATCHED.address,
    token=b"\x20" * 20,
    asset="PATHUSD",
    listed=True,
    units=12_500_000,
    payer=b"\x0c" * 20,
    memo=None,
    blocked=False,
)
AT_ONCE = Finality(0, 10, NOW)


def test_a_transfer_in_a_final_block_succeeds_at_once() -> None:
    payment, facts = appear(TRANSFER, WATCHED, None, AT_ONCE)
    assert [type(f) for f in facts] == [PaymentSeen, PaymentSucceeded]
    assert (payment.state, payment.final_at) == ("succeeded", NOW)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"blocked": True}, "blocked"),
        ({"listed": False}, "wrong_asset"),
        ({"asset": "ALPHAUSD"}, "wrong_asset"),
        ({"units": MAX_MINOR + 1}, "out_of_range"),
        ({"listed": False, "units": 2**255}, "wrong_asset"),
    ],
)
def test_what_cannot_pay_is_a_conflict_and_never_seen(
    change: dict[str, object], cause: str
) -> None:
    payment, facts = appear(replace(TRANSFER, **change), WATCHED, None, AT_ONCE)  # type: ignore[arg-type]
    (fact,) = facts
    assert isinstance(fact, PaymentConflicted)
    assert (fact.cause, payment.state) == (cause, "conflicted")
    assert fact.amount.amount_minor <= MAX_MINOR


def test_a_payment_moves_with_its_transaction_and_keeps_its_id() -> None:
    payment, _ = appear(TRANSFER, WATCHED, None, AT_ONCE)
    gone, facts = revert(payment, TRANSFER.block_hash)
    assert isinstance(facts[0], PaymentReverted)
    assert facts[0].was_final
    moved = replace(TRANSFER, block_hash=b"\x0d" * 32, log_index=9, block_number=11)
    again, facts = appear(moved, WATCHED, gone, Finality(0, 11, NOW))
    assert [type(f) for f in facts] == [PaymentSeen, PaymentSucceeded]
    assert (again.id, again.block_hash, again.reference) == (
        payment.id,
        moved.block_hash,
        payment.reference,
    )


def test_the_drop_of_another_block_does_not_touch_a_payment() -> None:
    payment, _ = appear(TRANSFER, WATCHED, None, AT_ONCE)
    assert revert(payment, b"\x00" * 32) == (payment, [])


def test_a_conflict_nobody_heard_of_goes_in_silence() -> None:
    waiting, facts = appear(replace(TRANSFER, blocked=True), WATCHED, None, Finality(2, 8, NOW))
    assert (waiting.state, facts) == ("seen", [])
    assert revert(waiting, TRANSFER.block_hash)[1] == []


@given(st.lists(st.sampled_from(["appear", "final", "revert", "elsewhere"]), max_size=30))
def test_facts_of_a_payment_always_tell_a_story_that_adds_up(moves: list[str]) -> None:
    """Succeeded only after seen, reverted only what stands, and was_final exactly after succeeded."""
    payment: Payment | None = None
    transfer, told, booked = TRANSFER, "nothing", 0
    for move in moves:
        if move == "elsewhere":
            transfer = replace(transfer, block_hash=bytes(31) + bytes([len(moves)]))
            continue
        if move == "appear":
            payment, facts = appear(transfer, WATCHED, payment, Finality(2, 8, NOW))
        elif payment is None:
            continue
        elif move == "final":
            payment, facts = finalise(payment, Finality(2, 10, NOW))
        else:
            payment, facts = revert(payment, payment.block_hash)
        for fact in facts:
            if isinstance(fact, PaymentSeen):
                assert told in ("nothing", "reverted")
                told = "seen"
            elif isinstance(fact, PaymentSucceeded):
                assert told == "seen"
                told, booked = "succeeded", booked + 1
            elif isinstance(fact, PaymentReverted):
                assert fact.was_final == (told == "succeeded")
                booked -= fact.was_final
                told = "reverted"
        assert booked in (0, 1)
        assert (booked == 1) == (payment.state == "succeeded")


DISGUISES = st.sampled_from(sorted(ASSETS)).flatmap(
    lambda code: st.sampled_from([code, code.lower(), f" {code}!", "-".join(code)])
)


@given(st.text(max_size=40) | DISGUISES)
def test_a_foreign_token_never_gets_the_name_of_real_money(symbol: str) -> None:
    assert asset_code(symbol) not in ASSETS


@pytest.mark.parametrize("symbol", ["USDC", "usdc", " P-athUSD", "", None, "1", "ÜÜÜ", "💸💸💸"])
def test_names_that_cannot_be_trusted_are_unknown(symbol: str | None) -> None:
    assert asset_code(symbol) == "UNKNOWN"


def observed(outcome: Outcome, at: datetime = NOW) -> Observation:
    return Observation(at, outcome, 1000, "test")


def fold(
    health: Health, *outcomes: Outcome, at: datetime = NOW
) -> tuple[Health, list[tuple[HealthState, HealthState]]]:
    changes = []
    for outcome in outcomes:
        health, more = observe(health, observed(outcome, at), jitter_ppm=0)
        changes += [(change.old, change.after.state) for change in more]
    return health, changes


def test_five_failures_in_a_row_open_the_circuit() -> None:
    health, changes = fold(Health(), *[Outcome.INFRA] * 4)
    assert changes == []
    health, changes = fold(health, Outcome.INFRA)
    assert changes == [(HealthState.CLOSED, HealthState.OPEN)]
    assert health.open_until == NOW + timedelta(seconds=60)


def test_a_soft_degradation_opens_it_too() -> None:
    health = Health()
    opened = []
    for _ in range(60):
        health, changes = fold(health, Outcome.INFRA, Outcome.OK, Outcome.INFRA, Outcome.OK)
        opened += changes
    assert opened == [(HealthState.CLOSED, HealthState.OPEN)]


def test_five_successes_after_the_pause_close_it_and_one_failure_reopens_for_longer() -> None:
    health, _ = fold(Health(), *[Outcome.INFRA] * 5)
    early, changes = fold(health, *[Outcome.OK] * 20, at=NOW + timedelta(seconds=59))
    assert (early.state, changes) == (HealthState.OPEN, [])
    later = NOW + timedelta(seconds=60)
    reopened, changes = fold(health, Outcome.OK, Outcome.INFRA, at=later)
    assert [new for _, new in changes] == [HealthState.HALF_OPEN, HealthState.OPEN]
    assert reopened.open_until == later + timedelta(seconds=90)
    closed, changes = fold(health, *[Outcome.OK] * 5, at=later)
    assert changes[-1] == (HealthState.HALF_OPEN, HealthState.CLOSED)
    assert closed.score_ppm >= STANDARD.closed_at_least_ppm
    assert closed.openings == 0


def test_the_open_period_has_a_ceiling() -> None:
    health, at = fold(Health(), *[Outcome.INFRA] * 5)[0], NOW
    for _ in range(50):
        assert health.open_until is not None
        at = health.open_until
        health, _ = fold(health, Outcome.INFRA, at=at)
    assert health.open_until == at + timedelta(seconds=480)


def test_old_news_fades() -> None:
    health, _ = fold(Health(), *[Outcome.INFRA] * 4)
    rested, _ = fold(health, Outcome.OK, at=NOW + timedelta(days=2))
    assert rested.score_ppm >= STANDARD.rest_ppm


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Outcome)), st.integers(0, 7200)), min_size=1, max_size=80
    ),
    st.integers(-200_000, 200_000),
)
def test_health_stays_within_its_bounds_whatever_happens(
    steps: list[tuple[Outcome, int]], jitter: int
) -> None:
    health, at, state = Health(), NOW, HealthState.CLOSED
    for outcome, seconds in steps:
        at += timedelta(seconds=seconds)
        health, changes = observe(health, observed(outcome, at), jitter_ppm=jitter)
        assert 0 <= health.score_ppm <= PPM
        waits = health.state is HealthState.OPEN and not health.held
        assert (health.open_until is not None) == waits
        assert health.state is HealthState.OPEN or not health.held
        if health.open_until is not None and changes:
            assert timedelta(seconds=48) <= health.open_until - at <= timedelta(seconds=576)
        for change in changes:
            assert change.old is state
            state = change.after.state
        assert state is health.state


def block(number: int, fork: int = 0) -> Block:
    return Block(number, bytes([fork]) * 31 + bytes([number]), NOW)


@given(st.integers(0, 40), st.sets(st.integers(0, 40), min_size=1))
def test_the_ancestor_is_the_highest_block_below_the_fork(fork_at: int, known: set[int]) -> None:
    canonical = {n: block(n, fork=1 if n >= fork_at else 0) for n in range(41)}
    ours = [block(n) for n in known]
    found = common_ancestor(ours, canonical)
    expected = max((n for n in known if n < fork_at), default=None)
    assert (found.number if found else None) == expected
    assert contradicts(ours, canonical) == any(n >= fork_at for n in known)


@given(st.lists(st.integers(0, 20), max_size=60).map(sorted), st.integers(1, 20))
def test_a_sweep_is_cut_between_blocks(numbers: list[int], limit: int) -> None:
    cut = last_block_within(numbers, limit)
    if cut is None:
        assert len(numbers) <= limit
        return
    taken = [n for n in numbers if n <= cut]
    assert taken
    assert len(taken) <= limit or len(set(taken)) == 1
