"""Versions of routing rules, and the decisions that were made."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, TypeAdapter

from messaging import Tx
from provider_orchestrator.domain.replays import Case
from provider_orchestrator.domain.routing import Considered, Decision, Inputs, Reason
from provider_orchestrator.domain.routing_rules import RoutingRules
from provider_orchestrator.errors import DecisionNotFound, RulesNotFound
from provider_orchestrator.store.routing import Active, rules_of, select_active

_CONSIDERED = TypeAdapter(tuple[Considered, ...])


class RulesView(BaseModel):
    """A version of the routing rules."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    version: int | None
    """Null for the rules that hold as long as none are activated: Tempo first."""
    active: bool
    rules: RoutingRules
    note: str | None
    created_by: str | None
    created_at: datetime | None
    activated_by: str | None
    """Who made it count last; null where nobody ever did."""
    activated_at: datetime | None


class DecisionView(BaseModel):
    """Where a payment went, or would go, and why."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    purpose: str
    """`payment`, or `preview` for one that was only asked about."""
    rules_version: int | None
    """Null where the standard rules held."""
    rule: str | None
    """The rule that decided; null where `otherwise` did."""
    chosen: str | None
    """Provider and rail; null where there is none."""
    reason: Reason
    degraded: bool
    considered: Sequence[Considered]
    """What was thought of each candidate."""
    inputs: Inputs
    """All that the choice was made of, but for the rules."""
    decided_by: str
    decided_at: datetime


_RULES = """
    select r.version, r.document, r.note, r.created_by, r.created_at,
           r.version is not distinct from h.active as active, a.activated_by, a.activated_at
    from routing_rules as r
    join routing_head as h using (tenant_id)
    left join lateral (
        select activated_by, activated_at from routing_activation as o
        where o.tenant_id = r.tenant_id and o.version = r.version order by o.id desc limit 1
    ) as a on true
"""


async def versions_of(tx: Tx, tenant_id: UUID, *, below: int | None, limit: int) -> list[RulesView]:
    """The newest versions."""
    rows = await tx.fetch(
        f"{_RULES} where r.tenant_id = $1 and ($2::int is null or r.version < $2)"
        " order by r.version desc limit $3",
        tenant_id,
        below,
        limit,
    )
    return [_rules(row) for row in rows]


async def version_of(tx: Tx, tenant_id: UUID, version: int) -> RulesView:
    """One version; raises `RulesNotFound`."""
    row = await tx.fetchrow(
        f"{_RULES} where r.tenant_id = $1 and r.version = $2", tenant_id, version
    )
    if row is None:
        raise RulesNotFound
    return _rules(row)


async def active_rules(tx: Tx, tenant_id: UUID) -> RulesView:
    """The rules that count: those that were activated, or the standard."""
    active: Active = (await select_active(tx, [tenant_id]))[tenant_id]
    if active.version is not None:
        return await version_of(tx, tenant_id, active.version)
    return RulesView(
        version=None,
        active=True,
        rules=active.rules,
        note="What holds for everyone who has activated no rules",
        created_by=None,
        created_at=None,
        activated_by=None,
        activated_at=None,
    )


def _rules(row: Any) -> RulesView:
    return RulesView(
        version=row["version"],
        active=row["active"],
        rules=rules_of(row["document"]),
        note=row["note"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        activated_by=row["activated_by"],
        activated_at=row["activated_at"],
    )


_DECISION = """
    select id, purpose, rules_version, rule, chosen, reason, degraded, considered, inputs,
           decided_by, decided_at
    from routing_decision
"""


async def decisions_of(
    tx: Tx, tenant_id: UUID, *, purpose: str | None, after: UUID | None, limit: int
) -> list[DecisionView]:
    """The newest decisions."""
    rows = await tx.fetch(
        f"{_DECISION} where tenant_id = $1 and ($2::text is null or purpose = $2)"
        " and ($3::uuid is null or id < $3) order by id desc limit $4",
        tenant_id,
        purpose,
        after,
        limit,
    )
    return [_decision(row) for row in rows]


async def decision_of(tx: Tx, tenant_id: UUID, decision_id: UUID) -> DecisionView:
    """One decision; raises `DecisionNotFound`."""
    row = await tx.fetchrow(f"{_DECISION} where tenant_id = $1 and id = $2", tenant_id, decision_id)
    if row is None:
        raise DecisionNotFound
    return _decision(row)


def _decision(row: Any) -> DecisionView:
    return DecisionView(
        **{
            **row,
            "reason": Reason(row["reason"]),
            "considered": _CONSIDERED.validate_python(row["considered"]),
            "inputs": Inputs.model_validate(row["inputs"]),
        }
    )


def cases_of(decisions: Sequence[DecisionView]) -> list[Case]:
    """Decisions of the past, to be made again by other rules."""
    return [
        (
            one.id,
            one.inputs,
            Decision(
                chosen=one.chosen,
                reason=one.reason,
                degraded=one.degraded,
                rule=one.rule,
                considered=tuple(one.considered),
            ),
        )
        for one in decisions
    ]
