"""Ask for the invoices of waiting rows, so many at a time, until none waits."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from ephemeral_manager.commands.order_bulk import ROWS
from ephemeral_manager.domain.bulk import RowState
from ephemeral_manager.settings import settings
from ephemeral_manager.store import bulk as store
from messaging import Timer, Tx, failpoint

IN_FLIGHT_MAX = 2000
"""Rows of one order that are asked for and not answered, so that others' invoices pass between."""
PAUSE = timedelta(milliseconds=100)


async def request_bulk_rows(tx: Tx, timers: Sequence[Timer]) -> None:
    """Ask for the next rows of these orders: the orders share one batch evenly.

    A row is asked for in the transaction in which it stops waiting, so a death leaves either both
    or neither; asked for twice it is one invoice, for the row gave it its id.
    """
    jobs = await store.lock_jobs(tx, {(timer.tenant_id, UUID(timer.ref)) for timer in timers})
    waiting = [job for job in jobs.values() if job.counts.get(RowState.WAITING, 0)]
    ready = [job for job in waiting if job.counts.get(RowState.REQUESTED, 0) < IN_FLIGHT_MAX]
    if ready:
        each = max(1, settings().bulk_batch // len(ready))
        claimed = await store.claim_rows(tx, ready, each)
        step = (RowState.WAITING, RowState.REQUESTED)
        moved = [
            job.moved({step: len(claimed.get((job.tenant_id, job.id), ()))}, tx.now)
            for job in ready
        ]
        await store.update_jobs(tx, moved)
        tx.stage(row.request(jobs[key]) for key in sorted(claimed) for row in claimed[key])
        failpoint("bulk.rows_requested")
        jobs |= {(job.tenant_id, job.id): job for job in moved}
    begun = {job.id for job in ready}
    tx.schedule(
        Timer(ROWS, str(job.id), job.tenant_id, tx.now if job.id in begun else tx.now + PAUSE)
        for job in jobs.values()
        if job.counts.get(RowState.WAITING, 0)
    )
