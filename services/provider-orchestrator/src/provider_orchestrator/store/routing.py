"""Versions of routing rules, which of them counts, and the decisions made by them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.routing import Decision, Inputs, Operation
from provider_orchestrator.domain.routing_rules import TEMPO_FIRST, RoutingRules


@dataclass(frozen=True, slots=True)
class Version:
    """Rules as they were written once."""

    tenant_id: UUID
    version: int
    rules: RoutingRules
    note: str | None
    created_by: str


@dataclass(frozen=True, slots=True)
class Active:
    """The rules that count for a tenant; no version where nobody has said anything."""

    version: int | None = None
    rules: RoutingRules = TEMPO_FIRST


@dataclass(frozen=True, slots=True)
class Activation:
    """Somebody made a version count."""

    tenant_id: UUID
    version: int
    previous: int | None
    activated_by: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, and what it was made of."""

    tenant_id: UUID
    id: UUID
    purpose: str
    rules_version: int | None
    inputs: Inputs
    decision: Decision
    decided_by: str
    decided_at: datetime


async def take_versions(tx: Tx, wanted: Mapping[UUID, int]) -> dict[UUID, int]:
    """The first of this many new version numbers, by tenant."""
    rows = await tx.fetch(
        """
        insert into routing_head as h (tenant_id, versions)
        select tenant_id, wanted from unnest($1::uuid[], $2::int[]) as w(tenant_id, wanted)
        order by tenant_id
        on conflict (tenant_id) do update set versions = h.versions + excluded.versions
        returning tenant_id, versions
        """,
        list(wanted),
        list(wanted.values()),
    )
    return {row["tenant_id"]: row["versions"] - wanted[row["tenant_id"]] + 1 for row in rows}


async def insert_versions(tx: Tx, versions: Sequence[Version]) -> None:
    """Keep new versions; none of them counts yet."""
    await tx.execute(
        """
        insert into routing_rules (tenant_id, version, document, note, created_by, created_at)
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
        select tenant_id, versions, active from routing_head
        where tenant_id = any($1::uuid[]) order by tenant_id for update
        """,
        list(tenants),
    )
    return {row["tenant_id"]: (row["versions"], row["active"]) for row in rows}


async def activate(tx: Tx, activations: Sequence[Activation]) -> None:
    """Let versions count, and keep who said so; the last one of each tenant wins."""
    last = {one.tenant_id: one.version for one in activations}
    await tx.execute(
        """
        update routing_head as h set active = a.version
        from unnest($1::uuid[], $2::int[]) as a(tenant_id, version)
        where h.tenant_id = a.tenant_id
        """,
        list(last),
        list(last.values()),
    )
    await tx.execute(
        """
        insert into routing_activation (tenant_id, id, version, previous, activated_by,
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


async def select_active(tx: Tx, tenants: Sequence[UUID]) -> dict[UUID, Active]:
    """The rules that count, by tenant."""
    rows = await tx.fetch(
        """
        select h.tenant_id, r.version, r.document from routing_head as h
        join routing_rules as r on r.tenant_id = h.tenant_id and r.version = h.active
        where h.tenant_id = any($1::uuid[])
        """,
        list(tenants),
    )
    kept = {row["tenant_id"]: Active(row["version"], rules_of(row["document"])) for row in rows}
    return {tenant: kept.get(tenant, Active()) for tenant in tenants}


def rules_of(document: Any) -> RoutingRules:
    """Rules as they were kept."""
    return RoutingRules.model_validate(document)


async def select_in_use(
    tx: Tx, kinds: Sequence[tuple[UUID, Operation, str]]
) -> dict[tuple[UUID, Operation, str], str]:
    """Where the last payment of a kind went by its score; the kinds are tenant, operation, asset.

    Probes, exploration and shares of a split say nothing of where payments usually go.
    """
    rows = await tx.fetch(
        """
        select k.tenant_id, k.operation, k.asset, last.chosen
        from (select distinct tenant_id, operation, asset
              from unnest($1::uuid[], $2::text[], $3::text[]) as n(tenant_id, operation, asset)
             ) as k
        cross join lateral (
            select d.chosen from routing_decision as d
            where d.tenant_id = k.tenant_id and d.operation = k.operation and d.asset = k.asset
              and d.purpose = 'payment' and d.reason in ('best', 'kept')
            order by d.id desc limit 1) as last
        """,
        [tenant for tenant, _, _ in kinds],
        [operation for _, operation, _ in kinds],
        [asset for _, _, asset in kinds],
    )
    return {
        (row["tenant_id"], Operation(row["operation"]), row["asset"]): row["chosen"] for row in rows
    }


async def insert_decisions(tx: Tx, decided: Sequence[Decided]) -> None:
    """Keep decisions for good."""
    rows = [
        (
            *(one.tenant_id, one.id, one.purpose, one.rules_version),
            *(one.inputs.routable.operation, one.inputs.routable.asset),
            one.inputs.routable.amount_minor,
            one.inputs.model_dump(mode="json"),
            # As text: lists in a list would be sent as an array of two dimensions.
            json.dumps(
                [candidate.model_dump(mode="json") for candidate in one.decision.considered]
            ),
            *(one.decision.chosen, one.decision.reason, one.decision.rule),
            *(one.decision.degraded, one.decided_by, one.decided_at),
        )
        for one in decided
    ]
    await tx.execute(
        """
        insert into routing_decision (
            tenant_id, id, purpose, rules_version, operation, asset, amount_minor, inputs,
            considered, chosen, reason, rule, degraded, decided_by, decided_at)
        select tenant_id, id, purpose, rules_version, operation, asset, amount_minor, inputs,
               considered::jsonb, chosen, reason, rule, degraded, decided_by, decided_at
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::text[],
                    $7::bigint[], $8::jsonb[], $9::text[], $10::text[], $11::text[], $12::text[],
                    $13::bool[], $14::text[], $15::timestamptz[])
            as d(tenant_id, id, purpose, rules_version, operation, asset, amount_minor, inputs,
                 considered, chosen, reason, rule, degraded, decided_by, decided_at)
        """,
        *[list(column) for column in zip(*rows, strict=True)],
    )


async def delete_previews(tx: Tx, before: datetime) -> int:
    """Forget decisions that nothing was done by; how many."""
    tag = await tx.execute(
        "delete from routing_decision where purpose = 'preview' and decided_at < $1", before
    )
    return int(tag.split()[-1])
