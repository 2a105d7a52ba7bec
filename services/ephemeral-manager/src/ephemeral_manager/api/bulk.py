"""Bulk orders over HTTP: order, progress as a resource and as a stream, cancel, results."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field, StringConstraints, model_validator

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, etag, page
from chassis.inputs import Input, Moment, ShortText
from chassis.strict_json import BulkRoute
from ephemeral_manager.commands.cancel_bulk import Cancellation, cancel_bulk
from ephemeral_manager.commands.order_bulk import Order, order_bulk
from ephemeral_manager.domain.bulk import ROWS_MAX, Job, Row
from ephemeral_manager.errors import TooManyStreams
from ephemeral_manager.queries import bulk as queries
from ephemeral_manager.queries.bulk import BulkJobView
from ephemeral_manager.settings import settings
from invoiceos_contracts import Amount
from invoiceos_contracts.base import MAX_MINOR
from invoiceos_contracts.ids import BulkJobId, CustomerId
from messaging import Database, Tx
from money import ASSETS

router = APIRouter(route_class=BulkRoute, tags=["bulk orders"])
Reader = Annotated[Caller, Depends(needs("wallets:read"))]
Orderer = Annotated[Caller, Depends(needs("invoices:write"))]
"""Each row is an invoice, as `POST /api/v1/invoices` makes one."""
BULK = "/api/v1/wallets/ephemeral/bulk"
WEEK_S = 7 * 24 * 3600
YEAR_S = 366 * 24 * 3600
STREAM_LOOK_S = 0.5
STREAM_BEAT_S = 15.0
STREAM_S_MAX = 600.0
"""A stream ends then, and its reader comes again with `Last-Event-ID`."""
Reference = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/#-]{0,99}$")
]


class BulkAmount(Input):
    """What is to be paid."""

    amount_minor: Annotated[int, Field(strict=True, ge=1, le=MAX_MINOR)]
    asset: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2,11}$", examples=["USD"])]

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.asset not in ASSETS:
            raise ValueError("the asset is no currency or token that is known")
        return self


class BulkRow(Input):
    """One invoice with an ephemeral wallet of its own."""

    reference: Reference
    """Your own name for it, unique for good: the same row again makes no second invoice."""
    amount: BulkAmount
    description: ShortText | None = None
    """The invoice's one line; the reference where it is not given."""
    due_at: Moment | None = None
    """When it is due; at the end of the wallet's time to live where it is not given."""
    customer_id: CustomerId | None = None
    ttl_s: Annotated[int, Field(strict=True, ge=60, le=10 * YEAR_S)] = WEEK_S
    """Seconds the wallet takes money."""
    watch_window_s: Annotated[int, Field(strict=True, ge=1, le=YEAR_S)] = WEEK_S
    """Seconds it is watched for late money before it is destroyed."""

    def row(self, position: int, now: datetime) -> Row:
        """As the domain takes it, with the id its invoice will have."""
        return Row(
            position=position,
            reference=self.reference,
            invoice_id=Tx.new_id(),
            terms_hash=hashlib.sha256(self.model_dump_json().encode()).digest(),
            amount=Amount(amount_minor=self.amount.amount_minor, asset=self.amount.asset),
            description=self.description or self.reference,
            due_at=self.due_at or now + timedelta(seconds=self.ttl_s),
            customer_id=self.customer_id,
            ttl_s=self.ttl_s,
            watch_window_s=self.watch_window_s,
        )


class BulkOrder(Input):
    """Invoices with ephemeral wallets, up to 10,000. One row that is not valid refuses them all."""

    rows: Annotated[tuple[BulkRow, ...], Field(min_length=1, max_length=ROWS_MAX)]

    @model_validator(mode="after")
    def _references_once(self) -> Self:
        if len({row.reference for row in self.rows}) != len(self.rows):
            raise ValueError("a reference is given twice")
        return self


class ResultsFormat(StrEnum):
    """How results are written."""

    CSV = "csv"
    NDJSON = "ndjson"


@router.post(BULK, status_code=202, response_model=BulkJobView)
async def post_order(body: BulkOrder, caller: Orderer, write: Writing) -> Response:
    """Order invoices of one line with ephemeral wallets; they are made batch by batch."""
    now = datetime.now(UTC)
    rows = tuple(row.row(position, now) for position, row in enumerate(body.rows, 1))
    return await write(
        order_bulk,
        Order(caller.tenant_id, caller.actor, rows),
        answer=BulkJobView.of,
        status=202,
        headers=_ordered,
    )


