"""A void or a return of money that is partly gone: never an overdraft, never a dead letter."""

import random
from typing import Any

import pytest
from tests.reserve_ledger.test_reservations import a_payout
from tests.reserve_ledger.test_settling import (
    FEE,
    TEN,
    a_refund,
    at_provider,
    available,
    books,
    closed,
    disputed,
    said,
    sound,
)

from invoiceos_contracts.base import Amount
from invoiceos_contracts.ledger_v1 import (
    FundsReservationRefused,
    FundsReserved,
    FundsReversed,
    ReservationEvent,
)
from invoiceos_contracts.payment_v1 import RefundFailed, RefundSucceeded
from invoiceos_contracts.payout_v1 import PayoutFailed, PayoutRequested, PayoutSucceeded
from messaging import Tx
from testkit.service import ServiceUnderTest, record_of


def on_chain(payer: Any, minor: int = TEN) -> Any:
    return payer.succeeded(Tx.new_id(), minor, asset="USD")


def a_payout_of(payer: Any, minor: int, held_at: str | None = None) -> PayoutRequested:
    amount = Amount(amount_minor=minor, asset="USD")
    return a_payout(payer.tenant_id, minor).model_copy(
        update={"amount": amount, "held_at": held_at}
    )


def sent(wanted: Any) -> Any:
    kind = PayoutSucceeded if isinstance(wanted, PayoutRequested) else RefundSucceeded
    return said(kind, wanted, held_at=None)


