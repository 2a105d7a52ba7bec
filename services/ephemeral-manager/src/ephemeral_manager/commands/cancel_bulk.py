"""Call off what of bulk orders was not begun."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from ephemeral_manager.commands.order_bulk import ROWS
from ephemeral_manager.domain.bulk import Job
from ephemeral_manager.errors import BulkJobNotFound
from ephemeral_manager.store import bulk as store
from messaging import Refusal, Tx, failpoint


@dataclass(frozen=True, slots=True)
class Cancellation:
    """An order that is called off, and by whom."""

    tenant_id: UUID
    job_id: UUID
    actor: str


async def cancel_bulk(tx: Tx, asked: Sequence[Cancellation]) -> list[Job | Refusal]:
    """Cancel the waiting rows of each order; those already asked for go on. The order after it."""
    # Timers before orders, as the timer loop locks them: else the two could wait for each other.
    await tx.cancel(ROWS, sorted({str(item.job_id) for item in asked}))
    jobs = await store.lock_jobs(tx, {(item.tenant_id, item.job_id) for item in asked})
    before = dict(jobs)
    for item in asked:
        key = (item.tenant_id, item.job_id)
        if key in jobs:
            jobs[key] = jobs[key].cancel(item.actor, tx.now)
    changed = {key: job for key, job in jobs.items() if job != before[key]}
    if changed:
        await store.cancel_rows(tx, changed)
        await store.update_jobs(tx, list(changed.values()))
        failpoint("bulk.cancelled")
    return [jobs.get((item.tenant_id, item.job_id), BulkJobNotFound()) for item in asked]
