"""Webhooks as they came."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from invoiceos_contracts import PLATFORM
from messaging import Tx
from provider_orchestrator.domain.adapters import Hint, Webhook


@dataclass(frozen=True, slots=True)
class Delivered:
    """A webhook whose signature was good."""

    provider: str
    webhook: Webhook
    hint: Hint
    tenant_id: UUID = PLATFORM


@dataclass(frozen=True, slots=True)
class Kept:
    """A webhook whose object is still to be read."""

    provider: str
    event_id: str
    hints: tuple[str, ...]
    tries: int

    @property
    def key(self) -> tuple[str, str]:
        """Unique."""
        return (self.provider, self.event_id)


async def insert_webhooks(tx: Tx, delivered: Sequence[Delivered]) -> None:
    """Keep events that are new; what was kept stays as it was."""
    await tx.execute(
        """
        insert into provider_webhook (provider, event_id, event_type, body, headers, hints, state,
                                      due_at)
        select provider, event_id, event_type, body, headers,
               coalesce(array(select jsonb_array_elements_text(hints::jsonb)), '{}'), 'received', $7
        from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::jsonb[], $6::text[])
            as w(provider, event_id, event_type, body, headers, hints)
        order by provider, event_id
        on conflict (provider, event_id) do nothing
        """,
        [one.provider for one in delivered],
        [one.hint.event_id for one in delivered],
        [one.hint.event_type for one in delivered],
        [one.webhook.body for one in delivered],
        [dict(one.webhook.headers) for one in delivered],
        # As text: lists in a list would be sent as an array of two dimensions.
        [json.dumps(one.hint.references) for one in delivered],
        tx.now,
    )


async def lock_due(tx: Tx, limit: int) -> list[Kept]:
    """Webhooks to be followed now, locked."""
    rows = await tx.fetch(
        """
        select provider, event_id, hints, tries from provider_webhook where due_at <= $1
        order by due_at limit $2 for update skip locked
        """,
        tx.now,
        limit,
    )
    return [
        Kept(row["provider"], row["event_id"], tuple(row["hints"]), row["tries"]) for row in rows
    ]


async def hasten(tx: Tx, kept: Sequence[Kept]) -> set[tuple[str, str]]:
    """Have the attempts they point at asked after now; the webhooks that point at one."""
    hints = [(one.provider, one.event_id, hint) for one in kept for hint in one.hints]
    rows = await tx.fetch(
        """
        with pointed as materialized (
            select h.provider, h.event_id, a.tenant_id, a.id
            from unnest($1::text[], $2::text[], $3::text[]) as h(provider, event_id, hint)
            join payment_attempt as a on a.provider = h.provider and a.provider_reference = h.hint
            union
            select h.provider, h.event_id, a.tenant_id, a.id
            from unnest($1::text[], $2::text[], $3::text[]) as h(provider, event_id, hint)
            join payment_attempt as a on a.provider = h.provider and a.id = case
                when h.hint ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then h.hint::uuid end
        ), mine as materialized (
            select a.tenant_id, a.id from payment_attempt as a
            join (select distinct tenant_id, id from pointed) as p using (tenant_id, id)
            where a.state <> 'created' order by a.tenant_id, a.id for update of a
        ), hastened as (
            update payment_attempt as a set due_at = $4 from mine
            where a.tenant_id = mine.tenant_id and a.id = mine.id
            returning a.id
        )
        select distinct provider, event_id from pointed
        """,
        [provider for provider, _, _ in hints],
        [event for _, event, _ in hints],
        [hint for _, _, hint in hints],
        tx.now,
    )
    return {(row["provider"], row["event_id"]) for row in rows}


async def save_followed(
    tx: Tx,
    kept: Sequence[Kept],
    found: set[tuple[str, str]],
    later: Mapping[tuple[str, str], datetime],
) -> None:
    """Write what became of them; one that points at nothing of ours is looked at again."""
    states = [
        "followed" if one.key in found else "received" if one.key in later else "nobodys"
        for one in kept
    ]
    await tx.execute(
        """
        update provider_webhook as w set state = n.state, due_at = n.due_at, tries = w.tries + 1
        from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
            as n(provider, event_id, state, due_at)
        where w.provider = n.provider and w.event_id = n.event_id
        """,
        [one.provider for one in kept],
        [one.event_id for one in kept],
        states,
        [later.get(one.key) for one in kept],
    )


async def hasten_deposits(tx: Tx, provider: str, came: Mapping[str, int]) -> int:
    """Have attempts asked after to which more came than they captured; how many."""
    rows = await tx.fetch(
        """
        with mine as materialized (
            select a.tenant_id, a.id from payment_attempt as a
            join unnest($2::text[], $3::bigint[]) as n(reference, minor)
                on a.provider = $1 and a.provider_reference = n.reference
            where a.kind = 'collect' and coalesce(a.captured_minor, 0) < n.minor
            order by a.tenant_id, a.id for update of a)
        update payment_attempt as a set due_at = $4 from mine
        where a.tenant_id = mine.tenant_id and a.id = mine.id
        returning a.id
        """,
        provider,
        list(came),
        list(came.values()),
        tx.now,
    )
    return len(rows)