async def test_a_void_after_a_partial_refund_gives_the_payer_the_rest_and_no_more(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = on_chain(payer)
    wanted = a_refund(paid, 300)
    await ledger.receives(paid, wanted, sent(wanted))
    await ledger.receives(payer.voided(paid.invoice_id))
    assert await books(auditor, payer.tenant_id) == {"1200": 700, "2500": -700}
    too_much, rest = a_refund(paid, 701, "payer_credit"), a_refund(paid, 700, "payer_credit")
    await ledger.receives(too_much, rest, sent(rest))
    assert [type(fact) for fact in await ledger.facts(ReservationEvent)][2:4] == [
        FundsReservationRefused,
        FundsReserved,
    ]
    assert await books(auditor, payer.tenant_id) == {}
    await sound(ledger, auditor)


async def test_a_void_cannot_give_the_payer_what_the_merchant_has_spent(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid, away = on_chain(payer), a_payout_of(payer, 500)
    await ledger.receives(paid, away)
    await ledger.receives(payer.voided(paid.invoice_id))
    assert await books(auditor, payer.tenant_id) == {"1200": TEN, "2300": -500, "2500": -500}
    await ledger.receives(said(PayoutFailed, away))
    await ledger.receives(a_refund(paid, 501, "payer_credit"))
    assert isinstance((await ledger.facts(ReservationEvent))[-1], FundsReservationRefused)
    await sound(ledger, auditor)


async def test_a_refund_that_fails_after_the_void_is_the_payers_and_can_go_back_at_once(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = on_chain(payer)
    wanted, again = a_refund(paid, 300), a_refund(paid, TEN, "payer_credit")
    await ledger.receives(paid, wanted)
    await ledger.receives(payer.voided(paid.invoice_id))
    assert await books(auditor, payer.tenant_id) == {"1200": TEN, "2400": -300, "2500": -700}
    await ledger.receives(said(RefundFailed, wanted), again)
    assert await books(auditor, payer.tenant_id) == {"1200": TEN, "2400": -TEN}
    await sound(ledger, auditor)


async def test_a_return_after_refunds_and_payouts_is_borne_by_the_merchant_then_the_platform(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid, other = on_chain(payer, TEN + 100), on_chain(payer)
    back, credit = a_refund(paid, 300), a_refund(paid, 60, "payer_credit")
    away = a_payout_of(payer, 2 * (TEN - FEE) - 300)
    await ledger.receives(paid, other, back, credit, away)
    await ledger.receives(sent(back), sent(credit))
    assert (await books(auditor, payer.tenant_id)).get("2100", 0) == 0
    await ledger.receives(payer.reverted(paid))
    found = await books(auditor, payer.tenant_id)
    assert (found["5300"], found.get("2100", 0), found.get("2500", 0)) == (TEN - FEE + 60, 0, 0)
    assert len(await ledger.facts(FundsReversed)) == 1
    await sound_but_for_the_treasury(ledger, auditor)
    await ledger.receives(said(PayoutFailed, away))
    await sound_but_for_the_treasury(ledger, auditor)


async def sound_but_for_the_treasury(ledger: ServiceUnderTest, auditor: Any) -> None:
    """A chain that takes back what was paid out leaves less than nothing: the auditor tells."""
    await auditor.sound()
    assert not await ledger.worker.fetch("select error from dead_letter")


async def test_a_return_of_what_a_provider_clears_covers_what_was_refunded_of_it(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid, other = at_provider(payer), at_provider(payer)
    back = a_refund(paid, 400)
    await ledger.receives(paid, other, available(other), back)
    await ledger.receives(payer.reverted(paid))
    assert await books(auditor, payer.tenant_id) == {
        "1300": TEN,
        "2100": 400 - (TEN - FEE),
        "2400": -400,
        "4100": -FEE,
    }
    await ledger.receives(said(RefundFailed, back))
    assert (await books(auditor, payer.tenant_id))["2100"] == FEE - TEN
    await sound(ledger, auditor)


async def test_what_fails_after_a_return_makes_good_the_platforms_loss_first(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = at_provider(payer)
    back = a_refund(paid, 400)
    await ledger.receives(paid, back)
    await ledger.receives(payer.reverted(paid))
    assert await books(auditor, payer.tenant_id) == {"2400": -400, "5300": 400}
    await ledger.receives(said(RefundFailed, back))
    assert await books(auditor, payer.tenant_id) == {}
    await sound(ledger, auditor)


async def test_a_dispute_won_after_the_void_is_the_payers(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid, dispute = at_provider(payer), Tx.new_id()
    await ledger.receives(paid, available(paid), disputed(paid, 400, dispute))
    await ledger.receives(payer.voided(paid.invoice_id))
    assert await books(auditor, payer.tenant_id) == {"1300": 600, "2500": -600}
    await ledger.receives(closed(paid, 400, dispute, "won"))
    assert await books(auditor, payer.tenant_id) == {"1300": TEN, "2500": -TEN}
    await sound(ledger, auditor)


@pytest.mark.parametrize("seed", range(3))
async def test_voids_and_returns_in_any_order_with_refunds_never_end_in_a_dead_letter(
    ledger: ServiceUnderTest, payer: Any, auditor: Any, seed: int
) -> None:
    chance = random.Random(seed)
    facts: list[Any] = []
    for _ in range(6):
        paid = chance.choice((on_chain, at_provider))(payer, chance.choice([400, TEN, TEN + 250]))
        parts = [paid]
        if paid.held_at and chance.random() < 0.6:
            parts.append(available(paid))
        back = a_refund(paid, chance.randint(1, 600), chance.choice(["merchant", "payer_credit"]))
        parts += [back, said(RefundFailed, back)] if chance.random() < 0.6 else [back]
        if chance.random() < 0.5:
            parts.insert(chance.randint(1, len(parts)), payer.voided(paid.invoice_id))
        if chance.random() < 0.5:
            parts.insert(chance.randint(2, len(parts)), payer.reverted(paid))
        facts.append(parts)
    facts.append([a_payout_of(payer, chance.randint(1, 2 * TEN)) for _ in range(3)])
    while any(facts):
        line = chance.choice([one for one in facts if one])
        records = [record_of(line.pop(0)) for _ in range(min(len(line), chance.randint(1, 2)))]
        await ledger.receives(*records, *records)
    await sound(ledger, auditor)


async def test_what_lies_at_a_provider_cannot_be_paid_out_on_a_chain(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    here, there = on_chain(payer), at_provider(payer)
    first, second, third = (
        a_payout_of(payer, minor, "treasury") for minor in (600, TEN - 600, TEN - 600 + 1)
    )
    by_provider = a_payout_of(payer, 500, "clearing")
    await ledger.receives(here, there, available(there), first, third, second, by_provider)
    answers = await ledger.facts(ReservationEvent)
    assert [type(answer) for answer in answers] == [
        FundsReserved,
        FundsReservationRefused,
        FundsReserved,
        FundsReserved,
    ]
    assert (answers[1].cause, answers[1].available.amount_minor) == ("not_in_treasury", 400)
    await ledger.receives(sent(first), said(PayoutFailed, second))
    fourth, fifth = a_payout_of(payer, 401, "treasury"), a_payout_of(payer, 400, "treasury")
    await ledger.receives(fourth, fifth)
    refused, reserved = (await ledger.facts(ReservationEvent))[-2:]
    assert (refused.cause, type(reserved)) == ("not_in_treasury", FundsReserved)
    await ledger.receives(sent(fifth))
    assert (await books(auditor, payer.tenant_id)).get("1200", 0) == 0
    await sound(ledger, auditor)
