"""SQL of webhook deliveries: queue, claim, attempts, and the health of endpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Database, Tx
from notification.domain.deliveries import Claim, Health, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """An event as receivers get it."""

    tenant_id: UUID
    id: UUID
    type: str
    invoice_id: UUID | None
    body: bytes


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """An event that is to reach an endpoint."""

    tenant_id: UUID
    id: UUID
    endpoint_id: UUID
    event_id: UUID
    generation: int = 1


async def subscribed(
    tx: Tx, events: Sequence[tuple[UUID, UUID, str]]
) -> list[tuple[UUID, UUID, UUID]]:
    """Of these (tenant, event, type): which enabled endpoint wants which (tenant, endpoint, event).

    The pattern rule is that of `domain.event_types.matches`.
    """
    rows = await tx.fetch(
        """
        select e.tenant_id, e.id as endpoint_id, ev.event_id
        from unnest($1::uuid[], $2::uuid[], $3::text[]) with ordinality
            as ev(tenant_id, event_id, type, place)
        join webhook_endpoint e on e.tenant_id = ev.tenant_id and e.state = 'enabled'
        where exists (
            select from unnest(e.event_types) as p(pattern)
            where pattern = '*' or pattern = ev.type
               or (right(pattern, 2) = '.*' and starts_with(ev.type, left(pattern, -1))))
        order by ev.place, e.id
        """,
        [tenant for tenant, _, _ in events],
        [event for _, event, _ in events],
        [kind for _, _, kind in events],
    )
    return [(row["tenant_id"], row["endpoint_id"], row["event_id"]) for row in rows]


async def insert_events(tx: Tx, events: Sequence[WebhookEvent]) -> None:
    """Keep bodies, each once."""
    await tx.execute(
        """
        insert into webhook_event (tenant_id, id, type, invoice_id, body)
        select tenant_id, id, type, invoice_id, body
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::bytea[])
            as e(tenant_id, id, type, invoice_id, body)
        order by tenant_id, id
        on conflict (tenant_id, id) do nothing
        """,
        [event.tenant_id for event in events],
        [event.id for event in events],
        [event.type for event in events],
        [event.invoice_id for event in events],
        [event.body for event in events],
    )


async def insert_deliveries(tx: Tx, deliveries: Sequence[NewDelivery]) -> None:
    """Queue deliveries; one that exists for this endpoint, event and generation stays."""
    await tx.execute(
        """
        insert into webhook_delivery (tenant_id, id, endpoint_id, event_id, generation, next_at)
        select tenant_id, id, endpoint_id, event_id, generation, now()
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::int[])
            as d(tenant_id, id, endpoint_id, event_id, generation)
        order by tenant_id, endpoint_id, event_id, generation
        on conflict (tenant_id, endpoint_id, event_id, generation) do nothing
        """,
        [delivery.tenant_id for delivery in deliveries],
        [delivery.id for delivery in deliveries],
        [delivery.endpoint_id for delivery in deliveries],
        [delivery.event_id for delivery in deliveries],
        [delivery.generation for delivery in deliveries],
    )


# Walks the endpoints with something pending (one index probe each), takes what is due of each
# within its limit, then lets tenants take turns. Endpoints that fail get few connections, so a
# receiver that hangs can hold neither its tenant's other endpoints nor other tenants.
_CLAIM = """
with recursive place as (
    (select tenant_id, endpoint_id from webhook_delivery where state = 'pending'
     order by tenant_id, endpoint_id limit 1)
    union all
    select n.tenant_id, n.endpoint_id from place p cross join lateral (
        select d.tenant_id, d.endpoint_id from webhook_delivery d
        where d.state = 'pending' and (d.tenant_id, d.endpoint_id) > (p.tenant_id, p.endpoint_id)
        order by d.tenant_id, d.endpoint_id limit 1) n
), due as materialized (
    select d.tenant_id, d.id, d.next_at, e.failing_since is not null as failing,
           coalesce(b.in_flight, 0) as in_flight
    from place p
    join webhook_endpoint e
        on e.tenant_id = p.tenant_id and e.id = p.endpoint_id and e.state = 'enabled'
    left join unnest($4::uuid[], $5::int[]) as b(tenant_id, in_flight)
        on b.tenant_id = p.tenant_id
    left join unnest($6::uuid[], $7::int[]) as h(endpoint_id, in_flight)
        on h.endpoint_id = p.endpoint_id
    cross join lateral (
        select d.tenant_id, d.id, d.next_at from webhook_delivery d
        where d.tenant_id = p.tenant_id and d.endpoint_id = p.endpoint_id
          and d.state = 'pending' and d.next_at <= now()
        order by d.next_at
        limit greatest(0, case when e.failing_since is null then $2::int
                               else 2 - coalesce(h.in_flight, 0) end)
        for update skip locked) d
), turn as (
    select tenant_id, id, failing, in_flight,
           row_number() over (partition by tenant_id order by failing, next_at, id) as place,
           row_number() over (partition by failing order by next_at, id) as lane
    from due
), chosen as (
    select tenant_id, id, failing from turn
    where place + in_flight <= $2 and (not failing or lane <= $3)
    order by failing, place + in_flight, id limit $1
), claimed as (
    update webhook_delivery d
    set state = 'delivering', attempt = d.attempt + 1,
        lease_until = clock_timestamp() + make_interval(secs => $8)
    from chosen c where d.tenant_id = c.tenant_id and d.id = c.id
    returning d.tenant_id, d.id, d.endpoint_id, d.event_id, d.attempt, c.failing
)
select c.tenant_id, c.id, c.endpoint_id, c.event_id, c.attempt, c.failing, v.invoice_id, v.body,
       e.url, e.secret,
       case when e.previous_secret_until > clock_timestamp() then e.previous_secret end as previous
