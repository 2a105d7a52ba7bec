"""The state table, the guard, lateness and the certificate."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_manager.domain import destruction, payments
from ephemeral_manager.domain import wallet as domain
from ephemeral_manager.domain.matters import Open
from ephemeral_manager.domain.wallet import TRANSITIONS, Closure, State, Wallet
from ephemeral_manager.errors import IllegalTransition
from invoiceos_contracts import Amount
from invoiceos_contracts.ephemeral_v1 import (
    EphemeralWalletActivated,
    EphemeralWalletDestroying,
    EphemeralWalletDrained,
    EphemeralWalletDraining,
    EphemeralWalletExpired,
    EphemeralWalletWatching,
    LateFundsDetected,
    LateFundsResolved,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def wallet(state: State = State.ACTIVE, **changes: Any) -> Wallet:
    values: dict[str, Any] = {
        "tenant_id": uuid4(),
        "id": uuid4(),
        "invoice_id": uuid4(),
        "rail": "tempo",
        "chain_id": 31337,
        "address": "0x1",
        "state": state,
        "expires_at": NOW + HOUR,
        "watch_window_s": 600,
        "created_at": NOW - HOUR,
    }
    return Wallet(**(values | changes))


def watching(**changes: Any) -> Wallet:
    return domain.settle(wallet(**changes), uuid4(), NOW, NOW).wallet


def kinds(step: domain.Step) -> list[type]:
    return [type(fact) for fact in step.facts]


LEGAL = {
    ("active", "expired"),
    ("active", "draining"),
    ("expired", "active"),
    ("expired", "draining"),
    ("draining", "drained"),
    ("drained", "watching"),
    ("watching", "watching"),
    ("watching", "active"),
    ("watching", "expired"),
    ("watching", "destroying"),
    ("destroying", "destroying"),
    ("destroying", "destroyed"),
}


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_the_state_table_allows_these_steps_and_no_other(before: State, after: State) -> None:
    start = wallet(before)
    if (before.value, after.value) in LEGAL:
        assert start.go(after).state is after
    else:
        with pytest.raises(IllegalTransition):
            start.go(after)


def test_nothing_leads_back_from_destruction() -> None:
    reached, found = {State.DESTROYING}, set()
    while reached - found:
        found |= reached
        reached |= {after for state in reached for after in TRANSITIONS[state]}
    assert found == {State.DESTROYING, State.DESTROYED}


def test_a_paid_invoice_drains_its_wallet_and_watches_it() -> None:
    step = domain.settle(wallet(), uuid4(), NOW, NOW)
    assert kinds(step) == [
        EphemeralWalletDraining,
        EphemeralWalletDrained,
        EphemeralWalletWatching,
    ]
    assert step.wallet.state is State.WATCHING
    assert step.wallet.watch_until == NOW + timedelta(seconds=600)
    assert domain.settle(step.wallet, uuid4(), NOW, NOW).facts == ()


def test_expiry_is_stated_before_draining() -> None:
    step = domain.expire(wallet(), NOW)
    assert kinds(step)[0] is EphemeralWalletExpired
    assert step.wallet.closures == (Closure(NOW + HOUR, domain.TTL_OVER),)
    assert domain.expire(step.wallet, NOW).facts == ()


def test_a_reversal_while_there_is_time_left_brings_the_wallet_back() -> None:
    step = domain.unsettle(watching(), NOW + HOUR / 2, NOW)
    assert kinds(step) == [EphemeralWalletActivated]
    assert step.wallet.state is State.ACTIVE
    again = domain.settle(step.wallet, uuid4(), NOW + HOUR / 2, NOW)
    assert again.wallet.state is State.WATCHING


def test_a_reversal_after_the_time_to_live_watches_again() -> None:
    step = domain.unsettle(watching(), NOW + 2 * HOUR, NOW)
    assert kinds(step)[0] is EphemeralWalletExpired
    assert step.wallet.state is State.WATCHING


@pytest.mark.parametrize("state", [State.DESTROYING, State.DESTROYED])
def test_a_reversal_never_brings_back_what_is_being_destroyed(state: State) -> None:
    late = replace(watching(), state=state)
    step = domain.unsettle(late, NOW, NOW)
    assert (step.wallet.state, step.facts) == (state, ())


def test_of_two_reasons_the_earlier_counts_whichever_is_heard_first() -> None:
    booking, start = uuid4(), wallet()
    paid_at = start.expires_at - timedelta(minutes=1)
    expired_first = domain.settle(domain.expire(start, NOW).wallet, booking, paid_at, NOW)
    paid_first = domain.expire(domain.settle(start, booking, paid_at, NOW).wallet, NOW)
    assert expired_first.wallet.closures == paid_first.wallet.closures
    late = start.expires_at + timedelta(minutes=1)
    expired_first = domain.settle(domain.expire(start, NOW).wallet, booking, late, NOW)
    paid_first = domain.expire(domain.settle(start, booking, late, NOW).wallet, NOW)
    assert expired_first.wallet.closures == paid_first.wallet.closures
    assert paid_first.wallet.closures[0].reason == domain.TTL_OVER


GUARDS = {
    "drained": False,
    "watch_window_over": False,
    "unknown_payments": 1,
    "open_disputes": 1,
    "open_refunds": 1,
    "legal_hold": True,
}


@pytest.mark.parametrize("field", [*GUARDS, None])
def test_each_value_of_the_guard_alone_stops_destruction(field: str | None) -> None:
    start = watching()
    guard = destruction.guard_of(start, Open(), window_over=True)
    if field is not None:
        guard = guard.model_copy(update={field: GUARDS[field]})
    step = destruction.end_watch(start, guard, 0, 30, NOW)
    if field is None:
        assert kinds(step) == [EphemeralWalletDestroying]
        assert step.wallet.state is State.DESTROYING
    else:
        assert step.facts == ()
        assert step.wallet.state is State.WATCHING
        assert step.alarms[0].due_at == NOW + timedelta(seconds=30)


def test_pauses_double_to_an_hour() -> None:
    assert [destruction.backoff(30, n) for n in (0, 1, 2, 6, 7, 99)] == [
        30,
        60,
        120,
        1920,
        3600,
        3600,
    ]


def payment(**changes: Any) -> payments.Payment:
    values: dict[str, Any] = {
        "tenant_id": uuid4(),
        "id": uuid4(),
        "wallet_id": uuid4(),
        "invoice_id": uuid4(),
        "amount": Amount(amount_minor=5, asset="PATHUSD"),
        "state": payments.PaymentState.FINAL,
        "first_seen_at": NOW + timedelta(minutes=1),
        "finals": 1,
    }
    return payments.Payment(**(values | changes))


def test_after_payment_money_is_late_when_nothing_of_it_counted() -> None:
    booking = uuid4()
    closed = domain.settle(wallet(), booking, NOW, NOW).wallet
    settling, unbooked = payment(policy="accept"), payment()
    credited, counted = payment(policy="credit"), payment(policy="accept")
    paid_by = {booking: settling.id}
    assert payments.is_late(closed, settling, {}) is None, "not known yet who settled it"
    assert payments.is_late(closed, settling, paid_by, final=True) is False
    assert payments.is_late(closed, credited, {}) is True
    assert payments.is_late(closed, unbooked, paid_by, final=True) is None
    assert payments.is_late(closed, counted, paid_by) is None, "a reversal may be on its way"
    assert payments.is_late(closed, counted, paid_by, final=True) is True
    reopened = domain.unsettle(closed, NOW + HOUR / 2, NOW).wallet
    assert payments.is_late(reopened, counted, paid_by) is False
    assert payments.is_late(reopened, credited, paid_by) is True


@pytest.mark.parametrize("state", [State.DESTROYING, State.DESTROYED])
def test_money_after_the_end_is_late_as_soon_as_it_is_announced(state: State) -> None:
    booking, settling = uuid4(), payment()
    ended = replace(domain.settle(wallet(), booking, NOW, NOW).wallet, state=state)
    coming = payment(state=payments.PaymentState.SEEN)
    assert payments.is_late(ended, coming, {booking: settling.id}) is True
    assert payments.is_late(ended, settling, {booking: settling.id}) is False


def test_a_payment_announced_before_the_closing_is_not_late() -> None:
    closed = domain.void(wallet(), NOW, NOW).wallet
    assert payments.is_late(closed, payment(first_seen_at=NOW), {}) is False
    assert payments.is_late(closed, payment(), {}) is True
    assert payments.is_late(closed, payment(first_seen_at=None), {}) is None


def test_late_money_restarts_the_window_five_times_at_most() -> None:
    closed = domain.void(wallet(), NOW, NOW).wallet
    booked = [payment(policy="credit", booking_ids=(uuid4(),)) for _ in range(7)]
    step, changed = payments.review(closed, booked, NOW + HOUR)
    facts = kinds(step)
    assert facts.count(LateFundsDetected) == facts.count(LateFundsResolved) == 7
    assert facts.count(EphemeralWalletWatching) == 5
    assert step.wallet.restarts == 5
    assert len(changed) == 7
    again, unchanged = payments.review(step.wallet, changed, NOW)
    assert (again.facts, unchanged) == ((), [])


@given(
    order=st.permutations(range(4)),
    seen=st.integers(-30, 90),
    paid_at=st.integers(0, 80),
    policy=st.sampled_from(["accept", "credit"]),
)
def test_lateness_does_not_depend_on_what_is_heard_first(
    order: list[int], seen: int, paid_at: int, policy: str
) -> None:
    """Paid, time over, the payments' news: in any order, one verdict."""
    ids = [UUID(int=n) for n in range(1, 5)]
    outcomes = set()
    for sequence in ([0, 1, 2, 3], order):
        life = wallet(tenant_id=ids[0], id=ids[0], invoice_id=ids[0])
        known: dict[UUID, payments.Payment] = {}
        facts: list[type] = []
        for event in sequence:
            if event == 0:
                at = NOW + timedelta(minutes=paid_at)
                step = domain.settle(life, ids[3], at, NOW)
            elif event == 1:
                step = domain.expire(life, NOW)
            else:
                step = domain.Step(life)
                settling = event == 3
                made = payment(
                    tenant_id=ids[0],
                    wallet_id=ids[0],
                    invoice_id=ids[0],
                    id=ids[2] if settling else ids[1],
                    first_seen_at=NOW - HOUR if settling else NOW + timedelta(minutes=seen),
                    booking_ids=(ids[3],) if settling else (uuid4(),),
                    policy="accept" if settling else policy,
                )
                known[made.id] = made
            reviewed, changed = payments.review(step.wallet, known.values(), NOW)
            known |= {item.id: item for item in changed}
            life = reviewed.wallet
            facts += [type(f) for f in (*step.facts, *reviewed.facts)]
        outcomes.add(
            (
                life.state,
                life.closures,
                facts.count(LateFundsDetected),
                facts.count(LateFundsResolved),
            )
        )
    assert len(outcomes) == 1


