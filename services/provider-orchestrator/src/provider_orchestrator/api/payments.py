"""Payments over HTTP."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, cursor_of
from chassis.inputs import Input, ShortText
from chassis.strict_json import StrictRoute
from invoiceos_contracts.base import MAX_MINOR
from invoiceos_contracts.ids import InvoiceId, PaymentId
from provider_orchestrator.commands.refund_payment import RefundRequest, refund_payment
from provider_orchestrator.queries import payments as queries
from provider_orchestrator.queries.payments import PaymentView

router = APIRouter(route_class=StrictRoute)


class PaymentState(StrEnum):
    """Where a payment stands."""

    SEEN = "seen"
    SUCCEEDED = "succeeded"
    CONFLICTED = "conflicted"
    REVERTED = "reverted"


class RefundBody(Input):
    """How much to give back, and why."""

    amount_minor: Annotated[int, Field(strict=True, ge=1, le=MAX_MINOR)] | None = None
    """In minor units of the payment's asset; all of it where not given."""
    reason: ShortText | None = None


@router.get("/api/v1/payments", response_model=Page[PaymentView])
async def get_payments(
    tx: Reading,
    caller: Annotated[Caller, Depends(needs("payments:read"))],
    invoice_id: Annotated[InvoiceId | None, Query()] = None,
    state: PaymentState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Payments, the newest first."""
    found = await queries.payments_of(
        tx,
        caller.tenant_id,
        invoice_id=invoice_id,
        state=state,
        after=after(cursor),
        limit=limit + 1,
    )
    shown = found[:limit]
    more = cursor_of(shown[-1][0]) if len(found) > limit else None
    return {"items": [view for _, view in shown], "next_cursor": more}


@router.get("/api/v1/payments/{payment_id}")
async def get_payment(
    payment_id: PaymentId,
    tx: Reading,
    caller: Annotated[Caller, Depends(needs("payments:read"))],
) -> PaymentView:
    """One payment."""
    return await queries.payment_of(tx, caller.tenant_id, payment_id)


@router.post("/api/v1/payments/{payment_id}/refund", response_model=None, status_code=409)
async def post_refund(
    payment_id: PaymentId,
    write: Writing,
    caller: Annotated[Caller, Depends(needs("invoices:write"))],
    body: RefundBody | None = None,
) -> Response:
    """Give a payment back: refused on every rail there is at present, saying what to do instead."""
    del body
    return await write(
        refund_payment,
        RefundRequest(caller.tenant_id, payment_id),
        answer=lambda _: None,
    )
