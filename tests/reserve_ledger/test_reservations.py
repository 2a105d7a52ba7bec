"""Money set apart for refunds and payouts: never an overdraft, answered once, back where it was."""

import random
from typing import Any
from uuid import UUID

import pytest

from invoiceos_contracts.base import Amount
from invoiceos_contracts.ledger_v1 import (
    FundsReleased,
    FundsReservationRefused,
    FundsReserved,
    ReservationEvent,
    ReservationSettled,
)
from invoiceos_contracts.payment_v1 import (
    RefundCanceled,
    RefundFailed,
    RefundRequested,
    RefundSucceeded,
)
from invoiceos_contracts.payout_v1 import PayoutFailed, PayoutRequested, PayoutSucceeded
from invoiceos_contracts.samples import sample
from messaging import Tx
from testkit.service import ServiceUnderTest, record_of

TEN = 10_000_000
NET = TEN - 150_000
"""What a payment of ten dollars leaves the merchant, the platform's fee taken off."""


def said(kind: Any, like: Any, **change: Any) -> Any:
    """The same refund or payout, as another fact says it."""
    fields = set(kind.model_fields) & set(type(like).model_fields)
    return sample(kind).model_copy(update={n: getattr(like, n) for n in fields} | change)


def a_refund(payer: Any, paid: Any, minor: int, *, source: str = "merchant") -> RefundRequested:
    return sample(RefundRequested).model_copy(
        update={
            "tenant_id": payer.tenant_id,
            "refund_id": Tx.new_id(),
            "payment_id": paid.payment_id,
            "invoice_id": paid.invoice_id,
            "amount": Amount(amount_minor=minor, asset=paid.amount.asset),
            "source": source,
        }
    )


def a_payout(tenant_id: UUID, minor: int) -> PayoutRequested:
    return sample(PayoutRequested).model_copy(
        update={
            "tenant_id": tenant_id,
            "payout_id": Tx.new_id(),
            "amount": Amount(amount_minor=minor, asset="PATHUSD"),
        }
    )


