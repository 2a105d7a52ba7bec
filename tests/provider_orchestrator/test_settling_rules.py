"""What is said of held money is said once, whatever the provider says how often in which order."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invoiceos_contracts.payment_v1 import PaymentDisputeClosed, PaymentDisputed
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.settling import (
    LOOK_AGAIN,
    Books,
    DisputeSaid,
    DisputeState,
    Held,
    Settlement,
    settle,
)

NOW = datetime(2026, 11, 29, tzinfo=UTC)
OK = Outcome.OK


def held(amount_minor: int = 1000, **more: object) -> Held:
    payment = Held(
        tenant_id=UUID(int=1),
        id=uuid4(),
        invoice_id=uuid4(),
        wallet_id=uuid4(),
        provider="stripe",
        rail="card",
        amount_minor=amount_minor,
        asset="USD",
        fee_minor=None,
        available_at=None,
        given_back_minor=0,
    )
    return replace(payment, **more)  # type: ignore[arg-type]


def books(*payments: Held) -> Books:
    return Books(uuid4(), list(payments) or [held()], {})


def dispute(state: DisputeState = DisputeState.OPEN, amount_minor: int = 400) -> DisputeSaid:
    return DisputeSaid("du_1", state, amount_minor, "USD", "fraudulent", 1500)


states = st.sampled_from(DisputeState)
said = st.builds(
    Settlement,
    st.sampled_from([OK, OK, OK, Outcome.UNKNOWN, Outcome.INFRA]),
    fee_minor=st.sampled_from([None, 59, 61]),
    available_at=st.sampled_from([None, NOW - timedelta(days=1), NOW + timedelta(days=2)]),
    disputes=st.lists(
        st.builds(
            DisputeSaid,
            st.sampled_from(["du_1", "du_2"]),
            states,
            st.integers(1, 3000),
            st.just("USD"),
            st.just("fraudulent"),
            st.sampled_from([None, 1500]),
        ),
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(said, max_size=8), st.lists(st.integers(1, 1500), min_size=1, max_size=3))
def test_nothing_is_said_twice_and_no_more_is_given_back_than_came(
    news: list[Settlement], amounts: list[int]
) -> None:
    known = books(*(held(amount) for amount in amounts))
    for one in news:
        settle(known, one, NOW, uuid4)
    # Of a dispute, what it is of each payment.
    named = [
        (type(fact), fact.payment_id, getattr(fact, "dispute_id", None)) for fact in known.facts
    ]
    assert not [one for one, count in Counter(named).items() if count > 1]
    opened = [fact for fact in known.facts if isinstance(fact, PaymentDisputed)]
    for name in {fact.provider_reference for fact in opened}:
        of = [fact for fact in opened if fact.provider_reference == name]
        assert len({fact.payment_id for fact in of}) == len(of)
        told = [d for one in news if one.outcome is OK for d in one.disputes]
        first = next(one for one in told if one.reference == name)
        assert sum(fact.disputed.amount_minor for fact in of) == first.amount_minor
    for payment in known.payments:
        counted = sum(
            d.counted_minor
            for d in known.disputes.values()
            if d.payment_id == payment.id and d.state is not DisputeState.WON
        )
        assert 0 <= payment.given_back_minor == counted <= payment.amount_minor


def test_a_dispute_that_is_first_heard_of_when_it_is_over_is_told_whole() -> None:
    known = books()
    settle(known, Settlement(OK, disputes=(dispute(DisputeState.LOST),)), NOW, uuid4)
    assert [type(one) for one in known.facts] == [PaymentDisputed, PaymentDisputeClosed]
    settle(known, Settlement(OK, disputes=(dispute(DisputeState.OPEN),)), NOW, uuid4)
    settle(known, Settlement(OK, disputes=(dispute(DisputeState.WON),)), NOW, uuid4)
    assert len(known.facts) == 2 and known.payments[0].given_back_minor == 400


def test_of_what_was_refunded_a_dispute_counts_only_the_rest() -> None:
    known = books(held(1000, given_back_minor=800))
    settle(known, Settlement(OK, disputes=(dispute(),)), NOW, uuid4)
    (opened,) = known.opened
    assert (opened.amount_minor, opened.counted_minor) == (400, 200)
    settle(known, Settlement(OK, disputes=(dispute(DisputeState.WON),)), NOW, uuid4)
    assert known.payments[0].given_back_minor == 800


def test_it_is_looked_at_again_as_long_as_something_may_come() -> None:
    known = books()
    settle(known, Settlement(Outcome.UNKNOWN), NOW, uuid4)
    assert known.due_at == NOW + 2 * LOOK_AGAIN
    later = NOW + timedelta(days=2)
    settle(known, Settlement(OK, fee_minor=59, available_at=later), NOW, uuid4)
    assert known.due_at == later
    settle(known, Settlement(OK, fee_minor=59, available_at=later), later, uuid4)
    assert known.due_at is None
    settle(known, Settlement(OK, disputes=(dispute(),)), later, uuid4)
    assert known.due_at == later + timedelta(hours=1)
