"""Bulk orders: what a row asks for, how many rows stand where, and when an order is over."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from invoiceos_contracts import Amount
from invoiceos_contracts.bulk_v1 import BulkRowRequested

ROWS_MAX = 10_000
"""Rows of one order."""


class RowState(StrEnum):
    """Where a row stands."""

    WAITING = "waiting"
    REQUESTED = "requested"
    READY = "ready"
    FAILED = "failed"
    """The invoice was made and no rail could serve it; it becomes ready if it is issued again."""
    REFUSED = "refused"
    """No invoice was made; the reference is free again."""
    CANCELLED = "cancelled"
    REPEATED = "repeated"
    """The same row was ordered before: the wallet is that of the first."""
    CONFLICTING = "conflicting"
    """The reference was used before for something else: nothing was made."""


class JobState(StrEnum):
    """Where an order stands."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    """What was not begun is called off; what was begun goes on to its end."""
    DONE = "done"
    CANCELLED = "cancelled"


OVER = frozenset({JobState.DONE, JobState.CANCELLED})
OPEN = (RowState.WAITING, RowState.REQUESTED)
NEXT: Mapping[RowState, frozenset[RowState]] = {
    RowState.WAITING: frozenset({RowState.REQUESTED, RowState.CANCELLED}),
    RowState.REQUESTED: frozenset({RowState.READY, RowState.FAILED, RowState.REFUSED}),
    RowState.FAILED: frozenset({RowState.READY}),
}
"""The steps there are; a state that is not named is the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of an order."""

    position: int
    reference: str
    invoice_id: UUID
    terms_hash: bytes
    """Of the row as it was sent: two rows with one reference are the same if these are."""
    amount: Amount
    description: str
    due_at: datetime
    customer_id: UUID | None
    ttl_s: int
    watch_window_s: int

    def request(self, job: "Job") -> BulkRowRequested:
        """What is asked of the invoice service."""
        return BulkRowRequested(
            tenant_id=job.tenant_id,
            invoice_id=self.invoice_id,
            job_id=job.id,
            reference=self.reference,
            amount=self.amount,
            description=self.description,
            due_at=self.due_at,
            customer_id=self.customer_id,
            ttl_s=self.ttl_s,
            watch_window_s=self.watch_window_s,
            bulk_size=job.total,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An order; its rows are kept apart, here is how many of them stand where."""

    tenant_id: UUID
    id: UUID
    state: JobState = JobState.RUNNING
    ordered_by: str
    cancelled_by: str | None = None
    total: int
    counts: Mapping[RowState, int]
    created_at: datetime
    finished_at: datetime | None = None
    version: int = 1

    @property
    def open_rows(self) -> int:
        """Rows that have not come to their end."""
        return sum(self.counts.get(state, 0) for state in OPEN)

    def moved(self, steps: Mapping[tuple[RowState, RowState], int], now: datetime) -> "Job":
        """The order after so many rows took these steps; over once none is left."""
        counts = Counter(self.counts)
        for (old, new), rows in steps.items():
            assert new in NEXT[old], f"a row that is {old} cannot become {new}"
            counts[old] -= rows
            counts[new] += rows
        return replace(self, counts=dict(counts), version=self.version + 1).ended(now)

    def ended(self, now: datetime) -> "Job":
        """The order, over if none of its rows is open."""
        if self.open_rows or self.state in OVER:
            return self
        state = JobState.CANCELLED if self.state is JobState.CANCELLING else JobState.DONE
        return replace(self, state=state, finished_at=now)

    def cancel(self, by: str, now: datetime) -> "Job":
        """Call off what was not begun; an order that is over stays as it is."""
        if self.state is not JobState.RUNNING:
            return self
        waiting = self.counts.get(RowState.WAITING, 0)
        calling_off = replace(self, state=JobState.CANCELLING, cancelled_by=by)
        return calling_off.moved({(RowState.WAITING, RowState.CANCELLED): waiting}, now)
