"""Collecting over HTTP: intents, what follows them, and what only a person can decide."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field, StringConstraints

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, page
from chassis.inputs import Input, LongText, ShortText
from chassis.strict_json import StrictRoute
from invoiceos_contracts.base import MAX_MINOR
from invoiceos_contracts.ids import InvoiceId, PaymentIntentId
from provider_orchestrator.commands.create_intents import NewIntent, Part, create_intents
from provider_orchestrator.commands.follow_intents import (
    Capture,
    GiveUp,
    capture_intents,
    give_up_intents,
)
from provider_orchestrator.commands.resolve_unknown import Resolve, resolve_unknown
from provider_orchestrator.domain.intents import Intent, IntentState
from provider_orchestrator.domain.routing_rules import CountryCode, Method
from provider_orchestrator.queries import intents as queries
from provider_orchestrator.queries.intents import AttemptId, IntentView, UnknownView

router = APIRouter(route_class=StrictRoute)
Reader = Annotated[Caller, Depends(needs("payments:read"))]
Collector = Annotated[Caller, Depends(needs("payments:write"))]
Minor = Annotated[int, Field(strict=True, ge=1, le=MAX_MINOR)]
ReturnUrl = Annotated[
    str, StringConstraints(strict=True, max_length=1000, pattern=r"^https?://[^\s]+$")
]


class PartBody(Input):
    """What is to be paid of one invoice."""

    invoice_id: InvoiceId
    amount_minor: Minor | None = None
    """In minor units of the invoice's currency; all that it asks for where not given."""


class NewPayment(Input):
    """What is to be paid, and how."""

    invoices: Annotated[list[PartBody], Field(min_length=1, max_length=50)]
    """All of one currency."""
    method: Method | None = None
    """For example card; null leaves it open."""
    payer_country: CountryCode | None = None
    instrument: ShortText | None = None
    """What the payer left at the provider before: its token there, never a card's number."""
    capture: Literal["automatic", "manual"] = "automatic"
    """`manual` only reserves the money with the payer."""
    description: ShortText = "Invoice"
    """What the payer reads."""
    return_url: ReturnUrl | None = None
    """Where the payer comes back to from the provider's page."""
    expires_in_s: Annotated[int, Field(strict=True, ge=60, le=604_800)] = 3600


class CaptureBody(Input):
    """How much is taken of what was authorised."""

    amount_minor: Minor | None = None
    """All of it where not given; the rest is released."""


class EndBody(Input):
    """Why it is given up."""

    reason: ShortText = "asked"


class ResolveBody(Input):
    """What somebody found out at the provider."""

    outcome: Literal["captured", "not_captured"]
    amount_minor: Minor | None = None
    """What was captured; what was asked for where not given."""
    provider_reference: ShortText | None = None
    reason: LongText
    """How it was found out."""


class ResolvedView(BaseModel):
    """Whose outcome is known now."""

    intent_id: PaymentIntentId


@router.post("/api/v1/payments", response_model=IntentView, status_code=201)
async def post_payment(body: NewPayment, write: Writing, caller: Collector) -> Response:
    """Begin to collect for invoices, unless somebody else does already."""
    wanted = NewIntent(
        tenant_id=caller.tenant_id,
        parts=tuple(
            {p.invoice_id: Part(p.invoice_id, p.amount_minor) for p in body.invoices}.values()
        ),
        method=body.method,
        payer_country=body.payer_country,
        instrument=body.instrument,
        manual_capture=body.capture == "manual",
        description=body.description,
        return_url=body.return_url,
        lives=timedelta(seconds=body.expires_in_s),
        actor=caller.actor,
    )
    return await write(create_intents, wanted, answer=_view, status=201)


def _view(intent: Intent) -> IntentView:
    return queries.view_of(intent)


@router.get("/api/v1/payment-intents", response_model=Page[IntentView])
async def get_intents(
    tx: Reading,
    caller: Reader,
    invoice_id: Annotated[InvoiceId | None, Query()] = None,
    state: IntentState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Intents, the newest first."""
    found = await queries.intents_of(
        tx,
        caller.tenant_id,
        invoice_id=invoice_id,
        state=state,
        after=after(cursor),
        limit=limit + 1,
    )
    return page(found, limit, lambda view: view.id)


@router.get("/api/v1/payment-intents/{intent_id}")
async def get_intent(intent_id: PaymentIntentId, tx: Reading, caller: Reader) -> IntentView:
    """One intent with its attempts."""
    return await queries.intent_of(tx, caller.tenant_id, intent_id)


@router.post(
    "/api/v1/payment-intents/{intent_id}/capture", response_model=IntentView, status_code=202
)
async def post_capture(
    intent_id: PaymentIntentId, write: Writing, caller: Collector, body: CaptureBody | None = None
) -> Response:
    """Take what was authorised, in whole or in part."""
    amount = None if body is None else body.amount_minor
    wanted = Capture(caller.tenant_id, intent_id, amount)
    return await write(capture_intents, wanted, answer=_view, status=202)


@router.post("/api/v1/payment-intents/{intent_id}/void", response_model=IntentView, status_code=202)
async def post_void(
    intent_id: PaymentIntentId, write: Writing, caller: Collector, body: EndBody | None = None
) -> Response:
    """Give up what was authorised: the payer has the money again."""
    return await _end(intent_id, write, caller, IntentState.VOIDED, body)


@router.post(
    "/api/v1/payment-intents/{intent_id}/cancel", response_model=IntentView, status_code=202
)
async def post_cancel(
    intent_id: PaymentIntentId, write: Writing, caller: Collector, body: EndBody | None = None
) -> Response:
    """Give up what the payer has not finished; the provider is told first."""
    return await _end(intent_id, write, caller, IntentState.CANCELED, body)


async def _end(
    intent_id: UUID, write: Any, caller: Caller, end: IntentState, body: EndBody | None
) -> Response:
    cause = (body or EndBody()).reason
    wanted = GiveUp(caller.tenant_id, intent_id, end, cause)
    answered: Response = await write(give_up_intents, wanted, answer=_view, status=202)
    return answered


@router.get("/api/v1/payments/unknown", response_model=Page[UnknownView])
async def get_unknown(
    tx: Reading, caller: Reader, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    """Attempts whose outcome has been unknown for a day: somebody has to find out."""
    found = await queries.unknown_of(tx, caller.tenant_id, after=after(cursor), limit=limit + 1)
    return page(found, limit, lambda view: view.attempt_id)


@router.post("/api/v1/payments/unknown/{attempt_id}/resolve", response_model=ResolvedView)
async def post_resolve(
    attempt_id: AttemptId, body: ResolveBody, write: Writing, caller: Collector
) -> Response:
    """Say what somebody found out; asking goes on, and money that shows up later is kept."""
    wanted = Resolve(
        tenant_id=caller.tenant_id,
        attempt_id=attempt_id,
        captured=body.outcome == "captured",
        amount_minor=body.amount_minor,
        provider_reference=body.provider_reference,
        reason=body.reason,
        actor=caller.actor,
    )
    return await write(
        resolve_unknown, wanted, answer=lambda intent: ResolvedView(intent_id=intent)
    )