@router.get(BULK, response_model=Page[BulkJobView])
async def get_orders(
    caller: Reader, tx: Reading, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """Bulk orders, newest first."""
    found = await queries.jobs(tx, caller.tenant_id, after(cursor), limit)
    return page(found, limit, lambda view: view.job_id)


@router.get(BULK + "/{job_id}")
async def get_order(
    job_id: BulkJobId, caller: Reader, tx: Reading, response: Response
) -> BulkJobView:
    """One bulk order and how far it is."""
    found = await queries.job(tx, caller.tenant_id, job_id)
    response.headers.update(etag(found.version))
    return found


@router.post(BULK + "/{job_id}/cancel", response_model=BulkJobView)
async def post_cancellation(job_id: BulkJobId, caller: Orderer, write: Writing) -> Response:
    """Call off the rows that were not begun; invoices that were asked for stay."""
    asked = Cancellation(caller.tenant_id, job_id, caller.actor)
    return await write(cancel_bulk, asked, answer=BulkJobView.of, headers=_version_of)


@router.get(
    BULK + "/{job_id}/results",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}, "application/x-ndjson": {}}}},
)
async def get_results(
    job_id: BulkJobId,
    caller: Reader,
    request: Request,
    format: ResultsFormat = ResultsFormat.NDJSON,
) -> StreamingResponse:
    """Every row with its invoice and wallet as a file, also before the order is over."""
    database: Database = request.app.state.api_database
    async with database.transaction([caller.tenant_id]) as tx:
        await queries.job(tx, caller.tenant_id, job_id)
    is_csv = format is ResultsFormat.CSV
    write = queries.as_csv if is_csv else queries.as_ndjson
    lines = queries.results(database, caller.tenant_id, job_id, write)
    return StreamingResponse(
        _with_heading(lines) if is_csv else lines,
        media_type="text/csv" if is_csv else "application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="results.{format}"'},
    )


async def _with_heading(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    yield queries.HEADING
    async for part in lines:
        yield part


@router.get(
    BULK + "/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def get_events(job_id: BulkJobId, caller: Reader, request: Request) -> StreamingResponse:
    """Progress as server-sent events: `progress` at each change, `over` at the end."""
    database: Database = request.app.state.api_database
    streams = _streams.setdefault(database, set())
    if len(streams) >= settings().bulk_streams_max:
        raise TooManyStreams
    async with database.transaction([caller.tenant_id]) as tx:
        first = await queries.job(tx, caller.tenant_id, job_id)
    events = _events(database, caller, first, request.headers.get("last-event-id", ""))
    return StreamingResponse(
        _counted(events, streams),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


_streams: WeakKeyDictionary[Database, set[object]] = WeakKeyDictionary()


async def _counted(events: AsyncIterator[str], streams: set[object]) -> AsyncIterator[str]:
    mark = object()
    streams.add(mark)
    try:
        async for event in events:
            yield event
    finally:
        streams.discard(mark)


async def _events(
    database: Database, caller: Caller, job: BulkJobView, seen: str
) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    ends, beat = clock() + STREAM_S_MAX, clock() + STREAM_BEAT_S
    while clock() < ends:
        if str(job.version) != seen:
            seen, beat = str(job.version), clock() + STREAM_BEAT_S
            yield _event("over" if job.is_over else "progress", job)
        elif job.is_over:
            yield _event("over", job)
        if job.is_over:
            return
        if clock() >= beat:
            beat = clock() + STREAM_BEAT_S
            yield ": still running\n\n"
        await asyncio.sleep(STREAM_LOOK_S)
        async with database.transaction([caller.tenant_id]) as tx:
            job = await queries.job(tx, caller.tenant_id, job.job_id)


def _event(name: str, job: BulkJobView) -> str:
    return f"id: {job.version}\nevent: {name}\ndata: {job.model_dump_json()}\n\n"


def _version_of(job: Job) -> dict[str, str]:
    return etag(job.version)


def _ordered(job: Job) -> dict[str, str]:
    location = BulkJobView.of(job).model_dump(mode="json")["job_id"]
    return {**etag(job.version), "Location": f"{BULK}/{location}"}
