"""Payment rules over HTTP: written, tried, activated, and what was decided by them."""

from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field, model_validator

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, page
from chassis.inputs import Input, ShortText
from chassis.strict_json import StrictRoute
from invoiceos_contracts.ids import PaymentIntentId
from provider_orchestrator.api.routing import REPLAYED_MAX, VersionNumber
from provider_orchestrator.commands.save_payment_rules import (
    ActivatePaymentRules,
    NewPaymentRules,
    activate_payment_rules,
    save_payment_rules,
)
from provider_orchestrator.domain.payment_rules import PaymentFacts, PaymentRules, judge
from provider_orchestrator.domain.rule_replays import Judged, Replayed, judged, replay
from provider_orchestrator.queries import payment_rules as queries
from provider_orchestrator.queries.payment_rules import PaymentRulesView, RuledView
from provider_orchestrator.store.payment_rules import RulesVersion

router = APIRouter(route_class=StrictRoute)
Reader = Annotated[Caller, Depends(needs("rules:read"))]
Editor = Annotated[Caller, Depends(needs("rules:write"))]
_Version = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]


class NewPaymentRulesBody(Input):
    """Rules, and why they were written."""

    rules: PaymentRules
    note: ShortText | None = None


class PaymentRulesSaved(BaseModel):
    """Rules that were kept; they count once they are activated."""

    version: int
    rules: PaymentRules
    note: str | None
    created_by: str


class PaymentRulesActivated(BaseModel):
    """The version that counts now, and the one that counted before."""

    version: int
    previous: int | None


class WhichRules(Input):
    """Rules that were kept, or that were not."""

    version: _Version | None = None
    rules: PaymentRules | None = None


class PaymentPreviewBody(WhichRules):
    """A payment, and the rules to judge it by; those that count where none are given."""

    payment: PaymentFacts

    @model_validator(mode="after")
    def _one_set_of_rules(self) -> Self:
        if self.version is not None and self.rules is not None:
            message = "give version or rules, not both"
            raise ValueError(message)
        return self


class PaymentReplayBody(WhichRules):
    """Which rules, and which payments."""

    payments: Annotated[list[PaymentFacts], Field(min_length=1, max_length=REPLAYED_MAX)] | None = (
        None
    )
    """Payments to judge beside the rules that count; the past where not given."""
    decisions: Annotated[int, Field(strict=True, ge=1, le=REPLAYED_MAX)] = 200
    """How many decisions of the past, the newest first."""

    @model_validator(mode="after")
    def _one_set_of_rules(self) -> Self:
        if (self.version is None) == (self.rules is None):
            message = "give either version or rules"
            raise ValueError(message)
        return self


@router.post("/api/v1/payment-rules", response_model=PaymentRulesSaved, status_code=201)
async def post_payment_rules(body: NewPaymentRulesBody, write: Writing, caller: Editor) -> Response:
    """Keep new rules as the next version; nothing changes until they are activated."""
    wanted = NewPaymentRules(caller.tenant_id, body.rules, body.note, caller.actor)
    return await write(save_payment_rules, wanted, answer=_saved, status=201)


def _saved(made: RulesVersion) -> PaymentRulesSaved:
    return PaymentRulesSaved(
        version=made.version, rules=made.rules, note=made.note, created_by=made.created_by
    )


@router.get("/api/v1/payment-rules", response_model=Page[PaymentRulesView])
async def get_payment_rules(
    tx: Reading, caller: Reader, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    """All versions, the newest first."""
    last = after(cursor)
    # A version is a number; in a cursor it travels as the id of that number.
    below = None if last is None else last.int & (2**31 - 1)
    found = await queries.versions_of(tx, caller.tenant_id, below=below, limit=limit + 1)
    return page(found, limit, lambda view: UUID(int=view.version or 0))


@router.get("/api/v1/payment-rules/active")
async def get_active_payment_rules(tx: Reading, caller: Reader) -> PaymentRulesView:
    """The rules that count; the standard terms where none were activated."""
    return await queries.active_rules(tx, caller.tenant_id)


@router.get("/api/v1/payment-rules/decisions", response_model=Page[RuledView])
async def get_payment_decisions(
    tx: Reading,
    caller: Reader,
    intent_id: Annotated[PaymentIntentId | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """What was decided, the newest first: facts, version, rule, terms and reason of each."""
    found = await queries.ruled_of(
        tx, caller.tenant_id, intent_id=intent_id, after=after(cursor), limit=limit + 1
    )
    return page(found, limit, lambda view: view.id)


@router.get("/api/v1/payment-rules/{version}")
async def get_payment_rules_version(
    version: VersionNumber, tx: Reading, caller: Reader
) -> PaymentRulesView:
    """One version."""
    return await queries.version_of(tx, caller.tenant_id, version)


@router.post("/api/v1/payment-rules/{version}/activate", response_model=PaymentRulesActivated)
async def post_activate_payment_rules(
    version: VersionNumber, write: Writing, caller: Editor
) -> Response:
    """Let a version count for payments begun from now on; an older one too."""
    return await write(
        activate_payment_rules,
        ActivatePaymentRules(caller.tenant_id, version, caller.actor),
        answer=lambda made: PaymentRulesActivated(version=made.version, previous=made.previous),
    )


@router.post("/api/v1/payment-rules/preview")
async def post_payment_preview(body: PaymentPreviewBody, tx: Reading, caller: Reader) -> Judged:
    """What rules make of one payment: verdict, lines in the ledger, notices; nothing is kept."""
    rules = await _rules(tx, caller, body)
    return judged(body.payment, judge(body.payment, rules))


@router.post("/api/v1/payment-rules/replay")
async def post_payment_replay(body: PaymentReplayBody, tx: Reading, caller: Reader) -> Replayed:
    """What rules would have made of payments, and what would differ; nothing is kept."""
    rules = await _rules(tx, caller, body)
    if body.payments is None:
        past = await queries.ruled_of(
            tx, caller.tenant_id, intent_id=None, after=None, limit=body.decisions
        )
        return replay(queries.cases_of(past), rules)
    active = (await queries.active_rules(tx, caller.tenant_id)).rules
    return replay([(None, facts, judge(facts, active)) for facts in body.payments], rules)


async def _rules(tx: Reading, caller: Caller, body: WhichRules) -> PaymentRules:
    if body.rules is not None:
        return body.rules
    if body.version is None:
        return (await queries.active_rules(tx, caller.tenant_id)).rules
    return (await queries.version_of(tx, caller.tenant_id, body.version)).rules
