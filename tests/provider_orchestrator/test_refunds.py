"""Refunds: never more than came, to where it came from, once."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from disbursement_kit import (
    Bank,
    a_payment,
    a_refund,
    a_refusal,
    a_reservation,
    disburser,
    given_back,
    let_pass,
    states,
)

from invoiceos_contracts import Event
from invoiceos_contracts.payment_v1 import (
    RefundApproved,
    RefundCanceled,
    RefundEvent,
    RefundFailed,
    RefundOutcomeUnknown,
    RefundRequested,
    RefundSubmitted,
    RefundSucceeded,
)
from messaging import Refusal
from provider_orchestrator.app import service
from provider_orchestrator.commands.refund_payment import refund_payment
from provider_orchestrator.domain.disbursements import Disbursement
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test


@pytest.fixture
async def unit(place: ServiceDatabase) -> AsyncIterator[ServiceUnderTest]:
    async with under_test(service, place) as unit:
        yield unit


async def said(unit: ServiceUnderTest) -> list[type[Event]]:
    return [type(fact) for fact in await unit.facts(RefundEvent)]


async def test_a_refund_is_asked_for_reserved_sent_and_done(unit: ServiceUnderTest) -> None:
    payment, bank = await a_payment(unit), Bank("tempo")
    (refund,) = await unit.command(refund_payment, a_refund(payment, 400, reason="returned"))
    assert await disburser(unit, bank).step() == 0, "nothing goes out before it is reserved"
    await unit.receives(a_reservation(refund), a_reservation(refund))
    await disburser(unit, bank).step()
    assert await said(unit) == [RefundRequested, RefundApproved, RefundSubmitted, RefundSucceeded]
    (order,) = bank.paid.values()
    assert payment.payer is not None
    assert order.destination == {"address": "0x" + payment.payer.hex()}
    assert (order.amount_minor, order.parent_minor) == (400, 1000)
    assert order.parent_reference == payment.reference
    (done,) = await unit.facts(RefundSucceeded)
    assert (done.held_at, done.provider, done.payment_id) == ("treasury", "tempo", payment.id)
    assert await given_back(unit, payment) == 400


async def test_refunds_together_never_exceed_the_payment(unit: ServiceUnderTest) -> None:
    payment = await a_payment(unit, 1000)
    asked = [a_refund(payment, amount) for amount in (600, 300, 200)]
    first, second, third = await unit.command(refund_payment, *asked)
    assert isinstance(first, Disbursement)
    assert isinstance(second, Disbursement)
    assert third.code == "refund_too_large"
    (rest,) = await unit.command(refund_payment, a_refund(payment))
    assert rest.amount_minor == 100
    (none,) = await unit.command(refund_payment, a_refund(payment))
    assert none.code == "refund_too_large"
    with pytest.raises(asyncpg.CheckViolationError):
        await unit.worker.pool.execute(
            "update payment set given_back_minor = given_back_minor + 1 where id = $1", payment.id
        )


async def test_what_was_not_given_back_can_be_asked_for_again(unit: ServiceUnderTest) -> None:
    payment, bank = await a_payment(unit, 1000), Bank("tempo", script=["no"])
    (refused,) = await unit.command(refund_payment, a_refund(payment, 1000))
    await unit.receives(a_refusal(refused), a_refusal(refused))
    assert await given_back(unit, payment) == 0
    (failed,) = await unit.command(refund_payment, a_refund(payment, 1000))
    await unit.receives(a_reservation(failed))
    await disburser(unit, bank).step()
    assert await given_back(unit, payment) == 0
    (third,) = await unit.command(refund_payment, a_refund(payment, 1000))
    await unit.receives(a_reservation(third), a_reservation(refused))
    await disburser(unit, bank).step()
    kinds = [kind for kind in await said(unit) if kind in (RefundCanceled, RefundFailed)]
    assert kinds == [RefundCanceled, RefundFailed]
    assert await states(unit) == {"canceled": 1, "failed": 1, "succeeded": 1}
    assert len(bank.paid) == 1


async def test_an_unknown_refund_is_asked_after_and_never_sent_with_another_key(
    unit: ServiceUnderTest,
) -> None:
    payment, bank = await a_payment(unit), Bank("tempo", script=["lost", "gone"], blind=True)
    (refund,) = await unit.command(refund_payment, a_refund(payment))
    await unit.receives(a_reservation(refund))
    for _ in range(3):
        await disburser(unit, bank).step()
        await let_pass(unit)
    (blocked,) = await unit.command(refund_payment, a_refund(payment, 1))
    assert blocked.code == "refund_too_large", "what may have gone is not given back again"
    bank.blind = False
    await disburser(unit, bank).step()
    assert await states(unit) == {"succeeded": 1}
    assert (await said(unit)).count(RefundOutcomeUnknown) == 1
    assert list(bank.keys.values()) == [{refund.key}]
    assert len(bank.paid) == 1


@pytest.mark.parametrize(
    ("more", "request_more", "code"),
    [
        ({"state": "conflicted", "cause": "wrong_asset"}, {}, "payment_not_refundable"),
        ({}, {"confirm_payer_address": False}, "refund_not_supported"),
        ({"payer": None}, {}, "refund_not_supported"),
        ({}, {"catalogue": []}, "refund_not_supported"),
        ({}, {"payment_id": uuid4()}, "payment_not_found"),
        ({}, {"tenant_id": uuid4()}, "payment_not_found"),
    ],
)
async def test_what_cannot_be_given_back_is_refused_with_a_reason(
    unit: ServiceUnderTest, more: dict[str, object], request_more: dict[str, object], code: str
) -> None:
    payment = await a_payment(unit, **more)
    request = a_refund(payment)
    changed = {name: getattr(request, name) for name in request.__slots__} | request_more
    (answer,) = await unit.command(refund_payment, type(request)(**changed))
    assert isinstance(answer, Refusal)
    assert answer.code == code
    assert await unit.facts() == []
