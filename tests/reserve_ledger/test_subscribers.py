"""Facts in, facts out, through the parser, the inbox and the transaction that run in production."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from chassis.evidence import verify
from invoiceos_contracts.ledger_v1 import (
    FundsBooked,
    FundsReversed,
    ReserveStated,
    TransactionPosted,
)
from messaging import Tx
from reserve_ledger.domain.reserve import ledger_head, signed_hash
from reserve_ledger.settings import signer
from testkit.service import ServiceUnderTest, record_of

TEN = 10_000_000
"""Ten dollars in minor units of a token: what the invoices of these tests ask for."""


async def test_a_payment_in_full_is_booked_once_however_often_it_comes(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = payer.succeeded(Tx.new_id(), TEN)
    record = record_of(paid)
    await ledger.receives(record, record, paid)
    await ledger.receives(record, paid)
    booked, posted, stated = await ledger.facts()
    assert isinstance(booked, FundsBooked)
    assert (booked.sequence, booked.template) == (1, "invoice_paid.v1")
    assert booked.applied.amount_minor == TEN
    assert (booked.excess.amount_minor, booked.fee.amount_minor) == (0, 150_000)
    assert (booked.invoice_id, booked.payment_id) == (paid.invoice_id, paid.payment_id)
    assert isinstance(posted, TransactionPosted)
    assert posted.transaction_id == booked.transaction_id
    assert [(p.account, p.amount.amount_minor) for p in posted.postings] == [
        ("1200", TEN),
        ("2100", 150_000 - TEN),
        ("4100", -150_000),
    ]
    assert isinstance(stated, ReserveStated)
    assert stated.covered
    await auditor.sound()


async def test_payments_of_one_invoice_in_one_poll_are_folded(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    invoice = Tx.new_id()
    await ledger.receives(
        payer.succeeded(invoice, 4_000_000),
        payer.succeeded(invoice, 9_000_000, asset="USDC"),
        payer.succeeded(invoice, 1),
    )
    booked = await ledger.facts(FundsBooked)
    assert [(f.template, f.applied.amount_minor, f.excess.amount_minor) for f in booked] == [
        ("invoice_paid.v1", 4_000_000, 0),
        ("invoice_overpaid.v1", 6_000_000, 3_000_000),
        ("payment_unapplied.v1", 0, 1),
    ]
    assert [f.sequence for f in booked] == [1, 2, 3]
    assert len(await ledger.facts(ReserveStated)) == 1
    await auditor.sound()


async def test_a_reverted_payment_is_reversed_exactly_and_may_succeed_again(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = payer.succeeded(Tx.new_id(), 12_000_000)
    await ledger.receives(paid)
    first = record_of(paid)
    await ledger.receives(payer.reverted(paid), payer.reverted(paid))
    assert await auditor.balances(payer.tenant_id) == {}
    (undone,) = await ledger.facts(FundsReversed)
    (booked,) = await ledger.facts(FundsBooked)
    assert undone.reverses == booked.transaction_id
    assert (undone.applied, undone.excess) == (booked.applied, booked.excess)
    assert undone.cause == "reorganisation"
    await ledger.receives(first)
    again = (await ledger.facts(FundsBooked))[-1]
    assert (again.applied, again.sequence) == (booked.applied, 3)
    await auditor.sound()


async def test_a_void_gives_what_was_applied_back_to_the_payer(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    early, late, both = Tx.new_id(), Tx.new_id(), Tx.new_id()
    await ledger.receives(payer.succeeded(early, TEN))
    await ledger.receives(payer.voided(early), payer.voided(early))
    await ledger.receives(payer.voided(late))
    await ledger.receives(payer.succeeded(late, TEN))
    await ledger.receives(payer.succeeded(both, TEN), payer.voided(both))
    assert await auditor.balances(payer.tenant_id) == {
        ("1200", "PATHUSD"): 3 * TEN,
        ("2500", "PATHUSD"): -3 * TEN,
    }
    templates = [f.template for f in await ledger.facts(TransactionPosted)]
    assert Counter(templates) == {
        "invoice_paid.v1": 2,
        "invoice_voided_reclass.v1": 2,
        "payment_unapplied.v1": 1,
    }
    await auditor.sound()


async def test_a_payment_reverted_after_the_void_leaves_nothing(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    invoice = Tx.new_id()
    paid, more = payer.succeeded(invoice, 4_000_000), payer.succeeded(invoice, TEN, asset="USDC")
    await ledger.receives(paid, more)
    await ledger.receives(payer.voided(invoice))
    await ledger.receives(payer.reverted(paid), payer.reverted(more))
    assert await auditor.balances(payer.tenant_id) == {}
    undone = await ledger.facts(FundsReversed)
    booked = await ledger.facts(FundsBooked)
    assert [f.applied for f in undone] == [f.applied for f in booked]
    assert {f.template for f in undone} == {"voided_payment_reverted.v1"}
    await auditor.sound()


async def test_what_was_not_asked_for_waits_in_suspense(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    held = payer.conflicted(Tx.new_id(), 77)
    await ledger.receives(held, held)
    assert await auditor.balances(payer.tenant_id) == {("1900", "EURC"): 77, ("2900", "EURC"): -77}
    assert await ledger.facts(FundsBooked) == []
    (stated,) = await ledger.facts(ReserveStated)
    assert stated.positions[0].reserve_minor == stated.positions[0].circulation_minor == 77
    await ledger.receives(payer.reverted(held, was_final=False))
    assert await auditor.balances(payer.tenant_id) == {}
    await auditor.sound()


async def test_a_void_that_touches_no_money_posts_nothing(
    ledger: ServiceUnderTest, payer: Any
) -> None:
    await ledger.receives(payer.voided(Tx.new_id()))
    await ledger.receives(payer.reverted(payer.succeeded(Tx.new_id(), 5)))
    assert await ledger.facts() == []


async def test_an_event_that_comes_again_after_the_inbox_forgot_it_changes_nothing(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = payer.succeeded(Tx.new_id(), TEN)
    first, undo, second = record_of(paid), record_of(payer.reverted(paid)), record_of(paid)
    for forget_after in (first, undo, second):
        await ledger.receives(forget_after)
        await ledger.worker.pool.execute("delete from inbox")
        state = await auditor.balances(payer.tenant_id)
        await ledger.receives(first)
        await ledger.worker.pool.execute("delete from inbox")
        assert await auditor.balances(payer.tenant_id) == state
    await ledger.receives(undo)
    assert len(await ledger.facts(TransactionPosted)) == 3
    await auditor.sound()


async def test_statements_are_signed_and_chained_to_each_other(
    ledger: ServiceUnderTest, new_payer: Callable[[], Any], auditor: Any
) -> None:
    for _ in range(3):
        one, other = new_payer(), new_payer()
        await ledger.receives(
            one.succeeded(Tx.new_id(), TEN), other.succeeded(Tx.new_id(), 5, asset="USDC")
        )
    stated = await ledger.facts(ReserveStated)
    assert [s.sequence for s in stated] == [1, 2, 3]
    posted = await ledger.facts(TransactionPosted)
    before = "0" * 64
    for place, statement in enumerate(stated):
        touched = [(p.tenant_id, p.hash) for p in posted[2 * place : 2 * place + 2]]
        assert statement.previous_hash == before
        assert statement.ledger_head == ledger_head(before, touched)
        over = signed_hash(statement.ledger_head, statement.positions)
        assert verify(signer().public_key, over, statement.signature)
        before = statement.ledger_head
    usd = {p.asset: p for p in stated[-1].positions}["PATHUSD"]
    assert (usd.reserve_minor, usd.own_funds_minor) == (3 * TEN, 3 * 150_000)
    assert usd.circulation_minor == 3 * (TEN - 150_000)
    await auditor.sound()


async def test_a_drift_of_one_unit_is_stated_with_the_next_batch(
    ledger: ServiceUnderTest, payer: Any
) -> None:
    await ledger.receives(payer.succeeded(Tx.new_id(), TEN))
    await ledger.worker.pool.execute(
        "update reserve_total set balance_minor = balance_minor - 1 where account = '1200'"
    )
    await ledger.receives(payer.succeeded(Tx.new_id(), TEN, asset="USDC"))
    stated = (await ledger.facts(ReserveStated))[-1]
    assert not stated.covered
    assert {p.asset: p.difference_minor for p in stated.positions} == {"PATHUSD": -1, "USDC": 0}


async def test_one_broken_payment_does_not_hold_up_the_others(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    good = [payer.succeeded(Tx.new_id(), TEN) for _ in range(4)]
    bad = payer.succeeded(Tx.new_id(), -5)
    await ledger.receives(*good[:2], bad, *good[2:])
    assert len(await ledger.facts(FundsBooked)) == 4
    dead = await ledger.worker.fetch("select reason, error from dead_letter")
    assert [row["reason"] for row in dead] == ["handler"]
    assert "negative" in dead[0]["error"]
    await auditor.sound()


def a_stream(payer: Any, chance: random.Random) -> list[Any]:
    """What happens to three invoices of a tenant: in order for each payment."""
    facts: list[list[Any]] = []
    for _ in range(3):
        invoice = Tx.new_id()
        for _ in range(chance.randint(1, 3)):
            amount = chance.choice([TEN, 3_333_333, 17_000_000])
            asset = chance.choice(["PATHUSD", "USDC", "EURC"])
            payment = Tx.new_id()
            paid = payer.succeeded(invoice, amount, asset=asset, payment_id=payment)
            held = payer.conflicted(invoice, amount, asset=asset, payment_id=payment)
            history = [paid, payer.reverted(paid), paid, payer.reverted(paid)]
            facts.append(chance.choice([history, [held, *history]])[: chance.randint(1, 5)])
        if chance.random() < 0.4:
            facts.append([payer.voided(invoice)])
    merged = []
    while any(facts):
        history = chance.choice([h for h in facts if h])
        merged.append(record_of(history.pop(0)))
    return merged


@pytest.mark.parametrize("seed", range(8))
async def test_doubled_streams_cut_anywhere_end_in_the_same_books(
    ledger: ServiceUnderTest, new_payer: Callable[[], Any], auditor: Any, seed: int
) -> None:
    chance = random.Random(seed)
    payer, twin = new_payer(), new_payer()
    stream = a_stream(payer, chance)
    chance = random.Random(seed)
    for record in a_stream(twin, chance):
        await ledger.receives(record)
    while stream:
        size = chance.randint(1, 6)
        poll, stream = stream[:size], stream[size:]
        await ledger.receives(*poll, *chance.sample(poll, len(poll)))
        await ledger.receives(*poll)
        await auditor.sound()
    assert await auditor.balances(payer.tenant_id) == await auditor.balances(twin.tenant_id)
    assert not await ledger.worker.fetch("select error from dead_letter")
