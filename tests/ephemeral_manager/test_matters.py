"""No wallet is destroyed while money of its invoice is collected, given back or disputed."""

import random
from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from ephemeral_manager.domain.matters import Kind, matter_of
from invoiceos_contracts import Amount, Event
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroyed, EphemeralWalletDestroying
from invoiceos_contracts.payment_v1 import (
    PaymentCanceled,
    PaymentCaptured,
    PaymentCreated,
    PaymentDisputeClosed,
    PaymentDisputed,
    PaymentExpired,
    PaymentFailed,
    PaymentOutcomeUnknown,
    PaymentVoided,
    RefundCanceled,
    RefundFailed,
    RefundOutcomeUnknown,
    RefundRequested,
    RefundSucceeded,
)
from invoiceos_contracts.samples import sample
from testkit.service import ServiceUnderTest

CASES: list[tuple[str, str, tuple[Any, ...], tuple[Any, ...]]] = [
    ("payment", "unknown_payments", (PaymentCreated,), (PaymentCanceled,)),
    ("payment", "unknown_payments", (PaymentCreated, PaymentOutcomeUnknown), (PaymentFailed,)),
    ("payment", "unknown_payments", (PaymentCreated,), (PaymentExpired,)),
    ("payment", "unknown_payments", (PaymentCreated,), (PaymentVoided,)),
    ("refund", "open_refunds", (RefundRequested,), (RefundSucceeded,)),
    ("refund", "open_refunds", (RefundRequested, RefundOutcomeUnknown), (RefundFailed,)),
    ("refund", "open_refunds", (RefundRequested,), (RefundCanceled,)),
    ("dispute", "open_disputes", (PaymentDisputed,), (PaymentDisputeClosed,)),
]


async def fire(unit: ServiceUnderTest, kind: str) -> None:
    """Let the timers of one kind be due once."""
    await unit.worker.pool.execute(
        "update timer set due_at = clock_timestamp() - interval '1 ms' where kind = $1", kind
    )
    await unit.timers.fire_due()


async def state_of(unit: ServiceUnderTest, life: Any) -> str:
    state: str = await unit.worker.fetchval(
        "select state from ephemeral_wallet where id = $1", life.wallet_id
    )
    return state


def said(life: Any, kind: Any, matter: UUID) -> Event:
    """A fact about one matter of an invoice."""
    names = {"tenant_id": life.tenant_id, "invoice_id": life.invoice_id}
    shared = {"wallet_id": life.wallet_id} if "wallet_id" in kind.model_fields else {}
    own = {
        name: matter
        for name in ("payment_id", "refund_id", "dispute_id")
        if name in kind.model_fields
    }
    fact: Event = sample(kind).model_copy(update=names | shared | own)
    return fact


async def test_what_is_open_blocks_the_end_and_its_end_frees_it(
    unit: ServiceUnderTest, life: Any
) -> None:
    lives = [(type(life)(), uuid4(), case) for case in CASES]
    for one, matter, (_, _, begun, _) in lives:
        opened = [said(one, kind, matter) for kind in begun]
        await unit.receives(one.issued(), one.voided(), *opened)
    await fire(unit, "wallet.watch")
    assert [await state_of(unit, one) for one, _, _ in lives] == ["watching"] * len(CASES)
    for one, matter, (_, _, _, over) in lives:
        await unit.receives(*(said(one, kind, matter) for kind in over))
    await fire(unit, "wallet.watch")
    assert [await state_of(unit, one) for one, _, _ in lives] == ["destroying"] * len(CASES)
    assert len(await unit.facts(EphemeralWalletDestroying)) == len(CASES)


async def test_what_is_opened_while_it_is_being_destroyed_holds_the_certificate(
    unit: ServiceUnderTest, life: Any
) -> None:
    lives = [(type(life)(), uuid4(), case) for case in CASES]
    for one, _, _ in lives:
        await unit.receives(one.issued(), one.voided())
    await fire(unit, "wallet.watch")
    for one, matter, (_, _, begun, _) in lives:
        await unit.receives(*(said(one, kind, matter) for kind in begun))
        await unit.receives(one.secrets_destroyed(), one.balance())
    assert [await state_of(unit, one) for one, _, _ in lives] == ["destroying"] * len(CASES)
    for one, matter, (_, field, _, over) in lives:
        await unit.receives(*(said(one, kind, matter) for kind in over), one.balance())
        destroyed = (await unit.facts(EphemeralWalletDestroyed))[-1]
        assert destroyed.wallet_id == one.wallet_id
        assert getattr(destroyed.certificate.body.guard, field) == 0


async def test_doubled_and_shuffled_news_end_alike_and_ends_stay(
    unit: ServiceUnderTest, life: Any
) -> None:
    refund, dispute = uuid4(), uuid4()
    news = [
        said(life, kind, matter)
        for kind, matter in (
            (RefundRequested, refund),
            (RefundSucceeded, refund),
            (PaymentDisputed, dispute),
            (PaymentDisputeClosed, dispute),
        )
    ] * 2
    random.Random(3).shuffle(news)
    await unit.receives(life.issued(), life.voided())
    for fact in news:
        await unit.receives(fact)
    await fire(unit, "wallet.watch")
    assert await state_of(unit, life) == "destroying"


@given(st.integers(0, 5))
def test_an_invoice_that_got_nothing_of_a_capture_waits_for_nothing(minor: int) -> None:
    captured = Amount(amount_minor=minor, asset="USD")
    fact = sample(PaymentCaptured).model_copy(update={"captured": captured})
    found = matter_of(fact)
    assert (found is not None and found.kind is Kind.PAYMENT and found.ended) is (minor == 0)
