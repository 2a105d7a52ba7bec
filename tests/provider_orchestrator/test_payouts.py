"""Payouts: agreed to by others, sent once for each line, whatever dies."""

import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from disbursement_kit import (
    Bank,
    a_batch,
    a_line,
    a_refusal,
    a_reservation,
    disburser,
    let_pass,
    states,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chassis.strict_json import BODY_BYTES_MAX, StrictRoute
from invoiceos_contracts.payout_v1 import (
    PayoutBatchApproved,
    PayoutBatchCompleted,
    PayoutBatchCreated,
    PayoutCanceled,
    PayoutFailed,
    PayoutRequested,
    PayoutSubmitted,
    PayoutSucceeded,
)
from provider_orchestrator.api import payouts
from provider_orchestrator.app import service
from provider_orchestrator.commands.decide_approvals import Verdict, decide_approvals
from provider_orchestrator.commands.request_payouts import PayoutRequest, request_payouts
from provider_orchestrator.commands.save_approval_policies import (
    ActivatePolicy,
    NewPolicy,
    activate_policies,
    save_policies,
)
from provider_orchestrator.domain.approvals import ApprovalPolicy
from provider_orchestrator.domain.destinations import ALSO_CALLED, FORMS, flaw_of, hash_of
from provider_orchestrator.domain.disbursements import Disbursement
from provider_orchestrator.providers.circle.capabilities import RAIL as CIRCLE
from provider_orchestrator.providers.paypal.capabilities import RAIL as PAYPAL
from provider_orchestrator.store.approvals import PayoutBatch
from provider_orchestrator.store.disbursements import disbursement_of
from provider_orchestrator.workers import disbursing
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

NOBODY = {"payouts": [], "otherwise_payouts": {"approvals": 0}}
TWO_OF_THREE = {"otherwise_payouts": {"approvals": 2, "approvers": ["ann", "bob", "maker"]}}


class Died(BaseException):
    """The process was killed here."""


@pytest.fixture
async def unit(place: ServiceDatabase) -> AsyncIterator[ServiceUnderTest]:
    async with under_test(service, place) as unit:
        yield unit


async def adopt(unit: ServiceUnderTest, tenant: UUID, document: object) -> None:
    policy = ApprovalPolicy.model_validate(document)
    (saved,) = await unit.command(save_policies, NewPolicy(tenant, policy, None, "owner"))
    await unit.command(activate_policies, ActivatePolicy(tenant, saved.version, "owner"))


async def ask(
    unit: ServiceUnderTest, tenant: UUID, count: int, document: object = NOBODY
) -> tuple[PayoutBatch, list[Disbursement]]:
    await adopt(unit, tenant, document)
    (batch,) = await unit.command(request_payouts, a_batch(tenant, count))
    rows = await unit.worker.fetch(
        """
        select * from disbursement where batch_id = $1 order by line
        """,
        batch.id,
    )
    known = [{k: v for k, v in row.items() if k != "updated_at"} for row in rows]
    return batch, [disbursement_of(row) for row in known]


async def test_a_batch_is_reserved_line_by_line_sent_and_completed(unit: ServiceUnderTest) -> None:
    _, lines = await ask(unit, uuid4(), 3)
    bank = Bank(script=["ok", "no"])
    await unit.receives(a_reservation(lines[0]), a_refusal(lines[1]), a_reservation(lines[2]))
    await disburser(unit, bank).step()
    assert len(await unit.facts(PayoutBatchCreated)) == 1
    assert len(await unit.facts(PayoutRequested)) == 3
    assert len(await unit.facts(PayoutSubmitted)) == 2
    (canceled,) = await unit.facts(PayoutCanceled)
    assert (canceled.cause, canceled.by) == ("insufficient_funds", None)
    assert len(await unit.facts(PayoutSucceeded, PayoutFailed)) == 2
    (done,) = await unit.facts(PayoutBatchCompleted)
    assert (done.succeeded, done.failed, done.canceled) == (1, 1, 1)


async def test_a_batch_sent_again_is_the_batch_there_is(unit: ServiceUnderTest) -> None:
    tenant = uuid4()
    first, again = await unit.command(request_payouts, a_batch(tenant, 4), a_batch(tenant, 4))
    (later,) = await unit.command(request_payouts, a_batch(tenant, 4))
    assert first.id == again.id == later.id
    (other,) = await unit.command(request_payouts, a_batch(tenant, 3))
    assert other.code == "reference_taken"
    single = PayoutRequest(tenant, "maker", [a_line("batch-0")])
    twice = PayoutRequest(tenant, "maker", [a_line("new"), a_line("new")], batch_reference="b2")
    answers = await unit.command(request_payouts, single, twice)
    assert [answer.code for answer in answers] == ["reference_taken", "invalid_payout_line"]
    assert await states(unit) == {"requested": 4}


async def test_m_of_n_agree_and_none_of_them_asked(unit: ServiceUnderTest) -> None:
    tenant = uuid4()
    batch, lines = await ask(unit, tenant, 2, TWO_OF_THREE)
    await unit.receives(*(a_reservation(line) for line in lines))

    async def says(actor: str, lines_hash: bytes = batch.lines_hash) -> str:
        verdict = Verdict(tenant, actor, batch.id, lines_hash=lines_hash)
        (answer,) = await unit.command(decide_approvals, verdict)
        return str(getattr(answer, "code", None) or answer.state)

    assert await says("maker") == "own_request"
    assert await says("eve") == "not_an_approver"
    assert await says("ann", bytes(32)) == "lines_differ"
    assert [await says("ann"), await says("ann")] == ["requested", "requested"]
    assert await disburser(unit, Bank()).step() == 0
    assert await says("bob") == "approved"
    assert await says("eve") == "not_awaiting_approval"
    bank = Bank()
    await disburser(unit, bank).step()
    (agreed,) = await unit.facts(PayoutBatchApproved)
    assert agreed.approved_by == ("ann", "bob")
    assert len(bank.paid) == 2


async def test_the_database_itself_refuses_makers_as_approvers_and_other_lines(
    unit: ServiceUnderTest,
) -> None:
    batch, (line, *_) = await ask(unit, uuid4(), 1, TWO_OF_THREE)
    insert = """
        insert into approval (tenant_id, id, batch_id, lines_hash, requested_by, approver, verdict,
                              decided_at) values ($1, $2, $3, $4, $5, $6, 'approved', now())
    """
    for hashed, maker, approver in (
        (batch.lines_hash, "maker", "maker"),
        (batch.lines_hash, "somebody", "maker"),
        (bytes(32), "maker", "ann"),
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            async with unit.api.transaction([batch.tenant_id]) as tx:
                await tx.execute(
                    insert, batch.tenant_id, uuid4(), batch.id, hashed, maker, approver
                )
    for change in ("amount_minor = 1", "destination = '{}'", "requested_by = 'eve'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await unit.worker.pool.execute(f"update disbursement set {change}")
    with pytest.raises(asyncpg.CheckViolationError):
        await unit.worker.pool.execute(
            "update disbursement set state = 'ready', next_at = now() where id = $1", line.id
        )


async def test_a_rejected_batch_is_given_up_whole(unit: ServiceUnderTest) -> None:
    tenant = uuid4()
    batch, lines = await ask(unit, tenant, 3, TWO_OF_THREE)
    await unit.receives(a_reservation(lines[0]), a_refusal(lines[1]))
    no = Verdict(tenant, "ann", batch.id, "not ours", batch.lines_hash)
    (answer,) = await unit.command(decide_approvals, no)
    assert (answer.state, answer.canceled) == ("rejected", 3)
    await unit.receives(a_reservation(lines[2]))
    assert await disburser(unit, Bank()).step() == 0
    causes = [fact.cause for fact in await unit.facts(PayoutCanceled)]
    assert sorted(causes) == ["insufficient_funds", "rejected", "rejected"]


@pytest.mark.parametrize("place_of_death", ["claimed", "answered", "recorded"])
@pytest.mark.parametrize("fate", ["ok", "lost", "slow", "dead"])
async def test_one_payout_a_line_wherever_it_dies(
    unit: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch, place_of_death: str, fate: str
) -> None:
    _, lines = await ask(unit, uuid4(), 3)
    await unit.receives(*(a_reservation(line) for line in lines))
    bank = Bank(script=[fate, "lost"])
    armed = [f"disbursement.{place_of_death}"]

    def die(name: str) -> None:
        if name in armed:
            armed.clear()
            raise Died

    monkeypatch.setattr(disbursing, "failpoint", die)
    with pytest.raises(Died):
        await disburser(unit, bank).step()
    for _ in range(6):
        await let_pass(unit)
        await disburser(unit, bank).step()
    assert await states(unit) == {"succeeded": 3}
    assert len(bank.paid) == 3
    assert all(len(keys) == 1 for keys in bank.keys.values())
    assert len(await unit.facts(PayoutSucceeded)) == 3
    assert len(await unit.facts(PayoutBatchCompleted)) == 1


async def test_what_is_provably_not_sent_is_tried_again_and_then_given_up(
    unit: ServiceUnderTest,
) -> None:
    _, lines = await ask(unit, uuid4(), 1)
    await unit.receives(a_reservation(lines[0]))
    bank = Bank(script=["dead"] * 20)
    for _ in range(10):
        await disburser(unit, bank).step()
        await let_pass(unit)
    (failed,) = await unit.facts(PayoutFailed)
    assert failed.cause == "no_connection"
    assert (bank.calls["send"], bank.paid) == (8, {})


async def test_a_payout_nobody_can_make_fails_before_anything_is_sent(
    unit: ServiceUnderTest,
) -> None:
    tenant = uuid4()
    await adopt(unit, tenant, NOBODY)
    request = PayoutRequest(tenant, "maker", [a_line("x", asset="USD")])
    (payout,) = await unit.command(request_payouts, request)
    await unit.receives(a_reservation(payout))
    await disburser(unit, Bank()).step()
    (failed,) = await unit.facts(PayoutFailed)
    assert failed.cause == "no_provider"


def test_the_highest_band_that_is_reached_counts_and_batches_are_judged_whole() -> None:
    policy = ApprovalPolicy.model_validate(
        {
            "payouts": [
                {"asset": "USD", "from_minor": 0, "approvals": 0},
                {"asset": "USD", "from_minor": 1000, "approvals": 1},
                {"asset": "USD", "from_minor": 5000, "approvals": 2, "approvers": ["a", "b"]},
            ]
        }
    )
    needed = [policy.of_payouts({"USD": minor}).approvals for minor in (999, 1000, 5000)]
    assert needed == [0, 1, 2]
    assert policy.of_payouts({"USD": 1, "EUR": 1}).approvals == 1
    assert policy.of_payouts({"USD": 5000, "EUR": 1}).approvers == ("a", "b")
    assert policy.of_refund("USD", 10**9).approvals == 0
    for wrong in (
        {"otherwise_payouts": {"approvals": 2, "approvers": ["a"]}},
        {"payouts": [{"asset": "USD", "approvals": 1}, {"asset": "USD", "approvals": 2}]},
        {"otherwise_payouts": {"approvals": 11}},
    ):
        with pytest.raises(ValidationError):
            ApprovalPolicy.model_validate(wrong)


@pytest.mark.parametrize(
    ("rail", "destination", "right"),
    [
        ("tempo", {"address": "0x" + "ab" * 20}, True),
        ("tempo", {"address": "0x" + "00" * 20}, False),
        ("tempo", {"email": "a@b.example"}, False),
        ("paypal", {"email": "a@b.example"}, True),
        ("wallet", {"email": "a@b.example"}, True),
        ("wallet", {"address": "0x" + "ab" * 20}, False),
        ("paypal", {"email": "a b@c"}, False),
        ("paypal", {"email": "a@b.example", "iban": "x"}, False),
        ("pigeon", {"address": "roof"}, False),
    ],
)
def test_destinations_are_checked_by_rail(
    rail: str, destination: dict[str, str], right: bool
) -> None:
    assert (flaw_of(rail, destination) is None) is right


def test_each_rail_that_pays_out_has_a_form_for_where_to() -> None:
    """PayPal's was called paypal, and its rail wallet: no payout could ever reach it."""
    assert {"tempo", CIRCLE, PAYPAL} <= FORMS.keys()
    assert ALSO_CALLED["paypal"] == PAYPAL


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(1, 9)), min_size=1, max_size=4))
def test_any_change_of_any_line_changes_the_hash(lines: list[tuple[str, int]]) -> None:
    made = [a_line(reference, minor) for reference, minor in lines]
    for place, (reference, minor) in enumerate(lines):
        changed = [*made[:place], a_line(reference, minor + 1), *made[place + 1 :]]
        assert hash_of(changed) != hash_of(made)
    assert hash_of([*made, a_line("more")]) != hash_of(made)


def test_a_batch_may_be_as_long_as_its_lines_and_nothing_else_of_payouts() -> None:
    limits = {
        route.path: route.body_bytes_max
        for route in (*payouts.router.routes, *payouts.batches.routes)
        if isinstance(route, StrictRoute) and "POST" in route.methods
    }
    assert {path for path, most in limits.items() if most > BODY_BYTES_MAX} == {
        "/api/v1/payout-batches"
    }
    longest = a_line(reference="r" * 100)
    fields = {"reference": longest.reference, "amount_minor": 10**18, "asset": "A" * 12}
    fields |= {"rail": "r" * 32, "destination": {"address": "0x" + "a" * 40}}
    assert len(json.dumps(fields)) * payouts.LINES_MAX < limits["/api/v1/payout-batches"]
