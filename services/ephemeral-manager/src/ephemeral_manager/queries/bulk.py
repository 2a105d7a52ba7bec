"""What can be read of bulk orders: progress, and results row by row."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel

from ephemeral_manager.domain.bulk import OVER, Job, JobState, RowState
from ephemeral_manager.errors import BulkJobNotFound
from ephemeral_manager.store.bulk import JOB_COLUMNS, job_of
from invoiceos_contracts.ids import BulkJobId, encode
from messaging import Database, Tx

_BY_ID = f"select {JOB_COLUMNS} from bulk_job j where j.tenant_id = $1 and j.id = $2"
_LIST = f"""
select {JOB_COLUMNS} from bulk_job j
where j.tenant_id = $1 and ($2::uuid is null or j.id < $2) order by j.id desc limit $3
"""
# A repeated row shows what became of the first row with its reference.
_RESULTS = """
select r.position, r.reference, r.state, o.state as first_state, coalesce(r.code, o.code) as code,
       case when r.state in ('waiting', 'refused', 'cancelled', 'conflicting') then null
            else r.invoice_id end as invoice_id,
       r.amount_minor, r.asset, o.number, o.wallet_id, o.rail, o.chain_id, o.address, o.memo,
       o.accepted_assets, o.payment_link, o.expires_at
from bulk_row r
left join bulk_row o on o.tenant_id = r.tenant_id and o.invoice_id = r.invoice_id
    and o.state not in ('repeated', 'conflicting') and r.state <> 'conflicting'
where r.tenant_id = $1 and r.job_id = $2 and r.position > $3 order by r.position limit $4
"""
PAGE = 1000
COLUMNS = (
    "position",
    "reference",
    "state",
    "code",
    "invoice_id",
    "number",
    "amount_minor",
    "asset",
    "wallet_id",
    "rail",
    "chain_id",
    "address",
    "memo",
    "accepted_assets",
    "payment_link",
    "expires_at",
)
"""Of a results file, in their order; more may come behind them."""
_PREFIXES = {"invoice_id": "inv", "wallet_id": "wal"}


class BulkCounts(BaseModel):
    """How many rows stand where."""

    waiting: int
    requested: int
    ready: int
    failed: int
    refused: int
    cancelled: int
    repeated: int
    conflicting: int


class BulkJobView(BaseModel):
    """A bulk order and how far it is."""

    job_id: BulkJobId
    state: JobState
    """`done` and `cancelled` are the end."""
    total: int
    counts: BulkCounts
    """`ready`: the wallet is there. `failed`: no rail could serve the invoice. `refused`: no
    invoice was made. `repeated`: the reference and row were ordered before, see its wallet there.
    `conflicting`: the reference was used for something else."""
    finished: int
    """Rows that have come to their end."""
    ordered_by: str
    cancelled_by: str | None
    created_at: datetime
    finished_at: datetime | None
    version: int
    """Grows with every change; the id of the stream's events."""

    @classmethod
    def of(cls, job: Job) -> Self:
        """The view of an order."""
        return cls(
            job_id=job.id,
            state=job.state,
            total=job.total,
            counts=BulkCounts(**{state.value: job.counts.get(state, 0) for state in RowState}),
            finished=job.total - job.open_rows,
            ordered_by=job.ordered_by,
            cancelled_by=job.cancelled_by,
            created_at=job.created_at,
            finished_at=job.finished_at,
            version=job.version,
        )

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in OVER


async def job(tx: Tx, tenant_id: UUID, job_id: UUID) -> BulkJobView:
    """One order; raises `BulkJobNotFound`."""
    row = await tx.fetchrow(_BY_ID, tenant_id, job_id)
    if row is None:
        raise BulkJobNotFound
    return BulkJobView.of(job_of(row))


async def jobs(tx: Tx, tenant_id: UUID, before: UUID | None, limit: int) -> Sequence[BulkJobView]:
    """Orders, newest first, one more than `limit` where there are more."""
    rows = await tx.fetch(_LIST, tenant_id, before, limit + 1)
    return [BulkJobView.of(job_of(row)) for row in rows]


async def results(
    database: Database, tenant_id: UUID, job_id: UUID, write: Callable[[Sequence[Any]], str]
) -> AsyncIterator[str]:
    """The rows of an order as text, a page at a time, each page as it stands when it is read."""
    position = 0
    while True:
        async with database.transaction([tenant_id]) as tx:
            rows = await tx.fetch(_RESULTS, tenant_id, job_id, position, PAGE)
        if rows:
            yield write([_result(row) for row in rows])
            position = rows[-1]["position"]
        if len(rows) < PAGE:
            return


def _result(row: Any) -> dict[str, Any]:
    found = {name: row[name] for name in COLUMNS}
    for name, prefix in _PREFIXES.items():
        found[name] = None if found[name] is None else encode(prefix, found[name])
    if found["expires_at"] is not None:
        found["expires_at"] = found["expires_at"].isoformat().replace("+00:00", "Z")
    return found


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV (RFC 4180), without the heading. Nothing in it can begin a formula."""
    text = io.StringIO()
    csv.writer(text).writerows([row[name] for name in COLUMNS] for row in rows)
    return text.getvalue()


def as_ndjson(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as one JSON object a line; the accepted assets as a list."""
    return "".join(
        json.dumps(
            row | {"accepted_assets": (row["accepted_assets"] or "").split(",")}
            if row["accepted_assets"]
            else row,
            separators=(",", ":"),
        )
        + "\n"
        for row in rows
    )


HEADING = ",".join(COLUMNS) + "\r\n"
