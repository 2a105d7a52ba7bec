"""People agree to money that is to leave, or refuse it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from invoiceos_contracts import Amount, Event
from invoiceos_contracts.payout_v1 import PayoutBatchApproved
from messaging import Refusal, Tx
from provider_orchestrator.commands.end_disbursements import save_ended
from provider_orchestrator.domain.approvals import Asked
from provider_orchestrator.domain.disbursements import Disbursement, approved, canceled
from provider_orchestrator.errors import (
    DisbursementNotFound,
    LinesDiffer,
    NotAnApprover,
    NotAwaitingApproval,
    OwnRequest,
)
from provider_orchestrator.store import approvals as store
from provider_orchestrator.store import disbursements
from provider_orchestrator.store.approvals import Approval, PayoutBatch


@dataclass(frozen=True, slots=True)
class Verdict:
    """Somebody agrees to a refund, a payout or a batch, or does not."""

    tenant_id: UUID
    actor: str
    id: UUID
    """Of the refund or payout; of the batch where `lines_hash` says which lines it has."""
    rejected_for: str | None = None
    """Why it must not be; None agrees."""
    lines_hash: bytes | None = None
    payment_id: UUID | None = None
    """Of a refund: the payment it must be of."""


async def decide_approvals(tx: Tx, verdicts: Sequence[Verdict]) -> list[Asked | Refusal]:
    """Count what each says once; the last that is needed sets the money going.

    Whoever repeats what they said gets the same answer. One refusal ends it.
    """
    decided = [await _decide(tx, verdict) for verdict in verdicts]
    tx.wake()
    return decided


Waiting = PayoutBatch | Disbursement


async def _decide(tx: Tx, verdict: Verdict) -> Asked | Refusal:
    key = (verdict.tenant_id, verdict.id)
    asked: Waiting | None
    if verdict.lines_hash is not None:
        asked = (await store.lock_batches(tx, [key])).get(key)
    else:
        asked = (await disbursements.lock_disbursements(tx, [key])).get(key)
        if asked is not None and asked.payment_id != verdict.payment_id:
            asked = None
    if asked is None:
        return DisbursementNotFound()
    by = (await store.approvers_of(tx, [key])).get(key, ())
    if verdict.rejected_for is None and verdict.actor in by:
        return asked
    refusal = _refusal(verdict, asked)
    if refusal is not None:
        return refusal
    if verdict.actor in by:
        return NotAwaitingApproval("You have agreed to it")
    await store.insert_approvals(tx, [_approval(tx, verdict, asked)])
    if verdict.rejected_for is not None:
        return await _reject(tx, asked, verdict)
    return await _count(tx, asked, (*by, verdict.actor))


def _refusal(verdict: Verdict, asked: Waiting) -> Refusal | None:
    waits = asked.state == "requested" and asked.approvals_given < asked.approvals_needed
    if isinstance(asked, Disbursement) and asked.batch_id is not None:
        return NotAwaitingApproval("It is a line of a batch: agree to the batch")
    if not waits:
        return NotAwaitingApproval(f"It is {asked.state}")
    if asked.requested_by == verdict.actor:
        return OwnRequest()
    if asked.approvers and verdict.actor not in asked.approvers:
        return NotAnApprover()
    if isinstance(asked, PayoutBatch) and asked.lines_hash != verdict.lines_hash:
        return LinesDiffer()
    return None


def _approval(tx: Tx, verdict: Verdict, asked: Waiting) -> Approval:
    batch = isinstance(asked, PayoutBatch)
    return Approval(
        tenant_id=asked.tenant_id,
        id=tx.new_id(),
        disbursement_id=None if batch else asked.id,
        batch_id=asked.id if batch else None,
        lines_hash=asked.lines_hash if isinstance(asked, PayoutBatch) else None,
        requested_by=asked.requested_by,
        approver=verdict.actor,
        verdict="approved" if verdict.rejected_for is None else "rejected",
        reason=verdict.rejected_for,
    )


async def _count(tx: Tx, asked: Waiting, by: tuple[str, ...]) -> Asked:
    """One more has agreed."""
    after = replace(asked, approvals_given=len(by))
    enough = after.approvals_given >= after.approvals_needed
    if isinstance(after, Disbursement):
        facts: list[Event] = []
        if enough:
            after, facts = approved(after, by, tx.now)
        await disbursements.update_disbursements(tx, [after])
        tx.stage(facts)
        return after
    if not enough:
        await store.update_batches(tx, [after])
        return after
    after = replace(after, state="approved")
    await store.update_batches(tx, [after])
    tx.stage([_batch_approved(after, by)])
    key = (after.tenant_id, after.id)
    steps = [approved(line, by, tx.now) for line in await disbursements.lock_lines(tx, [key])]
    await disbursements.update_disbursements(tx, [line for line, facts in steps if facts])
    tx.stage(fact for _, facts in steps for fact in facts)
    return after


def _batch_approved(batch: PayoutBatch, by: tuple[str, ...]) -> PayoutBatchApproved:
    return PayoutBatchApproved(
        tenant_id=batch.tenant_id,
        batch_id=batch.id,
        lines=batch.lines,
        totals=tuple(Amount(amount_minor=m, asset=asset) for asset, m in batch.totals.items()),
        approved_by=by,
    )


async def _reject(tx: Tx, asked: Waiting, verdict: Verdict) -> Asked:
    """It must not be: whatever waits of it is given up."""
    key = (asked.tenant_id, asked.id)
    if isinstance(asked, Disbursement):
        after, facts = canceled(asked, "rejected", verdict.actor)
        await save_ended(tx, [(asked, after)], {})
        tx.stage(facts)
        return after
    lines = await disbursements.lock_lines(tx, [key])
    steps = [(line, canceled(line, "rejected", verdict.actor)) for line in lines]
    changed = [(line, after) for line, (after, facts) in steps if facts]
    left = asked.lines - asked.succeeded - asked.failed - asked.canceled
    assert len(changed) == left, "nothing of a batch goes out before it is agreed to"
    ended = replace(asked, state="rejected", canceled=asked.canceled + left)
    await store.update_batches(tx, [ended])
    await save_ended(tx, changed, {})
    tx.stage(fact for _, (_, facts) in steps for fact in facts)
    return ended
