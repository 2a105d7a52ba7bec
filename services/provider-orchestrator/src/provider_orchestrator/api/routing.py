"""Routing over HTTP: rules, what they would do, and what they did."""

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from prometheus_client import Counter
from pydantic import BaseModel, Field, model_validator

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, page
from chassis.inputs import Input, ShortText
from chassis.strict_json import StrictRoute
from provider_orchestrator.commands.activate_rules import Activate, activate_rules
from provider_orchestrator.commands.route_payments import RouteRequest, route_payments
from provider_orchestrator.commands.save_rules import NewRules, save_rules
from provider_orchestrator.domain.replays import Case, Replayed, replay
from provider_orchestrator.domain.routing import (
    CHANCE_MAX,
    Capabilities,
    Inputs,
    Routable,
    candidates_of,
    choose,
)
from provider_orchestrator.domain.routing_rules import RoutingRules
from provider_orchestrator.providers.catalogue import catalogue
from provider_orchestrator.queries import routing as queries
from provider_orchestrator.queries.routing import DecisionView, RulesView
from provider_orchestrator.store.providers import select_health
from provider_orchestrator.store.routing import Decided, Version, select_active

router = APIRouter(route_class=StrictRoute)
DECISIONS = Counter(
    "invoiceos_routing_decisions_total", "Decisions made", ["purpose", "chosen", "reason"]
)
REPLAYED_MAX = 500
VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
Reader = Annotated[Caller, Depends(needs("routing:read"))]
Editor = Annotated[Caller, Depends(needs("routing:write"))]
Catalogue = Annotated[Sequence[Capabilities], Depends(catalogue)]


class Purpose(StrEnum):
    """What a decision was made for."""

    PREVIEW = "preview"
    PAYMENT = "payment"


class NewRulesBody(Input):
    """Rules, and why they were written."""

    rules: RoutingRules
    note: ShortText | None = None


class SavedView(BaseModel):
    """Rules that were kept; they count once they are activated."""

    version: int
    rules: RoutingRules
    note: str | None
    created_by: str


class ActivatedView(BaseModel):
    """The version that counts now, and the one that counted before."""

    version: int
    previous: int | None


class ReplayBody(Input):
    """Which rules, and which payments."""

    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] | None = None
    """Rules that were kept."""
    rules: RoutingRules | None = None
    """Rules that were not."""
    payments: Annotated[list[Routable], Field(min_length=1, max_length=REPLAYED_MAX)] | None = None
    """Payments to choose for with the health of this moment; the past where not given."""
    decisions: Annotated[int, Field(strict=True, ge=1, le=REPLAYED_MAX)] = 200
    """How many decisions of the past, the newest first, each with the health it was made with."""
    purpose: Purpose = Purpose.PAYMENT
    """Which decisions of the past."""
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**53)] = 0
    """Chance of given payments: the same seed draws the same."""

    @model_validator(mode="after")
    def _one_set_of_rules(self) -> Self:
        if (self.version is None) == (self.rules is None):
            message = "give either version or rules"
            raise ValueError(message)
        return self


@router.post("/api/v1/routing/rules", response_model=SavedView, status_code=201)
async def post_rules(body: NewRulesBody, write: Writing, caller: Editor) -> Response:
    """Keep new rules as the next version; nothing changes until they are activated."""
    return await write(
        save_rules,
        NewRules(caller.tenant_id, body.rules, body.note, caller.actor),
        answer=_saved,
        status=201,
    )


def _saved(made: Version) -> SavedView:
    return SavedView(
        version=made.version, rules=made.rules, note=made.note, created_by=made.created_by
    )


