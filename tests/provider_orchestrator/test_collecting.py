"""Payments are collected once, whatever providers say or do not say, and whoever dies."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from bank import Bank
from collecting_kit import TENANT, Collecting, an_invoice, wanted

from invoiceos_contracts.payment_v1 import (
    PaymentConflicted,
    PaymentCreated,
    PaymentEvent,
    PaymentFailed,
    PaymentOutcomeUnknown,
    PaymentRerouted,
    PaymentSucceeded,
)
from messaging import Refusal
from provider_orchestrator.app import service
from provider_orchestrator.commands.create_intents import Part, create_intents
from provider_orchestrator.commands.follow_intents import (
    Capture,
    GiveUp,
    capture_intents,
    give_up_intents,
)
from provider_orchestrator.commands.refund_payment import RefundRequest, refund_payment
from provider_orchestrator.commands.resolve_unknown import Resolve, resolve_unknown
from provider_orchestrator.domain.adapters import Status
from provider_orchestrator.domain.intents import IntentState
from provider_orchestrator.workers.settling import seek_deposits
from testkit.databases import ServiceDatabase
from testkit.service import under_test


@pytest.fixture
async def collecting(place: ServiceDatabase) -> AsyncIterator[Collecting]:
    async with under_test(service, place) as unit:
        yield Collecting(unit, [Bank("alpha"), Bank("beta")])


def taken(collecting: Collecting) -> int:
    return sum(bank.taken() for bank in collecting.banks)


async def begun(collecting: Collecting, **more: Any) -> Any:
    invoice = an_invoice()
    await collecting.unit.receives(invoice)
    return await collecting.create(invoice, **more)


def fault(collecting: Collecting, *faults: str) -> None:
    """Whichever is chosen first meets these."""
    shared = list(faults)
    for bank in collecting.banks:
        bank.faults = shared


async def test_a_card_payment_becomes_a_payment_of_its_invoice(collecting: Collecting) -> None:
    intent = await begun(collecting)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "succeeded"
    (said,) = await collecting.unit.facts(PaymentSucceeded)
    assert (said.payment_id, said.intent_id) == (intent.shares[0].payment_id, intent.id)
    assert (said.amount.amount_minor, said.held_at, said.chain) == (1250, "clearing", None)
    (kept,) = await collecting.payments()
    assert (kept["amount_minor"], kept["fee_minor"], kept["chain_id"]) == (1250, 30, None)
    assert taken(collecting) == 1250
    (stored,) = await collecting.unit.worker.fetch("select * from payment_attempt")
    assert stored["prepared"] == b"prepared"
    assert stored["decision_id"] is not None


async def test_an_invoice_has_one_payment_under_way(collecting: Collecting) -> None:
    invoice = an_invoice()
    await collecting.unit.receives(invoice)
    first, second = await collecting.unit.command(create_intents, wanted(invoice), wanted(invoice))
    third = await collecting.create(invoice)
    assert not isinstance(first, Refusal)
    assert [second.code, third.code] == ["payment_under_way"] * 2
    await collecting.work()
    assert len(await collecting.unit.facts(PaymentCreated)) == 1


async def test_only_what_is_asked_for_can_be_paid(collecting: Collecting) -> None:
    invoice = an_invoice()
    unknown = await collecting.create(invoice)
    await collecting.unit.receives(invoice)
    more = await collecting.create(invoice, parts=(Part(invoice.invoice_id, 1251),))
    assert [unknown.code, more.code] == ["invoice_not_found", "amount_above_due"]


async def test_one_payment_over_two_invoices(collecting: Collecting) -> None:
    first, second = an_invoice(1000), an_invoice(500)
    await collecting.unit.receives(first, second)
    await collecting.create(first, second)
    await collecting.work()
    said = await collecting.unit.facts(PaymentSucceeded)
    assert [(one.invoice_id, one.amount.amount_minor) for one in said] == [
        (first.invoice_id, 1000),
        (second.invoice_id, 500),
    ]
    assert len({one.provider_reference for one in said}) == 2
    assert taken(collecting) == 1500


async def test_the_share_of_one_invoice_is_given_back_from_the_capture_of_all(
    collecting: Collecting,
) -> None:
    first, second = an_invoice(1000), an_invoice(500)
    await collecting.unit.receives(first, second)
    await collecting.create(first, second)
    await collecting.work()
    payments = await collecting.payments()
    captured = await collecting.unit.worker.fetchval(
        "select provider_reference from payment_attempt where captured_minor = 1500"
    )
    asked = [
        RefundRequest(
            tenant_id=TENANT,
            payment_id=payment["id"],
            amount_minor=None,
            actor="maker",
            catalogue=[bank.can for bank in collecting.banks],
        )
        for payment in payments
    ]
    refunds = await collecting.unit.command(refund_payment, *asked)
    assert [(r.amount_minor, r.parent_reference, r.parent_minor) for r in refunds] == [
        (payment["amount_minor"], captured, 1500) for payment in payments
    ]


async def test_elsewhere_only_after_a_definite_end(collecting: Collecting) -> None:
    fault(collecting, "refused")
    intent = await begun(collecting)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "succeeded"
    assert len(await collecting.unit.facts(PaymentRerouted)) == 1
    assert {len(bank.sent) for bank in collecting.banks} == {1}
    assert taken(collecting) == 1250


async def test_a_lost_answer_is_asked_after_and_nobody_else_is_tried(
    collecting: Collecting,
) -> None:
    fault(collecting, "lost")
    intent = await begun(collecting)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "unknown"
    assert len(await collecting.unit.facts(PaymentOutcomeUnknown)) == 1
    again = await collecting.create(an_invoice(invoice_id=intent.shares[0].invoice_id))
    assert again.code == "payment_under_way"
    await collecting.pass_time(timedelta(seconds=2))
    await collecting.work()
    assert await collecting.state_of(intent.id) == "succeeded"
    assert sorted(len(bank.sent) for bank in collecting.banks) == [0, 1]
    assert taken(collecting) == 1250


async def test_what_never_arrived_is_sent_again_with_the_same_key(collecting: Collecting) -> None:
    fault(collecting, "nowhere")
    intent = await begun(collecting)
    await collecting.work()
    await collecting.pass_time(timedelta(seconds=2))
    await collecting.work()
    assert await collecting.state_of(intent.id) == "succeeded"
    (orders,) = [bank.sent for bank in collecting.banks if bank.sent]
    assert len(orders) == 2
    assert orders[0] == orders[1]


async def test_a_decline_is_an_end_and_frees_the_invoice(collecting: Collecting) -> None:
    fault(collecting, "declined")
    intent = await begun(collecting)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "failed"
    (said,) = await collecting.unit.facts(PaymentFailed)
    assert (said.cause, said.retryable) == ("card_declined", True)
    second = await collecting.create(an_invoice(invoice_id=intent.shares[0].invoice_id))
    assert not isinstance(second, Refusal)


async def test_another_amount_than_asked_for_is_a_conflict(collecting: Collecting) -> None:
    fault(collecting, "wrong_amount")
    intent = await begun(collecting)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "conflicted"
    (said,) = await collecting.unit.facts(PaymentConflicted)
    assert (said.cause, said.amount.amount_minor) == ("wrong_amount", 1249)


async def test_authorised_money_is_captured_in_part(collecting: Collecting) -> None:
    intent = await begun(collecting, manual_capture=True)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "authorized"
    await collecting.unit.command(capture_intents, Capture(TENANT, intent.id, 1000))
    await collecting.work()
    assert await collecting.state_of(intent.id) == "partially_captured"
    (said,) = await collecting.unit.facts(PaymentSucceeded)
    assert said.amount.amount_minor == taken(collecting) == 1000


async def test_authorised_money_is_given_up(collecting: Collecting) -> None:
    intent = await begun(collecting, manual_capture=True)
    await collecting.work()
    end = GiveUp(TENANT, intent.id, IntentState.VOIDED, "asked")
    await collecting.unit.command(give_up_intents, end)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "voided"
    assert taken(collecting) == 0


async def test_who_does_not_finish_on_the_page_in_time_is_given_up_there(
    collecting: Collecting,
) -> None:
    for bank in collecting.banks:
        bank.page = True
    intent = await begun(collecting)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "requires_action"
    await collecting.unit.after(timedelta(hours=2))
    await collecting.work()
    assert await collecting.state_of(intent.id) == "expired"
    for bank in collecting.banks:
        bank.pays()
    assert taken(collecting) == 0


async def test_time_is_up_again_where_the_provider_would_not_give_it_up(
    collecting: Collecting,
) -> None:
    for bank in collecting.banks:
        bank.page = True
    intent = await begun(collecting)
    await collecting.work()
    fault(collecting, "throttled")
    await collecting.unit.after(timedelta(hours=2))
    await collecting.work()
    assert await collecting.state_of(intent.id) == "requires_action"
    await collecting.unit.after(timedelta(hours=2))
    await collecting.work()
    assert await collecting.state_of(intent.id) == "expired"
    assert await collecting.unit.worker.fetchval("select count(*) from timer") == 1
    await collecting.unit.after(timedelta(hours=2))
    assert await collecting.unit.worker.fetchval("select count(*) from timer") == 0


async def test_what_could_not_be_given_up_at_once_is_given_up_when_it_can_be(
    collecting: Collecting,
) -> None:
    intent = await begun(collecting, manual_capture=True)
    await collecting.work()
    fault(collecting, "busy")
    end = GiveUp(TENANT, intent.id, IntentState.VOIDED, "asked")
    await collecting.unit.command(give_up_intents, end)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "authorized"
    await collecting.pass_time(timedelta(minutes=1))
    await collecting.work()
    assert await collecting.state_of(intent.id) == "voided"
    (sent,) = [bank.sent for bank in collecting.banks if bank.sent]
    assert sent[1] == sent[2]


async def test_money_after_the_end_is_asked_after_until_there_is_an_answer(
    collecting: Collecting,
) -> None:
    for bank in collecting.banks:
        bank.page = True
    intent = await begun(collecting)
    await collecting.work()
    await collecting.unit.after(timedelta(hours=2))
    await collecting.work()
    assert await collecting.state_of(intent.id) == "expired"
    for bank in collecting.banks:
        bank.blind = True
        for charge in bank.charges.values():
            charge.status, charge.captured_minor = Status.SUCCEEDED, 1250
    await collecting.unit.worker.pool.execute(
        "update payment_attempt set due_at = now() where kind = 'collect'"
    )
    for _ in range(3):
        await collecting.work()
        await collecting.pass_time(timedelta(hours=2))
    assert await collecting.payments() == []
    for bank in collecting.banks:
        bank.blind = False
    await collecting.work()
    (late,) = await collecting.payments()
    assert late["amount_minor"] == taken(collecting) == 1250
    waiting = "select count(*) from payment_attempt where due_at is not null"
    assert await collecting.unit.worker.fetchval(waiting) == 0


async def test_who_paid_on_the_page_just_before_it_was_given_up_has_paid(
    collecting: Collecting,
) -> None:
    for bank in collecting.banks:
        bank.page = True
    intent = await begun(collecting)
    await collecting.work()
    for bank in collecting.banks:
        bank.pays()
    end = GiveUp(TENANT, intent.id, IntentState.CANCELED, "asked")
    await collecting.unit.command(give_up_intents, end)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "succeeded"
    assert len(await collecting.payments()) == 1


async def unknown_for_a_day(collecting: Collecting) -> tuple[Any, UUID]:
    fault(collecting, "lost")
    intent = await begun(collecting)
    await collecting.work()
    for bank in collecting.banks:
        bank.blind = True
    await collecting.pass_time(timedelta(hours=25))
    await collecting.work()
    attempt = await collecting.unit.worker.fetchval("select id from payment_attempt")
    return intent, attempt


async def test_a_person_decides_what_is_unknown_for_a_day_and_late_money_is_kept(
    collecting: Collecting,
) -> None:
    intent, attempt = await unknown_for_a_day(collecting)
    assert await collecting.state_of(intent.id) == "unknown"
    said = Resolve(TENANT, attempt, False, None, None, "the bank says no", "ann")
    await collecting.unit.command(resolve_unknown, said)
    assert await collecting.state_of(intent.id) == "failed"
    for bank in collecting.banks:
        bank.blind = False
    await collecting.unit.worker.pool.execute("update payment_attempt set due_at = now()")
    await collecting.work()
    await collecting.work()
    (late,) = await collecting.payments()
    assert late["amount_minor"] == taken(collecting) == 1250
    assert late["id"] != intent.shares[0].payment_id
    assert len(await collecting.unit.facts(PaymentSucceeded)) == 1


async def test_the_same_answer_twice_is_one_payment(collecting: Collecting) -> None:
    await begun(collecting)
    await collecting.work()
    await collecting.unit.worker.pool.execute("update payment_attempt set due_at = now()")
    await collecting.work()
    assert len(await collecting.payments()) == 1
    assert len(await collecting.unit.facts(PaymentSucceeded)) == 1
    assert len(await collecting.unit.facts(PaymentEvent)) == 2


async def test_who_dies_between_sending_and_hearing_is_followed_by_a_question(
    collecting: Collecting,
) -> None:
    """The claim says sent before it is: a process that died there left nothing else behind."""
    intent = await begun(collecting)
    dying = collecting.another()
    await dying.route()
    async with collecting.unit.worker.transaction() as tx:
        (claimed,) = await dying.executor._work.claim(tx, 10)
    await dying.executor._work.call(claimed)
    await collecting.work()
    assert await collecting.state_of(intent.id) == "submitted"
    await collecting.pass_time(timedelta(minutes=4))
    await collecting.work()
    assert await collecting.state_of(intent.id) == "succeeded"
    assert taken(collecting) == 1250
    assert sum(len(bank.sent) for bank in collecting.banks) == 1


async def comes_again(collecting: Collecting, minor: int) -> None:
    """Money comes once more to what was paid already, and the collector is told to ask."""
    for bank in collecting.banks:
        for charge in bank.charges.values():
            charge.captured_minor += minor
    await asked_after(collecting)


async def asked_after(collecting: Collecting) -> None:
    await collecting.unit.worker.pool.execute("update payment_attempt set due_at = now()")
    await collecting.work()


async def test_money_that_comes_again_is_a_payment_of_its_own_each_time_and_once(
    collecting: Collecting,
) -> None:
    intent = await begun(collecting)
    await collecting.work()
    for minor in (300, 50):
        await comes_again(collecting, minor)
        await asked_after(collecting)
    payments = await collecting.payments()
    assert [one["amount_minor"] for one in payments] == [1250, 300, 50]
    assert [one["captured_from_minor"] for one in payments] == [0, 1250, 1550]
    assert sum(one["amount_minor"] for one in payments) == taken(collecting)
    assert len({one["id"] for one in payments}) == len({one["reference"] for one in payments}) == 3
    assert await collecting.state_of(intent.id) == "succeeded"
    said = await collecting.unit.facts(PaymentSucceeded)
    assert [one.amount.amount_minor for one in said] == [1250, 300, 50]
    watched = await collecting.unit.worker.fetchval("select count(*) from settlement")
    assert watched == 1


async def test_late_money_that_comes_again_is_kept_too(collecting: Collecting) -> None:
    _, attempt = await unknown_for_a_day(collecting)
    said = Resolve(TENANT, attempt, False, None, None, "the bank says no", "ann")
    await collecting.unit.command(resolve_unknown, said)
    for bank in collecting.banks:
        bank.blind = False
    await asked_after(collecting)
    await comes_again(collecting, 7)
    assert [one["amount_minor"] for one in await collecting.payments()] == [1250, 7]


class Addresses(Bank):
    """A bank that tells what came to its addresses."""

    async def deposited_since(self, since: datetime) -> dict[str, int]:
        return {str(one.order.id): one.captured_minor for one in self.charges.values()}


async def test_money_that_came_again_is_found_where_nobody_told_of_it(place: Any) -> None:
    async with under_test(service, place) as unit:
        collecting = Collecting(unit, [Addresses("circle")])
        known = {bank.name: bank for bank in collecting.banks}
        await begun(collecting)
        await collecting.work()
        assert await seek_deposits(unit.worker, known) == 0
        next(iter(collecting.banks[0].charges.values())).captured_minor += 5
        assert await seek_deposits(unit.worker, known) == 1
        await collecting.work()
        assert [one["amount_minor"] for one in await collecting.payments()] == [1250, 5]
        assert await seek_deposits(unit.worker, known) == 0
