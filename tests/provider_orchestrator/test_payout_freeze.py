"""No payout begins while the reserve is frozen; what may be on its way is asked after as ever."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from disbursement_kit import Bank, a_batch, a_payment, a_refund, a_reservation, disburser, let_pass
from disbursement_kit import states as states_of

from invoiceos_contracts.ledger_v1 import ReserveBreached, ReserveFreezeLifted
from invoiceos_contracts.payout_v1 import PayoutSubmitted
from invoiceos_contracts.samples import sample
from provider_orchestrator.app import service
from provider_orchestrator.commands.refund_payment import refund_payment
from provider_orchestrator.commands.request_payouts import request_payouts
from provider_orchestrator.commands.save_approval_policies import (
    ActivatePolicy,
    NewPolicy,
    activate_policies,
    save_policies,
)
from provider_orchestrator.domain.approvals import ApprovalPolicy
from provider_orchestrator.store.disbursements import disbursement_of
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, record_of, under_test

NOBODY = {"payouts": [], "otherwise_payouts": {"approvals": 0}}


@pytest.fixture
async def unit(place: ServiceDatabase) -> AsyncIterator[ServiceUnderTest]:
    async with under_test(service, place) as unit:
        yield unit


def breached(version: int, *, frozen: bool = True) -> Any:
    fact = sample(ReserveBreached).model_copy(update={"frozen": frozen})
    return record_of(fact, version=version)


def lifted(version: int) -> Any:
    return record_of(sample(ReserveFreezeLifted), version=version)


async def payouts(unit: ServiceUnderTest, count: int) -> list[Any]:
    tenant = uuid4()
    policy = ApprovalPolicy.model_validate(NOBODY)
    (saved,) = await unit.command(save_policies, NewPolicy(tenant, policy, None, "owner"))
    await unit.command(activate_policies, ActivatePolicy(tenant, saved.version, "owner"))
    (batch,) = await unit.command(request_payouts, a_batch(tenant, count))
    rows = await unit.worker.fetch(
        "select * from disbursement where batch_id = $1 order by line", batch.id
    )
    return [disbursement_of({k: v for k, v in r.items() if k != "updated_at"}) for r in rows]


async def test_payouts_wait_while_the_reserve_is_frozen_and_go_once_it_is_lifted(
    unit: ServiceUnderTest,
) -> None:
    lines = await payouts(unit, 3)
    bank = Bank(script=["slow"])
    executor = disburser(unit, bank)
    await unit.receives(breached(1, frozen=False), a_reservation(lines[0]))
    await executor.step()
    assert bank.calls["send"] == 1
    await unit.receives(breached(2), breached(2), breached(3))
    await unit.receives(a_reservation(lines[1]), a_reservation(lines[2]))
    await let_pass(unit)
    await executor.step()
    assert (bank.calls["send"], bank.calls["find"]) == (1, 1)
    assert await states_of(unit) == {"succeeded": 1, "ready": 2}
    await unit.receives(lifted(4), breached(3))
    await executor.step()
    assert bank.calls["send"] == 3
    assert await states_of(unit) == {"succeeded": 3}
    assert len(await unit.facts(PayoutSubmitted)) == 3


async def test_a_refund_is_owed_to_its_payer_and_is_not_held(unit: ServiceUnderTest) -> None:
    payment = await a_payment(unit)
    await unit.receives(breached(1))
    (asked,) = await unit.command(refund_payment, a_refund(payment))
    await unit.receives(a_reservation(asked))
    bank = Bank(name="tempo")
    await disburser(unit, bank).step()
    assert await states_of(unit) == {"succeeded": 1}
