"""The reserve for operators: reconciliations, breaks, and whether anything is frozen."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel, Field

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, page
from chassis.inputs import Input, ShortText
from chassis.strict_json import StrictRoute
from invoiceos_contracts.ids import InvoiceId
from reserve_ledger.api.operators import Operator
from reserve_ledger.commands.reconcile_reserves import Start, start_reconciliations
from reserve_ledger.commands.sign_off import Lift, SignOff, lift_freeze, sign_off
from reserve_ledger.commands.work_breaks import Step, work_breaks
from reserve_ledger.domain.breaks import Action, Worked
from reserve_ledger.domain.reconciling import BreakClass
from reserve_ledger.queries import proofs
from reserve_ledger.queries import reconciliations as queries
from reserve_ledger.queries.proofs import LeafView, ProofView
from reserve_ledger.queries.reconciliations import BreakView, FreezeView, ReconciliationView
from reserve_ledger.store.reconciliation import Job

router = APIRouter(route_class=StrictRoute)


class Resolution(StrEnum):
    """How a break may end."""

    SUSPENSE = "suspense"
    FEE = "fee"
    WRITE_OFF = "write_off"
    RECLASS = "reclass"
    ACCEPT = "accept"


class BreakState(StrEnum):
    """Where a break stands."""

    OPEN = "open"
    PROPOSED = "proposed"
    APPROVED = "approved"
    CLOSED = "closed"


class ReconcileBody(Input):
    """What to reconcile, and up to when."""

    source: ShortText | None = None
    """One source, such as `stripe`; all of them where not given."""
    cut_off: AwareDatetime | None = None
    """Now where not given."""


class StartedView(BaseModel):
    """A reconciliation that began."""

    id: UUID
    source: str
    asset: str
    starts_at: AwareDatetime
    cut_off: AwareDatetime
    step: str


class StartedViews(BaseModel):
    """What began, one for each source and asset."""

    items: list[StartedView]


class AssigneeBody(Input):
    """Who takes care of it."""

    assignee: ShortText


class CommentBody(Input):
    """What there is to say."""

    text: Annotated[str, Field(min_length=1, max_length=1500)]


class ProposalBody(Input):
    """How it should end, and why."""

    resolution: Resolution
    reason: Annotated[str, Field(min_length=1, max_length=1500)]


class LiftBody(Input):
    """Why it goes on."""

    reason: ShortText


class WorkedView(BaseModel):
    """The break afterwards."""

    id: UUID
    state: str
    assignee: str | None
    resolution: str | None
    proposed_by: str | None
    approved_by: str | None


class SignedView(BaseModel):
    """The reconciliation that is done."""

    id: UUID


class LiftedView(BaseModel):
    """Issuing and payouts go on."""

    frozen: bool


@router.post("/api/v1/reserves/reconcile", response_model=StartedViews, status_code=202)
async def post_reconcile(
    write: Writing, caller: Operator, body: ReconcileBody | None = None
) -> Response:
    """Name a cut-off and reconcile each source up to it; the steps are made one after the other."""
    asked = body or ReconcileBody()
    return await write(
        start_reconciliations,
        Start(caller.tenant_id, asked.source, asked.cut_off, caller.actor),
        answer=_started,
        status=202,
    )


def _started(jobs: list[Job]) -> StartedViews:
    return StartedViews(
        items=[
            StartedView(
                id=job.id,
                source=job.source,
                asset=job.asset,
                starts_at=job.starts_at,
                cut_off=job.cut_off,
                step=job.step,
            )
            for job in jobs
        ]
    )


@router.get("/api/v1/reserves/reconciliations", response_model=Page[ReconciliationView])
async def get_reconciliations(
    tx: Reading, caller: Operator, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """Reconciliations, the newest first, each with its progress."""
    del caller
    found = await queries.reconciliations(tx, before=after(cursor), limit=limit + 1)
    return page(found, limit, lambda view: view.id)


@router.get("/api/v1/reserves/reconciliations/{reconciliation_id}")
async def get_reconciliation(
    reconciliation_id: UUID, tx: Reading, caller: Operator
) -> ReconciliationView:
    """One, with its proof."""
    del caller
    return await queries.reconciliation(tx, reconciliation_id)


@router.post(
    "/api/v1/reserves/reconciliations/{reconciliation_id}/sign-off", response_model=SignedView
)
async def post_sign_off(reconciliation_id: UUID, write: Writing, caller: Operator) -> Response:
    """Sign a proved reconciliation off; whoever began it cannot."""
    return await write(
        sign_off,
        SignOff(caller.tenant_id, reconciliation_id, caller.actor),
        answer=lambda made: SignedView(id=made),
    )


@router.get("/api/v1/reserves/breaks", response_model=Page[BreakView])
async def get_breaks(
    tx: Reading,
    caller: Operator,
    state: BreakState | None = None,
    kind: BreakClass | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """The queue of breaks, the oldest first; closed ones only where asked for."""
    del caller
    found = await queries.breaks(tx, state=state, kind=kind, after=after(cursor), limit=limit + 1)
    return page(found, limit, lambda view: view.id)


@router.get("/api/v1/reserves/breaks/{break_id}")
async def get_break(break_id: UUID, tx: Reading, caller: Operator) -> BreakView:
    """One break and what was said about it."""
    del caller
    return await queries.break_of(tx, break_id)


@router.post("/api/v1/reserves/breaks/{break_id}/assign", response_model=WorkedView)
async def post_assign(
    break_id: UUID, body: AssigneeBody, write: Writing, caller: Operator
) -> Response:
    """Give it to somebody."""
    step = Step(caller.tenant_id, break_id, Action.ASSIGN, caller.actor, body.assignee)
    return await write(work_breaks, step, answer=_worked)


@router.post("/api/v1/reserves/breaks/{break_id}/comment", response_model=WorkedView)
async def post_comment(
    break_id: UUID, body: CommentBody, write: Writing, caller: Operator
) -> Response:
    """Say something about it."""
    step = Step(caller.tenant_id, break_id, Action.COMMENT, caller.actor, body.text)
    return await write(work_breaks, step, answer=_worked)


@router.post("/api/v1/reserves/breaks/{break_id}/propose", response_model=WorkedView)
async def post_propose(
    break_id: UUID, body: ProposalBody, write: Writing, caller: Operator
) -> Response:
    """Propose how it ends; nothing is posted before somebody else approves."""
    action, resolution = Action.PROPOSE, body.resolution
    step = Step(caller.tenant_id, break_id, action, caller.actor, body.reason, resolution)
    return await write(work_breaks, step, answer=_worked)


@router.post("/api/v1/reserves/breaks/{break_id}/approve", response_model=WorkedView)
async def post_approve(break_id: UUID, write: Writing, caller: Operator) -> Response:
    """Approve what somebody else proposed; it is then posted."""
    step = Step(caller.tenant_id, break_id, Action.APPROVE, caller.actor, "approved")
    return await write(work_breaks, step, answer=_worked)


def _worked(made: Worked) -> WorkedView:
    return WorkedView(
        id=made.id,
        state=made.state,
        assignee=made.assignee,
        resolution=made.resolution,
        proposed_by=made.proposed_by,
        approved_by=made.approved_by,
    )


@router.get("/api/v1/reserves/freeze")
async def get_freeze(tx: Reading, caller: Operator) -> FreezeView:
    """Whether issuing and payouts stand still, and who let them go on."""
    del caller
    return await queries.freeze(tx)


@router.post("/api/v1/reserves/freeze/lift", response_model=LiftedView)
async def post_lift(body: LiftBody, write: Writing, caller: Operator) -> Response:
    """Let issuing and payouts go on, with a reason that the world hears."""
    return await write(
        lift_freeze,
        Lift(caller.tenant_id, caller.actor, body.reason),
        answer=lambda _: LiftedView(frozen=False),
    )


Reader = Annotated[Caller, Depends(needs("ledger:read"))]


@router.get("/api/v1/reserves/proofs", response_model=Page[ProofView])
async def get_proofs(
    tx: Reading, caller: Reader, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """Published roots of what is owed, the newest first; the same for every tenant."""
    del caller
    found = await proofs.proofs(tx, before=after(cursor), limit=limit + 1)
    return page(found, limit, lambda view: view.id)


@router.get("/api/v1/reserves/proofs/{proof_id}")
async def get_proof(proof_id: UUID, tx: Reading, caller: Reader) -> ProofView:
    """One root."""
    del caller
    return await proofs.proof(tx, proof_id)


@router.get("/api/v1/reserves/proofs/{proof_id}/leaves", response_model=Page[LeafView])
async def get_leaves(
    proof_id: UUID,
    tx: Reading,
    caller: Reader,
    invoice_id: InvoiceId | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """What the caller's own holders are owed, each with its path to the root."""
    place = after(cursor)
    found = await proofs.leaves(
        tx,
        caller.tenant_id,
        proof_id,
        invoice_id=invoice_id,
        after=-1 if place is None else min(place.int, 2**31) - 1,
        limit=limit + 1,
    )
    return page(found, limit, lambda view: UUID(int=view.place + 1))
