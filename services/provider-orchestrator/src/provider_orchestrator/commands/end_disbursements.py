"""What the end of refunds and payouts leads to: payments count less, batches are done."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from invoiceos_contracts import Amount
from invoiceos_contracts.payout_v1 import PayoutBatchCompleted
from messaging import Tx
from provider_orchestrator.domain.disbursements import Disbursement, State
from provider_orchestrator.store import approvals, disbursements
from provider_orchestrator.store.approvals import PayoutBatch

GIVEN_UP = frozenset({State.FAILED, State.CANCELED})
Batches = Mapping[tuple[UUID, UUID], PayoutBatch]


async def lock_around(
    tx: Tx, keys: Sequence[tuple[UUID, UUID]]
) -> tuple[Batches, dict[tuple[UUID, UUID], Disbursement]]:
    """Lock refunds and payouts, and before them what their end changes too: one order for all."""
    batches = await approvals.lock_batches(tx, await disbursements.batches_of(tx, keys))
    return batches, await disbursements.lock_disbursements(tx, keys)


async def save_ended(
    tx: Tx,
    changed: Sequence[tuple[Disbursement, Disbursement]],
    batches: Batches,
) -> None:
    """Write what became of locked ones; each is as it was and as it is.

    The batches must hold those of all that end here, locked.
    """
    await disbursements.update_disbursements(tx, [after for _, after in changed])
    ended = [after for before, after in changed if after.is_ended and not before.is_ended]
    returned = [
        (one.tenant_id, one.payment_id, -one.amount_minor)
        for one in ended
        if one.payment_id is not None and one.state in GIVEN_UP
    ]
    if returned:
        await disbursements.add_given_back(tx, returned)
    by_batch = Counter(
        (one.tenant_id, one.batch_id, one.state) for one in ended if one.batch_id is not None
    )
    news = [
        _counted(batch, {state: by_batch[(*key, state)] for state in State})
        for key, batch in batches.items()
        if any(by_batch[(*key, state)] for state in State)
    ]
    if news:
        await approvals.update_batches(tx, news)
    tx.stage(_completed(batch) for batch in news if batch.state == "completed")


def _counted(batch: PayoutBatch, ended: Mapping[State, int]) -> PayoutBatch:
    after = replace(
        batch,
        succeeded=batch.succeeded + ended[State.SUCCEEDED],
        failed=batch.failed + ended[State.FAILED],
        canceled=batch.canceled + ended[State.CANCELED],
    )
    if not after.is_ended or after.state == "rejected":
        return after
    return replace(after, state="completed")


def _completed(batch: PayoutBatch) -> PayoutBatchCompleted:
    return PayoutBatchCompleted(
        tenant_id=batch.tenant_id,
        batch_id=batch.id,
        lines=batch.lines,
        totals=tuple(Amount(amount_minor=m, asset=asset) for asset, m in batch.totals.items()),
        succeeded=batch.succeeded,
        failed=batch.failed,
        canceled=batch.canceled,
    )