@router.get("/api/v1/routing/rules", response_model=Page[RulesView])
async def get_rules(
    tx: Reading, caller: Reader, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    """All versions, the newest first."""
    last = after(cursor)
    # A version is a number; in a cursor it travels as the id of that number.
    below = None if last is None else last.int & (2**31 - 1)
    found = await queries.versions_of(tx, caller.tenant_id, below=below, limit=limit + 1)
    return page(found, limit, lambda view: UUID(int=view.version or 0))


@router.get("/api/v1/routing/rules/active")
async def get_active_rules(tx: Reading, caller: Reader) -> RulesView:
    """The rules that count; the standard where none were activated."""
    return await queries.active_rules(tx, caller.tenant_id)


@router.get("/api/v1/routing/rules/{version}")
async def get_version(version: VersionNumber, tx: Reading, caller: Reader) -> RulesView:
    """One version."""
    return await queries.version_of(tx, caller.tenant_id, version)


@router.post("/api/v1/routing/rules/{version}/activate", response_model=ActivatedView)
async def post_activate(version: VersionNumber, write: Writing, caller: Editor) -> Response:
    """Let a version count from now on; an older one too, which takes a newer one back."""
    return await write(
        activate_rules,
        Activate(caller.tenant_id, version, caller.actor),
        answer=lambda made: ActivatedView(version=made.version, previous=made.previous),
    )


@router.post("/api/v1/routing/preview", response_model=DecisionView)
async def post_preview(
    body: Routable,
    write: Writing,
    caller: Reader,
    providers: Catalogue,
) -> Response:
    """Where such a payment would go now, and why; nothing is charged. Kept for thirty days."""
    chance = random.randrange(CHANCE_MAX)  # noqa: S311
    return await write(
        route_payments,
        RouteRequest(caller.tenant_id, "preview", body, providers, chance, caller.actor),
        answer=_decided,
    )


def _decided(made: Decided) -> DecisionView:
    decision = made.decision
    DECISIONS.labels(made.purpose, decision.chosen or "", decision.reason).inc()
    return DecisionView(
        id=made.id,
        purpose=made.purpose,
        rules_version=made.rules_version,
        rule=decision.rule,
        chosen=decision.chosen,
        reason=decision.reason,
        degraded=decision.degraded,
        considered=decision.considered,
        inputs=made.inputs,
        decided_by=made.decided_by,
        decided_at=made.decided_at,
    )


@router.get("/api/v1/routing/decisions", response_model=Page[DecisionView])
async def get_decisions(
    tx: Reading,
    caller: Reader,
    purpose: Purpose | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Decisions, the newest first: candidates, inputs, scores and reason of each."""
    found = await queries.decisions_of(
        tx, caller.tenant_id, purpose=purpose, after=after(cursor), limit=limit + 1
    )
    return page(found, limit, lambda view: view.id)


@router.get("/api/v1/routing/decisions/{decision_id}")
async def get_decision(decision_id: UUID, tx: Reading, caller: Reader) -> DecisionView:
    """One decision."""
    return await queries.decision_of(tx, caller.tenant_id, decision_id)


@router.post("/api/v1/routing/replay")
async def post_replay(
    body: ReplayBody, tx: Reading, caller: Reader, providers: Catalogue
) -> Replayed:
    """What rules would have chosen, and what would differ; nothing is kept."""
    if body.rules is None:
        assert body.version is not None
        rules = (await queries.version_of(tx, caller.tenant_id, body.version)).rules
    else:
        rules = body.rules
    if body.payments is not None:
        return replay(await _given(tx, caller, body, providers), rules)
    past = await queries.decisions_of(
        tx, caller.tenant_id, purpose=body.purpose, after=None, limit=body.decisions
    )
    return replay(queries.cases_of(past), rules)


async def _given(
    tx: Reading, caller: Caller, body: ReplayBody, providers: Sequence[Capabilities]
) -> list[Case]:
    """Given payments beside what the rules that count would choose for them now."""
    active = (await select_active(tx, [caller.tenant_id]))[caller.tenant_id]
    known = await select_health(tx)
    draws = random.Random(body.seed)  # noqa: S311
    cases: list[Case] = []
    for routable in body.payments or []:
        inputs = Inputs(
            routable=routable,
            candidates=candidates_of(providers, known, routable.asset, tx.now),
            chance=draws.randrange(CHANCE_MAX),
        )
        cases.append((None, inputs, choose(inputs, active.rules)))
    return cases
