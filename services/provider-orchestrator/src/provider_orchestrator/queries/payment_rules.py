"""Versions of payment rules, and what was decided by them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from invoiceos_contracts.ids import PaymentIntentId
from messaging import Tx
from provider_orchestrator.domain.payment_rules import PaymentFacts, PaymentRules, Verdict
from provider_orchestrator.domain.rule_replays import Case
from provider_orchestrator.errors import PaymentRulesNotFound
from provider_orchestrator.store.payment_rules import rules_of, select_active


class PaymentRulesView(BaseModel):
    """A version of the payment rules."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    version: int | None
    """Null for the terms that hold as long as no rules are activated."""
    active: bool
    rules: PaymentRules
    note: str | None
    created_by: str | None
    created_at: datetime | None
    activated_by: str | None
    """Who made it count last; null where nobody ever did."""
    activated_at: datetime | None


class RuledView(BaseModel):
    """What the rules made of a payment, and of what."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    intent_id: PaymentIntentId | None
    """Null where the payment was refused."""
    stage: str
    """`begun`, or `arrived` when money came."""
    rules_version: int | None
    """Null where the standard terms held."""
    facts: PaymentFacts
    verdict: Verdict
    decided_at: datetime


_RULES = """
    select r.version, r.document, r.note, r.created_by, r.created_at,
           r.version is not distinct from h.active as active, a.activated_by, a.activated_at
    from payment_rules as r
    join payment_rules_head as h using (tenant_id)
    left join lateral (
        select activated_by, activated_at from payment_rules_activation as o
        where o.tenant_id = r.tenant_id and o.version = r.version order by o.id desc limit 1
    ) as a on true
"""


async def versions_of(
    tx: Tx, tenant_id: UUID, *, below: int | None, limit: int
) -> list[PaymentRulesView]:
    """The newest versions."""
    rows = await tx.fetch(
        f"{_RULES} where r.tenant_id = $1 and ($2::int is null or r.version < $2)"
        " order by r.version desc limit $3",
        tenant_id,
        below,
        limit,
    )
    return [_view(row) for row in rows]


async def version_of(tx: Tx, tenant_id: UUID, version: int) -> PaymentRulesView:
    """One version; raises `PaymentRulesNotFound`."""
    row = await tx.fetchrow(
        f"{_RULES} where r.tenant_id = $1 and r.version = $2", tenant_id, version
    )
    if row is None:
        raise PaymentRulesNotFound
    return _view(row)


async def active_rules(tx: Tx, tenant_id: UUID) -> PaymentRulesView:
    """The rules that count: those that were activated, or the standard."""
    active = (await select_active(tx, [tenant_id]))[tenant_id]
    if active.version is not None:
        return await version_of(tx, tenant_id, active.version)
    return PaymentRulesView(
        version=None,
        active=True,
        rules=active.rules,
        note="What holds for everyone who has activated no rules",
        created_by=None,
        created_at=None,
        activated_by=None,
        activated_at=None,
    )


def _view(row: Any) -> PaymentRulesView:
    told = {name: value for name, value in row.items() if name != "document"}
    return PaymentRulesView(**told, rules=rules_of(row["document"]))


async def ruled_of(
    tx: Tx, tenant_id: UUID, *, intent_id: UUID | None, after: UUID | None, limit: int
) -> list[RuledView]:
    """The newest decisions."""
    rows = await tx.fetch(
        """
        select id, intent_id, stage, rules_version, facts, verdict, decided_at
        from payment_rules_decision
        where tenant_id = $1 and ($2::uuid is null or intent_id = $2)
          and ($3::uuid is null or id < $3) order by id desc limit $4
        """,
        tenant_id,
        intent_id,
        after,
        limit,
    )
    return [
        RuledView(
            **{
                **row,
                "facts": PaymentFacts.model_validate(row["facts"]),
                "verdict": Verdict.model_validate(row["verdict"]),
            }
        )
        for row in rows
    ]


def cases_of(ruled: Sequence[RuledView]) -> list[Case]:
    """Decisions of the past, to be made again by other rules."""
    return [(one.id, one.facts, one.verdict) for one in ruled]