def test_a_payment_is_unknown_until_every_final_is_booked() -> None:
    assert payment(state=payments.PaymentState.SEEN).unknown
    assert payment().unknown
    assert not payment(booking_ids=(uuid4(),)).unknown
    assert payment(finals=2, booking_ids=(uuid4(),)).unknown
    assert not payment(state=payments.PaymentState.CONFLICTED).unknown
    assert not payment(state=None).unknown


def test_permutations_of_bookings_give_the_newest_policy() -> None:
    from invoiceos_contracts.ledger_v1 import FundsBooked

    def booked(sequence: int, applied: int) -> FundsBooked:
        return FundsBooked(
            tenant_id=UUID(int=1),
            transaction_id=UUID(int=sequence),
            sequence=sequence,
            template="t.v1",
            invoice_id=UUID(int=1),
            wallet_id=UUID(int=1),
            payment_id=UUID(int=1),
            applied=Amount(amount_minor=applied, asset="PATHUSD"),
            excess=Amount(amount_minor=5 - applied, asset="PATHUSD"),
            fee=Amount(amount_minor=0, asset="PATHUSD"),
            booked_at=NOW,
        )

    for order in permutations([booked(1, 5), booked(2, 0), booked(2, 0)]):
        known = payments.announced(order[0])
        for fact in order:
            known = payments.note(known, fact, NOW)
        assert (known.policy, len(known.booking_ids)) == ("credit", 2)
        assert known.amount.amount_minor == 5
