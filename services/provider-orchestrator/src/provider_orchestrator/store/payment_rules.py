"""Versions of payment rules, which of them counts, and what was decided by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.payment_rules import (
    STANDARD,
    PaymentFacts,
    PaymentRules,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """Rules as they were written once."""

    tenant_id: UUID
    version: int
    rules: PaymentRules
    note: str | None
    created_by: str


@dataclass(frozen=True, slots=True)
class ActiveRules:
    """The rules that count for a tenant; no version where nobody has said anything."""

    version: int | None = None
    rules: PaymentRules = STANDARD


@dataclass(frozen=True, slots=True)
class RulesActivation:
    """Somebody made a version count."""

    tenant_id: UUID
    version: int
    previous: int | None
    activated_by: str


@dataclass(frozen=True, slots=True)
class Ruled:
    """A decision, and what it was made of."""

    tenant_id: UUID
    intent_id: UUID | None
    """None where the payment was refused."""
    stage: str
    rules_version: int | None
    facts: PaymentFacts
    verdict: Verdict


async def take_versions(tx: Tx, wanted: Mapping[UUID, int]) -> dict[UUID, int]:
    """The first of this many new version numbers, by tenant."""
    rows = await tx.fetch(
        """
        insert into payment_rules_head as h (tenant_id, versions)
        select tenant_id, wanted from unnest($1::uuid[], $2::int[]) as w(tenant_id, wanted)
        order by tenant_id
        on conflict (tenant_id) do update set versions = h.versions + excluded.versions
        returning tenant_id, versions
        """,
        list(wanted),
        list(wanted.values()),
    )
    return {row["tenant_id"]: row["versions"] - wanted[row["tenant_id"]] + 1 for row in rows}


async def insert_versions(tx: Tx, versions: Sequence[RulesVersion]) -> None:
    """Keep new versions; none of them counts yet."""
    await tx.execute(
        """
        insert into payment_rules (tenant_id, version, document, note, created_by, created_at)
        select tenant_id, version, document, note, created_by, $6
        from unnest($1::uuid[], $2::int[], $3::jsonb[], $4::text[], $5::text[])
            as v(tenant_id, version, document, note, created_by)
        """,
        [one.tenant_id for one in versions],
        [one.version for one in versions],
        [one.rules.model_dump(mode="json", exclude_defaults=True) for one in versions],
        [one.note for one in versions],
        [one.created_by for one in versions],
        tx.now,
    )


async def lock_heads(tx: Tx, tenants: Sequence[UUID]) -> dict[UUID, tuple[int, int | None]]:
    """How many versions there are and which one counts, locked, by tenant."""
    rows = await tx.fetch(
        """
        select tenant_id, versions, active from payment_rules_head
        where tenant_id = any($1::uuid[]) order by tenant_id for update
        """,
        list(tenants),
    )
    return {row["tenant_id"]: (row["versions"], row["active"]) for row in rows}


async def activate(tx: Tx, activations: Sequence[RulesActivation]) -> None:
    """Let versions count, and keep who said so; the last one of each tenant wins."""
    last = {one.tenant_id: one.version for one in activations}
    await tx.execute(
        """
        update payment_rules_head as h set active = a.version
        from unnest($1::uuid[], $2::int[]) as a(tenant_id, version)
        where h.tenant_id = a.tenant_id
        """,
        list(last),
        list(last.values()),
    )
    await tx.execute(
        """
        insert into payment_rules_activation (tenant_id, id, version, previous, activated_by,
                                              activated_at)
        select tenant_id, id, version, previous, activated_by, $6
        from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::text[])
            as a(tenant_id, id, version, previous, activated_by)
        """,
        [one.tenant_id for one in activations],
        [tx.new_id() for _ in activations],
        [one.version for one in activations],
        [one.previous for one in activations],
        [one.activated_by for one in activations],
        tx.now,
    )


async def select_active(tx: Tx, tenants: Sequence[UUID]) -> dict[UUID, ActiveRules]:
    """The rules that count, by tenant."""
    rows = await tx.fetch(
        """
        select h.tenant_id, r.version, r.document from payment_rules_head as h
        join payment_rules as r on r.tenant_id = h.tenant_id and r.version = h.active
        where h.tenant_id = any($1::uuid[])
        """,
        list(tenants),
    )
    kept = {
        row["tenant_id"]: ActiveRules(row["version"], rules_of(row["document"])) for row in rows
    }
    return {tenant: kept.get(tenant, ActiveRules()) for tenant in tenants}


def rules_of(document: Any) -> PaymentRules:
    """Rules as they were kept."""
    return PaymentRules.model_validate(document)


async def insert_ruled(tx: Tx, ruled: Sequence[Ruled]) -> None:
    """Keep decisions for good."""
    await tx.execute(
        """
        insert into payment_rules_decision (tenant_id, id, intent_id, stage, rules_version, facts,
                                            verdict, decided_at)
        select tenant_id, id, intent_id, stage, rules_version, facts, verdict, $8
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::jsonb[],
                    $7::jsonb[])
            as d(tenant_id, id, intent_id, stage, rules_version, facts, verdict)
        """,
        [one.tenant_id for one in ruled],
        [tx.new_id() for _ in ruled],
        [one.intent_id for one in ruled],
        [one.stage for one in ruled],
        [one.rules_version for one in ruled],
        [one.facts.model_dump(mode="json") for one in ruled],
        [one.verdict.model_dump(mode="json") for one in ruled],
        tx.now,
    )


async def select_refund_sources(tx: Tx, payments: Sequence[tuple[UUID, UUID]]) -> dict[UUID, str]:
    """Whose money gives these payments back by the terms they were begun under, by payment."""
    rows = await tx.fetch(
        """
        select p.id, i.rules_verdict -> 'terms' ->> 'refund_source' as source
        from payment as p
        join payment_intent as i on i.tenant_id = p.tenant_id and i.id = p.intent_id
        where (p.tenant_id, p.id) in (select * from unnest($1::uuid[], $2::uuid[]))
          and i.rules_verdict is not null
        """,
        [tenant for tenant, _ in payments],
        [payment for _, payment in payments],
    )
    return {row["id"]: row["source"] for row in rows}