from claimed c
join webhook_event v on v.tenant_id = c.tenant_id and v.id = c.event_id
join webhook_endpoint e on e.tenant_id = c.tenant_id and e.id = c.endpoint_id
order by c.failing, c.id
"""


@dataclass(frozen=True, slots=True)
class Room:
    """How much a process can take on."""

    total: int
    per_tenant: int
    failing: int
    """Of `total`, for endpoints whose last attempt failed."""
    in_flight: dict[UUID, int]
    """Per tenant, now."""
    at_endpoints: dict[UUID, int]
    """Per endpoint, now."""
    lease_s: int


async def claim_deliveries(tx: Tx, room: Room) -> list[Claim]:
    """Take what is due, tenants in turns."""
    rows = await tx.fetch(
        _CLAIM,
        room.total,
        room.per_tenant,
        room.failing,
        list(room.in_flight),
        list(room.in_flight.values()),
        list(room.at_endpoints),
        list(room.at_endpoints.values()),
        room.lease_s,
    )
    return [
        Claim(
            tenant_id=row["tenant_id"],
            delivery_id=row["id"],
            endpoint_id=row["endpoint_id"],
            event_id=row["event_id"],
            invoice_id=row["invoice_id"],
            attempt=row["attempt"],
            failing=row["failing"],
            url=row["url"],
            secrets=tuple(s for s in (row["secret"], row["previous"]) if s is not None),
            body=row["body"],
        )
        for row in rows
    ]


async def release_expired(tx: Tx, limit: int) -> int:
    """Give back what a process that died had taken; its attempt is logged as lost."""
    rows = await tx.fetch(
        """
        with expired as materialized (
            select tenant_id, id from webhook_delivery
            where state = 'delivering' and lease_until < now()
            order by lease_until limit $1 for update skip locked
        ), released as (
            update webhook_delivery d set state = 'pending', lease_until = null
            from expired x where d.tenant_id = x.tenant_id and d.id = x.id
            returning d.tenant_id, d.id, d.attempt
        )
        insert into webhook_attempt (tenant_id, delivery_id, attempt, at, error, duration_ms)
        select tenant_id, id, attempt, clock_timestamp(), 'lost', 0 from released
        on conflict (tenant_id, delivery_id, attempt) do nothing
        returning delivery_id
        """,
        limit,
    )
    return len(rows)


async def cancel_unreachable(tx: Tx, limit: int) -> None:
    """Cancel what waits for an endpoint that is disabled or deleted, so many at a time."""
    await tx.execute(
        """
        with waiting as materialized (
            select d.tenant_id, d.id from webhook_endpoint e cross join lateral (
                select w.tenant_id, w.id from webhook_delivery w
                where w.tenant_id = e.tenant_id and w.endpoint_id = e.id and w.state = 'pending'
                limit $1 for update skip locked) d
            where e.state <> 'enabled' limit $1
        )
        update webhook_delivery d
        set state = 'canceled', reason = 'endpoint_not_enabled', finished_at = now()
        from waiting w where d.tenant_id = w.tenant_id and d.id = w.id
        """,
        limit,
    )


async def give_back(tx: Tx, claims: Sequence[Claim]) -> None:
    """Return claims whose attempt was broken off by a shutdown, to be attempted at once."""
    await tx.execute(
        """
        update webhook_delivery d set state = 'pending', lease_until = null, next_at = now()
        from unnest($1::uuid[], $2::uuid[], $3::int[]) as c(tenant_id, id, attempt)
        where d.tenant_id = c.tenant_id and d.id = c.id and d.attempt = c.attempt
          and d.state = 'delivering'
        """,
        [claim.tenant_id for claim in claims],
        [claim.delivery_id for claim in claims],
        [claim.attempt for claim in claims],
    )


async def insert_attempts(tx: Tx, outcomes: Sequence[Outcome]) -> None:
    """Log attempts; one that was thought lost is corrected."""
    await tx.execute(
        """
        insert into webhook_attempt as a
            (tenant_id, delivery_id, attempt, at, status_code, error, duration_ms, answer)
        select tenant_id, delivery_id, attempt, at, status_code, error, duration_ms, answer
        from unnest($1::uuid[], $2::uuid[], $3::int[], $4::timestamptz[], $5::int[], $6::text[],
                    $7::int[], $8::text[])
            as o(tenant_id, delivery_id, attempt, at, status_code, error, duration_ms, answer)
        order by tenant_id, delivery_id, attempt
        on conflict (tenant_id, delivery_id, attempt) do update
        set at = excluded.at, status_code = excluded.status_code, error = excluded.error,
            duration_ms = excluded.duration_ms, answer = excluded.answer
        """,
        [outcome.claim.tenant_id for outcome in outcomes],
        [outcome.claim.delivery_id for outcome in outcomes],
        [outcome.claim.attempt for outcome in outcomes],
        [outcome.at for outcome in outcomes],
        [outcome.answer.status_code for outcome in outcomes],
        [outcome.answer.error for outcome in outcomes],
        [outcome.duration_ms for outcome in outcomes],
        [outcome.answer.excerpt for outcome in outcomes],
    )


async def update_deliveries(tx: Tx, verdicts: Sequence[tuple[Outcome, Verdict]]) -> set[UUID]:
    """Move deliveries on; those that moved. A later attempt or a cancellation is not undone."""
    rows = await tx.fetch(
        """
        update webhook_delivery d
        set state = v.state, lease_until = null, reason = v.reason,
            next_at = clock_timestamp() + make_interval(secs => v.delay_s),
            finished_at = case when v.state = 'pending' then null else clock_timestamp() end
        from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::int[], $6::text[])
            as v(tenant_id, id, attempt, state, delay_s, reason)
        where d.tenant_id = v.tenant_id and d.id = v.id and d.attempt = v.attempt
          and d.state in ('delivering', 'pending')
        returning d.id
        """,
        [outcome.claim.tenant_id for outcome, _ in verdicts],
        [outcome.claim.delivery_id for outcome, _ in verdicts],
        [outcome.claim.attempt for outcome, _ in verdicts],
        [verdict.state.value for _, verdict in verdicts],
        [verdict.delay_s for _, verdict in verdicts],
        [verdict.reason for _, verdict in verdicts],
    )
    return {row["id"] for row in rows}


async def lock_health(tx: Tx, endpoints: Sequence[tuple[UUID, UUID]]) -> list[Health]:
    """How these (tenant, endpoint) do, locked."""
    rows = await tx.fetch(
        """
        select tenant_id, id, state, failing_since, disabled_reason from webhook_endpoint
        where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, id for no key update
        """,
        [tenant for tenant, _ in endpoints],
        [endpoint for _, endpoint in endpoints],
    )
    return [
        Health(
            row["tenant_id"],
            row["id"],
            row["state"] == "enabled",
            row["failing_since"],
            row["disabled_reason"],
        )
        for row in rows
    ]


async def update_health(tx: Tx, changed: Sequence[Health]) -> None:
    """Save how endpoints do."""
    await tx.execute(
        """
        update webhook_endpoint e
        set failing_since = h.failing_since, disabled_reason = h.disabled_reason,
            state = case when h.enabled then 'enabled' else 'disabled' end, updated_at = now(),
            version = e.version + case when h.enabled then 0 else 1 end
        from unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::timestamptz[], $5::text[])
            as h(tenant_id, id, enabled, failing_since, disabled_reason)
        where e.tenant_id = h.tenant_id and e.id = h.id and e.state = 'enabled'
        """,
        [health.tenant_id for health in changed],
        [health.endpoint_id for health in changed],
        [health.enabled for health in changed],
        [health.failing_since for health in changed],
        [health.disabled_reason for health in changed],
    )


async def any_due(database: Database) -> bool:
    """Whether a delivery is due: one index probe, before the claim's walk."""
    due: bool = await database.fetchval(
        "select exists (select from webhook_delivery where state = 'pending' and next_at <= now())"
    )
    return due
