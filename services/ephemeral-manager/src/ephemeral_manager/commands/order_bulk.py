"""Take bulk orders in: each is stored whole, and its rows are worked off later."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from ephemeral_manager.domain.bulk import Job, Row, RowState
from ephemeral_manager.errors import BulkQuotaExceeded
from ephemeral_manager.settings import settings
from ephemeral_manager.store import bulk as store
from messaging import Refusal, RetryLater, Timer, Tx, failpoint

ROWS = "bulk.rows"
"""Kind of the timer that works an order off."""
TRIES = 3


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it was read; its rows have no invoice ids yet that mean anything."""

    tenant_id: UUID
    actor: str
    rows: tuple[Row, ...]


async def order_bulk(tx: Tx, orders: Sequence[Order]) -> list[Job | Refusal]:
    """Store each order that its tenant's limit leaves room for; the order, or why not.

    A reference that is taken makes nothing new: the same row again shows the first one's wallet,
    another row under it is a conflict.
    """
    await store.lock_tenants(tx, [order.tenant_id for order in orders])
    open_rows = Counter(await store.count_open_rows(tx, [order.tenant_id for order in orders]))
    outcomes: list[Job | Refusal] = []
    jobs: list[tuple[Job, Order]] = []
    for order in orders:
        limit, total = settings().bulk_open_rows_max, len(order.rows)
        if open_rows[order.tenant_id] + total > limit:
            outcomes.append(BulkQuotaExceeded(limit=limit, open=open_rows[order.tenant_id]))
            continue
        open_rows[order.tenant_id] += total
        job = Job(
            tenant_id=order.tenant_id,
            id=tx.new_id(),
            ordered_by=order.actor,
            total=total,
            counts={RowState.WAITING: total},
            created_at=tx.now,
        )
        jobs.append((job, order))
        outcomes.append(job)
    if not jobs:
        return outcomes
    await store.insert_jobs(tx, [job for job, _ in jobs])
    states = await _insert(tx, [(job, row) for job, order in jobs for row in order.rows])
    stored = {job.id: _counted(job, states[job.id], tx) for job, _ in jobs}
    await store.update_jobs(tx, list(stored.values()))
    failpoint("bulk.ordered")
    tx.schedule(
        Timer(ROWS, str(job.id), job.tenant_id, tx.now) for job in stored.values() if job.open_rows
    )
    return [stored[item.id] if isinstance(item, Job) else item for item in outcomes]


def _counted(job: Job, states: Counter[RowState], tx: Tx) -> Job:
    return replace(job, counts=dict(states)).ended(tx.now)


async def _insert(tx: Tx, rows: Sequence[tuple[Job, Row]]) -> dict[UUID, Counter[RowState]]:
    """Insert each row, waiting, or as what it is beside the row that has its reference.

    Raises `RetryLater` where others free and take these references at this moment.
    """
    states: dict[UUID, Counter[RowState]] = {job.id: Counter() for job, _ in rows}
    pending = list(rows)
    for _ in range(TRIES):
        waiting = [(job, row, RowState.WAITING, None) for job, row in pending]
        new = await store.insert_rows(tx, waiting)
        taken = [(job, row) for job, row in pending if (job.id, row.position) not in new]
        for job_id, _ in new:
            states[job_id][RowState.WAITING] += 1
        if not taken:
            return states
        owners = await store.select_owners(tx, [(j.tenant_id, r.reference) for j, r in taken])
        known = [(j, r) for j, r in taken if (j.tenant_id, r.reference) in owners]
        beside = [_beside(job, row, *owners[job.tenant_id, row.reference]) for job, row in known]
        await store.insert_rows(tx, beside)
        for job, _, state, _ in beside:
            states[job.id][state] += 1
        pending = [(j, r) for j, r in taken if (j.tenant_id, r.reference) not in owners]
        if not pending:
            return states
    raise RetryLater


def _beside(
    job: Job, row: Row, invoice_id: UUID, terms_hash: bytes
) -> tuple[Job, Row, RowState, str | None]:
    shown = replace(row, invoice_id=invoice_id)
    if terms_hash == row.terms_hash:
        return job, shown, RowState.REPEATED, None
    return job, shown, RowState.CONFLICTING, "reference_reused"