async def test_a_refund_is_set_apart_once_and_leaves_from_where_the_money_was(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = payer.succeeded(Tx.new_id(), TEN)
    wanted = a_refund(payer, paid, 4_000_000)
    await ledger.receives(wanted, paid, wanted)
    await ledger.receives(wanted)
    (reserved,) = await ledger.facts(ReservationEvent)
    assert isinstance(reserved, FundsReserved)
    assert (reserved.reservation_id, reserved.purpose) == (wanted.refund_id, "refund")
    assert (await auditor.balances(payer.tenant_id))["2400", "PATHUSD"] == -4_000_000
    done = said(RefundSucceeded, wanted, held_at="clearing", provider="stripe")
    await ledger.receives(done, done)
    await ledger.receives(done)
    assert isinstance((await ledger.facts(ReservationEvent))[-1], ReservationSettled)
    assert len(await ledger.facts(ReservationEvent)) == 2
    assert await auditor.balances(payer.tenant_id) == {
        ("1200", "PATHUSD"): TEN,
        ("1300", "PATHUSD"): -4_000_000,
        ("2100", "PATHUSD"): 4_000_000 - NET,
        ("4100", "PATHUSD"): -150_000,
    }
    at = await ledger.worker.fetchval(
        "select debit_minor - credit_minor from account where address = 'provider:stripe:clearing'"
    )
    assert at == -4_000_000
    await auditor.sound()


async def test_what_the_merchant_has_not_got_is_refused_for_good(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = payer.succeeded(Tx.new_id(), TEN)
    await ledger.receives(paid)
    first, second = a_payout(payer.tenant_id, NET), a_payout(payer.tenant_id, 1)
    await ledger.receives(first, second)
    reserved, refused = await ledger.facts(ReservationEvent)
    assert isinstance(reserved, FundsReserved)
    assert isinstance(refused, FundsReservationRefused)
    assert (refused.cause, refused.available.amount_minor) == ("insufficient_funds", 0)
    await ledger.receives(said(PayoutFailed, first), second)
    assert isinstance((await ledger.facts(ReservationEvent))[-1], FundsReleased)
    assert len(await ledger.facts(ReservationEvent)) == 3
    assert (await auditor.balances(payer.tenant_id))["2100", "PATHUSD"] == -NET
    await auditor.sound()


async def test_money_set_free_is_back_where_it_came_from(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = payer.succeeded(Tx.new_id(), TEN + 500)
    await ledger.receives(paid)
    before = await auditor.balances(payer.tenant_id)
    for wanted in (
        a_refund(payer, paid, 300, source="payer_credit"),
        a_refund(payer, paid, 5_000_000),
    ):
        await ledger.receives(wanted)
        assert await auditor.balances(payer.tenant_id) != before
        await ledger.receives(said(RefundFailed, wanted), said(RefundCanceled, wanted))
        assert await auditor.balances(payer.tenant_id) == before
    assert len(await ledger.facts(FundsReleased)) == 2
    await auditor.sound()


async def test_a_payers_credit_goes_back_to_the_payment_it_came_from_and_to_no_other(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    one, other = payer.succeeded(Tx.new_id(), TEN + 500), payer.succeeded(Tx.new_id(), TEN + 70)
    await ledger.receives(one, other)
    more = a_refund(payer, other, 71, source="payer_credit")
    parts = [a_refund(payer, one, minor, source="payer_credit") for minor in (300, 201, 200)]
    await ledger.receives(more, *parts)
    answers = await ledger.facts(ReservationEvent)
    assert [type(answer) for answer in answers] == [
        FundsReservationRefused,
        FundsReserved,
        FundsReservationRefused,
        FundsReserved,
    ]
    assert [a.available.amount_minor for a in answers if hasattr(a, "available")] == [70, 200]
    assert (await auditor.balances(payer.tenant_id))["2500", "PATHUSD"] == -70
    await auditor.sound()


async def test_money_that_was_sent_without_being_set_apart_is_put_aside_and_holds_up_nobody(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = payer.succeeded(Tx.new_id(), TEN)
    good, never = a_payout(payer.tenant_id, 5), a_payout(payer.tenant_id, 6)
    await ledger.receives(paid, good, said(PayoutSucceeded, never, held_at=None))
    assert len(await ledger.facts(FundsReserved)) == 1
    dead = await ledger.worker.fetch("select error from dead_letter")
    assert ["nothing is set apart" in row["error"] for row in dead] == [True]
    await auditor.sound()


@pytest.mark.parametrize("seed", range(2))
async def test_doubled_streams_of_payments_refunds_and_payouts_agree_with_a_plain_model(
    ledger: ServiceUnderTest, payer: Any, auditor: Any, seed: int
) -> None:
    chance = random.Random(seed)
    available, flight, treasury, open_ones = 0, 0, 0, []
    for _ in range(12):
        roll = chance.random()
        if roll < 0.4:
            facts = [payer.succeeded(Tx.new_id(), TEN)]
            available, treasury = available + NET, treasury + TEN
        elif roll < 0.75 or not open_ones:
            facts = [a_payout(payer.tenant_id, chance.randint(1, 2 * TEN))]
            minor = facts[0].amount.amount_minor
            if minor <= available:
                available, flight = available - minor, flight + minor
                open_ones.append(facts[0])
        else:
            wanted = open_ones.pop(chance.randrange(len(open_ones)))
            minor = wanted.amount.amount_minor
            flight -= minor
            if chance.random() < 0.5:
                facts, treasury = [said(PayoutSucceeded, wanted, held_at=None)], treasury - minor
            else:
                facts, available = [said(PayoutFailed, wanted)], available + minor
        records = [record_of(fact) for fact in facts]
        await ledger.receives(*records, *records, *facts)
        found = await auditor.balances(payer.tenant_id)
        assert found.get(("2100", "PATHUSD"), 0) == -available
        assert found.get(("2300", "PATHUSD"), 0) == -flight
        assert found.get(("1200", "PATHUSD"), 0) == treasury
    await auditor.sound()
    assert not await ledger.worker.fetch("select 1 from dead_letter")
