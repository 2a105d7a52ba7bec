"""Payments over HTTP."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, after, cursor_of
from chassis.strict_json import StrictRoute
from invoiceos_contracts.ids import InvoiceId, PaymentId
from provider_orchestrator.queries import payments as queries
from provider_orchestrator.queries.payments import PaymentView

router = APIRouter(route_class=StrictRoute)


class PaymentState(StrEnum):
    """Where a payment stands."""

    SEEN = "seen"
    SUCCEEDED = "succeeded"
    CONFLICTED = "conflicted"
    REVERTED = "reverted"


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
