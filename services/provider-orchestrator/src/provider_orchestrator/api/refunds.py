"""Refunds over HTTP."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, page
from chassis.inputs import Input, LongText, ShortText
from chassis.strict_json import StrictRoute
from invoiceos_contracts import Amount
from invoiceos_contracts.base import MAX_MINOR
from invoiceos_contracts.ids import PaymentId, RefundId
from provider_orchestrator.api.routing import Catalogue
from provider_orchestrator.commands.decide_approvals import Verdict, decide_approvals
from provider_orchestrator.commands.refund_payment import RefundRequest, refund_payment
from provider_orchestrator.domain.approvals import Asked
from provider_orchestrator.domain.disbursements import Disbursement
from provider_orchestrator.queries import disbursements as queries
from provider_orchestrator.queries.disbursements import RefundView

router = APIRouter(route_class=StrictRoute)
Approver = Annotated[Caller, Depends(needs("approvals:write"))]


class Source(StrEnum):
    """Whose money is given back."""

    MERCHANT = "merchant"
    PAYER_CREDIT = "payer_credit"
    """What was paid too much or too late."""


class RefundBody(Input):
    """How much to give back, and why."""

    amount_minor: Annotated[int, Field(strict=True, ge=1, le=MAX_MINOR)] | None = None
    """In minor units of the payment's asset; all that is left of it where not given."""
    reason: ShortText | None = None
    source: Source | None = None
    """By the payment rules where not given: `merchant` unless they say otherwise."""
    confirm_payer_address: bool = False
    """The payer says that the address the money came from is theirs alone, not an exchange's."""


class RejectBody(Input):
    """Why it must not be."""

    reason: LongText


class RefundMade(BaseModel):
    """A refund that was asked for."""

    id: RefundId
    payment_id: PaymentId
    state: str
    amount: Amount
    approvals_needed: int
    approvals_given: int


@router.post("/api/v1/payments/{payment_id}/refund", response_model=RefundMade, status_code=201)
async def post_refund(
    payment_id: PaymentId,
    write: Writing,
    caller: Annotated[Caller, Depends(needs("invoices:write"))],
    providers: Catalogue,
    body: RefundBody | None = None,
) -> Response:
    """Give a payment back, whole or in part, by the provider it came by.

    The ledger sets the money apart first, and the tenant's policy may ask others to agree. A
    transfer on a chain is given back to the address it came from, and only to one that is
    confirmed to be the payer's own.
    """
    asked = body or RefundBody()
    return await write(
        refund_payment,
        RefundRequest(
            tenant_id=caller.tenant_id,
            payment_id=payment_id,
            actor=caller.actor,
            catalogue=providers,
            amount_minor=asked.amount_minor,
            reason=asked.reason,
            source=asked.source,
            confirm_payer_address=asked.confirm_payer_address,
        ),
        answer=_made,
        status=201,
    )


def _made(refund: Asked) -> RefundMade:
    assert isinstance(refund, Disbursement)
    assert refund.payment_id is not None
    return RefundMade(
        id=refund.id,
        payment_id=refund.payment_id,
        state=refund.state,
        amount=refund.amount,
        approvals_needed=refund.approvals_needed,
        approvals_given=refund.approvals_given,
    )


@router.get("/api/v1/payments/{payment_id}/refunds", response_model=Page[RefundView])
async def get_refunds(
    payment_id: PaymentId,
    tx: Reading,
    caller: Annotated[Caller, Depends(needs("payments:read"))],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Refunds of a payment, the newest first."""
    found = await queries.refunds_of(
        tx, caller.tenant_id, payment_id, after=after(cursor), limit=limit + 1
    )
    return page(found, limit, lambda view: view.id)


@router.post("/api/v1/payments/{payment_id}/refunds/{refund_id}/approve", response_model=RefundMade)
async def post_approval(
    payment_id: PaymentId, refund_id: RefundId, write: Writing, caller: Approver
) -> Response:
    """Agree to a refund that somebody else asked for."""
    return await _decided(write, caller, payment_id, refund_id, None)


@router.post("/api/v1/payments/{payment_id}/refunds/{refund_id}/reject", response_model=RefundMade)
async def post_rejection(
    payment_id: PaymentId,
    refund_id: RefundId,
    write: Writing,
    caller: Approver,
    body: RejectBody,
) -> Response:
    """Refuse a refund that waits for approval; it is given up."""
    return await _decided(write, caller, payment_id, refund_id, body.reason)


async def _decided(
    write: Writing, caller: Caller, payment_id: UUID, refund_id: UUID, rejected_for: str | None
) -> Response:
    verdict = Verdict(
        caller.tenant_id, caller.actor, refund_id, rejected_for, payment_id=payment_id
    )
    return await write(decide_approvals, verdict, answer=_made)
