"""Payouts and batches of them over HTTP, and the policy that says who has to agree."""

import csv
import io
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, page
from chassis.inputs import Input, ShortText
from chassis.strict_json import BulkRoute, StrictRoute
from invoiceos_contracts import Amount
from invoiceos_contracts.base import MAX_MINOR
from invoiceos_contracts.ids import PayoutBatchId, PayoutId
from provider_orchestrator.api.refunds import Approver, RejectBody
from provider_orchestrator.commands.decide_approvals import Verdict, decide_approvals
from provider_orchestrator.commands.request_payouts import PayoutRequest, request_payouts
from provider_orchestrator.commands.save_approval_policies import (
    ActivatePolicy,
    NewPolicy,
    activate_policies,
    save_policies,
)
from provider_orchestrator.domain.approvals import ApprovalPolicy, Asked
from provider_orchestrator.domain.destinations import PayoutLine
from provider_orchestrator.domain.disbursements import Disbursement
from provider_orchestrator.domain.routing_rules import AssetCode
from provider_orchestrator.errors import InvalidPayoutLine
from provider_orchestrator.queries import disbursements as queries
from provider_orchestrator.queries.disbursements import PayoutBatchView, PayoutView, PolicyView
from provider_orchestrator.store.approvals import PayoutBatch, PolicyVersion

router = APIRouter(route_class=StrictRoute)
batches = APIRouter(route_class=BulkRoute)
"""Takes thousands of lines, and only there."""
LINES_MAX = 10_000
CSV_FIELDS = ("reference", "amount_minor", "asset", "rail")
_DIGITS = re.compile(r"[1-9][0-9]{0,18}")
Reader = Annotated[Caller, Depends(needs("payouts:read"))]
Maker = Annotated[Caller, Depends(needs("payouts:write"))]
VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
Rail = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", strict=True)]
FieldText = Annotated[str, StringConstraints(min_length=1, max_length=254, strict=True)]
CsvText = Annotated[str, StringConstraints(min_length=1, max_length=2_000_000, strict=True)]


class PayoutState(StrEnum):
    """Where a payout stands."""

    REQUESTED = "requested"
    READY = "ready"
    SENT = "sent"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class LineBody(Input):
    """One payout: how much, and where to."""

    reference: ShortText
    """Your own name for it: there is one payout for each, however often it is asked for."""
    amount_minor: Annotated[int, Field(strict=True, ge=1, le=MAX_MINOR)]
    asset: AssetCode
    rail: Rail
    """For example `tempo` or `paypal`."""
    destination: Annotated[Mapping[ShortText, FieldText], Field(min_length=1, max_length=5)]
    """In the rail's own fields: `address` (and `memo`) on chains, `email` on `paypal`, `account`
    on `card` and `bank`, `address` and `chain` on `usdc`."""


class PayoutBody(LineBody):
    """One payout, and why."""

    reason: ShortText | None = None


class BatchBody(Input):
    """Payouts that are agreed to together: either as a list or as CSV."""

    reference: ShortText
    """Your own name for the batch; the same batch sent again is the batch there is."""
    lines: Annotated[list[LineBody], Field(min_length=1, max_length=LINES_MAX)] | None = None
    csv: CsvText | None = None
    """With a header: `reference,amount_minor,asset,rail` and the fields of destinations; a field
    that a line does not need stays empty."""
    reason: ShortText | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.lines is None) == (self.csv is None):
            message = "give either lines or csv"
            raise ValueError(message)
        return self


class AgreeBody(Input):
    """Which lines are agreed to."""

    lines_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", strict=True)]
    """As the batch shows it."""


class RejectBatchBody(AgreeBody, RejectBody):
    """Which lines are refused, and why."""


class PayoutMade(BaseModel):
    """A payout that was asked for."""

    id: PayoutId
    reference: str
    state: str
    amount: Amount
    approvals_needed: int
    approvals_given: int


class BatchMade(BaseModel):
    """A batch that was asked for."""

    id: PayoutBatchId
    reference: str
    state: str
    lines: int
    lines_hash: str
    totals: list[Amount]
    approvals_needed: int
    approvals_given: int


class NewPolicyBody(Input):
    """A policy, and why it was written."""

    policy: ApprovalPolicy
    note: ShortText | None = None


class PolicySaved(BaseModel):
    """A policy that was kept; it counts once it is activated."""

    version: int
    policy: ApprovalPolicy
    note: str | None
    created_by: str


