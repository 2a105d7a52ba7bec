"""SQL of webhook endpoints and of single deliveries that people handle."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from messaging import Tx


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of a tenant's events."""

    tenant_id: UUID
    id: UUID
    version: int
    url: str
    description: str
    event_types: tuple[str, ...]
    state: str
    disabled_reason: str | None
    secret: dict[str, Any] | None
    """Sealed; None once deleted."""
    previous_secret: dict[str, Any] | None
    previous_secret_until: datetime | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


_COLUMNS = """tenant_id, id, version, url, description, event_types, state, disabled_reason, secret,
    previous_secret, previous_secret_until, failing_since, created_at, updated_at"""
_LOCK = f"""
select {_COLUMNS} from webhook_endpoint
where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[])) and state <> 'deleted'
order by tenant_id, id for update
"""
_SAVE = """
insert into webhook_endpoint as e (tenant_id, id, version, url, description, event_types, state,
    disabled_reason, secret, previous_secret, previous_secret_until, failing_since, created_at,
    updated_at)
select tenant_id, id, version, url, description,
       array(select jsonb_array_elements_text(event_types::jsonb)), state, disabled_reason,
       secret::jsonb, previous_secret::jsonb, previous_secret_until, failing_since, created_at,
       updated_at
from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[],
            $13::timestamptz[], $14::timestamptz[])
    as n(tenant_id, id, version, url, description, event_types, state, disabled_reason, secret,
         previous_secret, previous_secret_until, failing_since, created_at, updated_at)
on conflict (tenant_id, id) do update
set version = excluded.version, url = excluded.url, description = excluded.description,
    event_types = excluded.event_types, state = excluded.state,
    disabled_reason = excluded.disabled_reason, secret = excluded.secret,
    previous_secret = excluded.previous_secret,
    previous_secret_until = excluded.previous_secret_until,
    failing_since = excluded.failing_since, updated_at = excluded.updated_at
"""


def endpoint_of(row: Any) -> Endpoint:
    """A row as an endpoint."""
    return Endpoint(**{**row, "event_types": tuple(row["event_types"])})


async def lock_endpoints(tx: Tx, ids: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Endpoint]:
    """Endpoints of these (tenant, id) that are not deleted, locked; by id."""
    rows = await tx.fetch(_LOCK, [tenant for tenant, _ in ids], [one for _, one in ids])
    return {row["id"]: endpoint_of(row) for row in rows}


async def count_endpoints(tx: Tx, tenants: Sequence[UUID]) -> dict[UUID, int]:
    """How many endpoints tenants have."""
    rows = await tx.fetch(
        """
        select tenant_id, count(*) as endpoints from webhook_endpoint
        where tenant_id = any($1::uuid[]) and state <> 'deleted' group by tenant_id
        """,
        list(tenants),
    )
    return {row["tenant_id"]: row["endpoints"] for row in rows}


async def save_endpoints(tx: Tx, endpoints: Sequence[Endpoint]) -> None:
    """Insert or update endpoints, each given once."""
    ordered = sorted(endpoints, key=lambda endpoint: (endpoint.tenant_id, endpoint.id))
    await tx.execute(
        _SAVE,
        [endpoint.tenant_id for endpoint in ordered],
        [endpoint.id for endpoint in ordered],
        [endpoint.version for endpoint in ordered],
        [endpoint.url for endpoint in ordered],
        [endpoint.description for endpoint in ordered],
        [json.dumps(endpoint.event_types) for endpoint in ordered],
        [endpoint.state for endpoint in ordered],
        [endpoint.disabled_reason for endpoint in ordered],
        [_json(endpoint.secret) for endpoint in ordered],
        [_json(endpoint.previous_secret) for endpoint in ordered],
        [endpoint.previous_secret_until for endpoint in ordered],
        [endpoint.failing_since for endpoint in ordered],
        [endpoint.created_at for endpoint in ordered],
        [endpoint.updated_at for endpoint in ordered],
    )


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)


@dataclass(frozen=True, slots=True)
class DeliveryHead:
    """What a replay needs to know of a delivery."""

    tenant_id: UUID
    id: UUID
    endpoint_id: UUID
    event_id: UUID
    generation: int
    newest_generation: int
    unfinished: bool
    """Whether the event is still on its way to this endpoint, in any generation."""


async def select_heads(tx: Tx, ids: Sequence[tuple[UUID, UUID]]) -> dict[UUID, DeliveryHead]:
    """Deliveries of these (tenant, id) with what is known of their other generations; by id."""
    rows = await tx.fetch(
        """
        select d.tenant_id, d.id, d.endpoint_id, d.event_id, d.generation,
               g.newest_generation, g.unfinished
        from webhook_delivery d
        join unnest($1::uuid[], $2::uuid[]) as w(tenant_id, id)
            on d.tenant_id = w.tenant_id and d.id = w.id
        cross join lateral (
            select max(o.generation) as newest_generation,
                   bool_or(o.state in ('pending', 'delivering')) as unfinished
            from webhook_delivery o
            where o.tenant_id = d.tenant_id and o.endpoint_id = d.endpoint_id
              and o.event_id = d.event_id) g
        """,
        [tenant for tenant, _ in ids],
        [one for _, one in ids],
    )
    return {row["id"]: DeliveryHead(**row) for row in rows}
