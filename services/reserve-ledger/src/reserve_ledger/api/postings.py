"""Writing to the books: transactions among a tenant's own accounts, reversals, and holds."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from chassis.auth import Caller, needs
from chassis.evidence import canonical
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, page
from chassis.inputs import Input, Moment, ShortText
from chassis.strict_json import StrictRoute
from invoiceos_contracts.base import MAX_MINOR, Shape
from invoiceos_contracts.ids import HoldId, TransactionId
from reserve_ledger.commands.hold_funds import HoldEnd, HoldRequest, end_holds, place_holds
from reserve_ledger.commands.post_for_tenants import (
    ReversalRequest,
    post_for_tenants,
    reverse_transactions,
)
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.tenant_postings import Line, PostingRequest, Written
from reserve_ledger.queries import holds as queries
from reserve_ledger.queries.holds import HoldView

router = APIRouter(route_class=StrictRoute)
Writer = Annotated[Caller, Depends(needs("ledger:write"))]
Reader = Annotated[Caller, Depends(needs("ledger:read"))]
POSTINGS_MAX = 100
Asset = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{2,11}$", strict=True)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=160, strict=True)]
Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:/@+=#-]{1,128}$", strict=True)]
Positive = Annotated[int, Field(strict=True, ge=1, le=MAX_MINOR)]


def _moves(value: int) -> int:
    if not value:
        raise ValueError("a posting of nothing is none")
    return value


Signed = Annotated[int, Field(strict=True, ge=-MAX_MINOR, le=MAX_MINOR), AfterValidator(_moves)]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$", strict=True)]


class HoldStates(StrEnum):
    """Where a hold stands."""

    HELD = "held"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


class PostingBody(Input):
    """One posting."""

    address: Address
    """For example `merchant:available:shop-7`, `escrow:order-12` or `payer:cus-9`."""
    asset: Asset
    amount_minor: Signed
    """Positive is a debit: it takes from the account. Negative is a credit: it adds to it."""


class TransactionBody(Input):
    """A transaction: all of its postings, or none."""

    reference: Reference
    """Your own name for it: there is one transaction for each, however often it is sent."""
    postings: Annotated[list[PostingBody], Field(min_length=2, max_length=POSTINGS_MAX)]
    """They sum to zero for each asset."""
    effective_at: Moment | None = None
    """When it counts, where that is not now."""
    metadata: Annotated[dict[Key, ShortText], Field(max_length=20)] | None = None
    dry_run: bool = False
    """Check it and show the balances it would lead to; nothing is posted."""


class HoldBody(Input):
    """Money to be held back."""

    reference: Reference
    """Your own name for it: there is one hold for each."""
    address: Address
    asset: Asset
    amount_minor: Positive
    expires_at: Moment | None = None
    """When it ends by itself; it never does where none is given."""


class CaptureBody(Input):
    """Where held money goes."""

    to: Address
    amount_minor: Positive | None = None
    """All of it where none is given; what is left is available again."""


class WrittenPosting(Shape):
    """One posting, with what the address holds after it."""

    account: str
    address: str
    asset: str
    amount_minor: int
    balance_minor: int
    """Debits less credits: what is owed is negative."""


class WrittenView(Shape):
    """What became of it; without id, sequence and hash where it was a dry run."""

    dry_run: bool
    id: TransactionId | None
    sequence: int | None
    template: str
    reference: str | None
    reverses: TransactionId | None
    effective_at: AwareDatetime | None
    posted_at: AwareDatetime | None
    postings: tuple[WrittenPosting, ...]
    hash: str | None


@router.post("/api/v1/ledger/transactions", response_model=WrittenView, status_code=201)
async def post_transaction(body: TransactionBody, write: Writing, caller: Writer) -> Response:
    """Move money among your own accounts; refused where one has not got so much available."""
    request = PostingRequest(
        tenant_id=caller.tenant_id,
        actor=caller.actor,
        lines=tuple(Line(p.address, p.asset, p.amount_minor) for p in body.postings),
        reference=body.reference,
        effective_at=body.effective_at,
        metadata=canonical(dict(body.metadata)).decode() if body.metadata else None,
        dry_run=body.dry_run,
    )
    status = 200 if body.dry_run else 201
    return await write(post_for_tenants, request, answer=_written, status=status)


@router.post(
    "/api/v1/ledger/transactions/{transaction_id}/reverse",
    response_model=WrittenView,
    status_code=201,
)
async def post_reverse(transaction_id: TransactionId, write: Writing, caller: Writer) -> Response:
    """Undo what was posted by request, by a transaction that is linked to it."""
    request = ReversalRequest(caller.tenant_id, transaction_id, caller.actor)
    return await write(reverse_transactions, request, answer=_written, status=201)


def _written(made: Written) -> WrittenView:
    entry, posted = made.entry, made.posted
    return WrittenView(
        dry_run=posted is None,
        id=posted.entry.id if posted else None,
        sequence=posted.sequence if posted else None,
        template=str(entry.template),
        reference=entry.reference,
        reverses=entry.reverses,
        effective_at=entry.effective_at or (posted.posted_at if posted else None),
        posted_at=posted.posted_at if posted else None,
        postings=tuple(
            WrittenPosting(
                account=leg.account,
                address=leg.address or own_address(leg.account),
                asset=leg.asset,
                amount_minor=leg.amount_minor,
                balance_minor=balance,
            )
            for leg, balance in zip(entry.legs, made.balances, strict=True)
        ),
        hash=posted.hash if posted else None,
    )


@router.post("/api/v1/ledger/holds", response_model=HoldView, status_code=201)
async def post_hold(body: HoldBody, write: Writing, caller: Writer) -> Response:
    """Hold money back: it stays where it is and is not available."""
    request = HoldRequest(
        tenant_id=caller.tenant_id,
        actor=caller.actor,
        line=Line(body.address, body.asset, body.amount_minor),
        reference=body.reference,
        expires_at=body.expires_at,
    )
    return await write(place_holds, request, answer=queries.view_of, status=201)


@router.post("/api/v1/ledger/holds/{hold_id}/capture", response_model=HoldView)
async def post_capture(
    hold_id: HoldId, body: CaptureBody, write: Writing, caller: Writer
) -> Response:
    """Send held money on, all of it or a part; once."""
    end = HoldEnd(caller.tenant_id, hold_id, caller.actor, body.to, body.amount_minor)
    return await write(end_holds, end, answer=queries.view_of)


@router.post("/api/v1/ledger/holds/{hold_id}/void", response_model=HoldView)
async def post_void(hold_id: HoldId, write: Writing, caller: Writer) -> Response:
    """Give a hold up: all of it is available again."""
    end = HoldEnd(caller.tenant_id, hold_id, caller.actor)
    return await write(end_holds, end, answer=queries.view_of)


@router.get("/api/v1/ledger/holds", response_model=Page[HoldView])
async def get_holds(
    caller: Reader,
    tx: Reading,
    state: HoldStates | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Holds, the newest first."""
    found = await queries.holds(
        tx, caller.tenant_id, state=state, before=after(cursor), limit=limit + 1
    )
    return page(found, limit, lambda view: view.id)


@router.get("/api/v1/ledger/holds/{hold_id}")
async def get_hold(hold_id: HoldId, caller: Reader, tx: Reading) -> HoldView:
    """One hold."""
    return await queries.hold(tx, caller.tenant_id, hold_id)