class PolicyActivated(BaseModel):
    """The version that counts now."""

    version: int


@router.post("/api/v1/payouts", response_model=PayoutMade, status_code=201)
async def post_payout(body: PayoutBody, write: Writing, caller: Maker) -> Response:
    """Ask for money to be sent. The ledger sets it apart, and others may have to agree."""
    return await write(
        request_payouts,
        PayoutRequest(caller.tenant_id, caller.actor, [_line(body)], reason=body.reason),
        answer=_payout,
        status=201,
    )


@router.get("/api/v1/payouts", response_model=Page[PayoutView])
async def get_payouts(
    tx: Reading,
    caller: Reader,
    batch_id: Annotated[PayoutBatchId | None, Query()] = None,
    state: PayoutState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Payouts, the newest first."""
    found = await queries.payouts_of(
        tx,
        caller.tenant_id,
        batch_id=batch_id,
        state=state,
        after=after(cursor),
        limit=limit + 1,
    )
    return page(found, limit, lambda view: view.id)


@router.get("/api/v1/payouts/{payout_id}")
async def get_payout(payout_id: PayoutId, tx: Reading, caller: Reader) -> PayoutView:
    """One payout."""
    return await queries.payout_of(tx, caller.tenant_id, payout_id)


@router.post("/api/v1/payouts/{payout_id}/approve", response_model=PayoutMade)
async def post_payout_approval(payout_id: PayoutId, write: Writing, caller: Approver) -> Response:
    """Agree to a payout that somebody else asked for."""
    verdict = Verdict(caller.tenant_id, caller.actor, payout_id)
    return await write(decide_approvals, verdict, answer=_payout)


@router.post("/api/v1/payouts/{payout_id}/reject", response_model=PayoutMade)
async def post_payout_rejection(
    payout_id: PayoutId, write: Writing, caller: Approver, body: RejectBody
) -> Response:
    """Refuse a payout that waits for approval; it is given up."""
    verdict = Verdict(caller.tenant_id, caller.actor, payout_id, body.reason)
    return await write(decide_approvals, verdict, answer=_payout)


@batches.post("/api/v1/payout-batches", response_model=BatchMade, status_code=201)
async def post_batch(body: BatchBody, write: Writing, caller: Maker) -> Response:
    """Ask for many payouts at once; each line is one payout, whatever happens meanwhile."""
    lines = body.lines if body.lines is not None else lines_of(body.csv or "")
    return await write(
        request_payouts,
        PayoutRequest(
            caller.tenant_id,
            caller.actor,
            [_line(line) for line in lines],
            batch_reference=body.reference,
            reason=body.reason,
        ),
        answer=_batch,
        status=201,
    )


@router.get("/api/v1/payout-batches", response_model=Page[PayoutBatchView])
async def get_batches(
    tx: Reading, caller: Reader, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    """Batches, the newest first."""
    found = await queries.batches_of(tx, caller.tenant_id, after=after(cursor), limit=limit + 1)
    return page(found, limit, lambda view: view.id)


@router.get("/api/v1/payout-batches/{batch_id}")
async def get_batch(batch_id: PayoutBatchId, tx: Reading, caller: Reader) -> PayoutBatchView:
    """One batch, and how far it is."""
    return await queries.batch_of(tx, caller.tenant_id, batch_id)


@router.post("/api/v1/payout-batches/{batch_id}/approve", response_model=BatchMade)
async def post_batch_approval(
    batch_id: PayoutBatchId, write: Writing, caller: Approver, body: AgreeBody
) -> Response:
    """Agree to a batch that somebody else asked for: to exactly these lines."""
    return await _on_batch(write, caller, batch_id, body.lines_hash, None)


@router.post("/api/v1/payout-batches/{batch_id}/reject", response_model=BatchMade)
async def post_batch_rejection(
    batch_id: PayoutBatchId, write: Writing, caller: Approver, body: RejectBatchBody
) -> Response:
    """Refuse a batch that waits for approval; all its lines are given up."""
    return await _on_batch(write, caller, batch_id, body.lines_hash, body.reason)


@router.post("/api/v1/approval-policies", response_model=PolicySaved, status_code=201)
async def post_policy(body: NewPolicyBody, write: Writing, caller: Approver) -> Response:
    """Keep a policy as the next version; nothing changes until it is activated."""
    return await write(
        save_policies,
        NewPolicy(caller.tenant_id, body.policy, body.note, caller.actor),
        answer=_saved,
        status=201,
    )


@router.get("/api/v1/approval-policies", response_model=Page[PolicyView])
async def get_policies(
    tx: Reading, caller: Reader, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    """All versions, the newest first."""
    last = after(cursor)
    # A version is a number; in a cursor it travels as the id of that number.
    below = None if last is None else last.int & (2**31 - 1)
    found = await queries.policies_of(tx, caller.tenant_id, below=below, limit=limit + 1)
    return page(found, limit, lambda view: UUID(int=view.version or 0))


@router.get("/api/v1/approval-policies/active")
async def get_active_policy(tx: Reading, caller: Reader) -> PolicyView:
    """The policy that counts; the standard where none was activated."""
    return await queries.active_policy(tx, caller.tenant_id)


@router.post("/api/v1/approval-policies/{version}/activate", response_model=PolicyActivated)
async def post_policy_activation(
    version: VersionNumber, write: Writing, caller: Approver
) -> Response:
    """Let a version count from now on, for what is asked for from now on."""
    return await write(
        activate_policies,
        ActivatePolicy(caller.tenant_id, version, caller.actor),
        answer=lambda made: PolicyActivated(version=made),
    )


def lines_of(text: str) -> list[LineBody]:
    """Lines of a CSV; raises `InvalidPayoutLine` with the first line that is none."""
    reader = csv.DictReader(io.StringIO(text), strict=True, restval=None)
    lines: list[LineBody] = []
    try:
        if not set(CSV_FIELDS) <= set(reader.fieldnames or ()):
            raise InvalidPayoutLine(f"The header has {', '.join(CSV_FIELDS)}")
        for row in reader:
            if len(lines) == LINES_MAX:
                raise InvalidPayoutLine(f"A batch has {LINES_MAX} lines at most")
            lines.append(_line_of(row, reader.line_num))
    except csv.Error as error:
        raise InvalidPayoutLine(f"line {reader.line_num}: {error}") from None
    if not lines:
        raise InvalidPayoutLine("There is no line below the header")
    return lines


def _line_of(row: dict[Any, Any], number: int) -> LineBody:
    if None in row or None in row.values():
        raise InvalidPayoutLine(f"line {number}: it has not as many fields as the header")
    if not _DIGITS.fullmatch(row["amount_minor"]):
        raise InvalidPayoutLine(f"line {number}: amount_minor is a whole number above 0")
    rest = {name: text for name, text in row.items() if name not in CSV_FIELDS and text}
    told = {name: row[name] for name in ("reference", "asset", "rail")}
    try:
        return LineBody.model_validate(
            {**told, "amount_minor": int(row["amount_minor"]), "destination": rest}
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidPayoutLine(f"line {number}: {place}: {first['msg']}") from None


def _line(body: LineBody) -> PayoutLine:
    return PayoutLine(
        body.reference, body.amount_minor, body.asset, body.rail, dict(body.destination)
    )


async def _on_batch(
    write: Writing, caller: Caller, batch_id: UUID, lines_hash: str, rejected_for: str | None
) -> Response:
    verdict = Verdict(
        caller.tenant_id, caller.actor, batch_id, rejected_for, bytes.fromhex(lines_hash)
    )
    return await write(decide_approvals, verdict, answer=_batch)


def _payout(made: Asked) -> PayoutMade:
    assert isinstance(made, Disbursement)
    return PayoutMade(
        id=made.id,
        reference=made.reference or "",
        state=made.state,
        amount=made.amount,
        approvals_needed=made.approvals_needed,
        approvals_given=made.approvals_given,
    )


def _batch(made: Asked) -> BatchMade:
    assert isinstance(made, PayoutBatch)
    return BatchMade(
        id=made.id,
        reference=made.reference,
        state=made.state,
        lines=made.lines,
        lines_hash=made.lines_hash.hex(),
        totals=[Amount(amount_minor=m, asset=asset) for asset, m in made.totals.items()],
        approvals_needed=made.approvals_needed,
        approvals_given=made.approvals_given,
    )


def _saved(made: PolicyVersion) -> PolicySaved:
    return PolicySaved(
        version=made.version, policy=made.policy, note=made.note, created_by=made.created_by
    )
