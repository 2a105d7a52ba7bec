"""SQL of partners, and of what came in by their topics."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.domain.partners import Partner, patterns_of
from messaging import Tx

COLUMNS = "tenant_id, name, state, event_types, created_by, created_at, revoked_at"


@dataclass(frozen=True, slots=True)
class Entry:
    """A request, or a record that was turned away, as it is first stored."""

    tenant_id: UUID
    id: UUID
    partner: str
    request_id: str | None
    state: str
    code: str | None
    body_hash: bytes | None
    partition: int
    record_offset: int


def partner_of(row: dict[str, object]) -> Partner:
    """A partner out of its row."""
    return Partner(**{**row, "event_types": tuple(row["event_types"])})  # type: ignore[arg-type]


async def partners_named(tx: Tx, names: Iterable[str], *, lock: bool = False) -> dict[str, Partner]:
    """Partners by name that may be seen; locked in the order of their names if asked for."""
    rows = await tx.fetch(
        f"select {COLUMNS} from partner where name = any($1) order by name"
        + (" for update" if lock else ""),
        sorted(set(names)),
    )
    return {row["name"]: partner_of(dict(row)) for row in rows}


async def known_tenants(tx: Tx, tenant_ids: Iterable[UUID]) -> set[UUID]:
    """Those of these companies that exist."""
    rows = await tx.fetch(
        "select tenant_id from tenant where tenant_id = any($1)", sorted(set(tenant_ids))
    )
    return {row["tenant_id"] for row in rows}


async def insert_partners(tx: Tx, partners: Sequence[Partner]) -> set[str]:
    """Store partners; the names that were free. Names are one space for all tenants.

    Patterns travel joined by spaces, for arrays of PostgreSQL cannot be ragged.
    """
    rows = await tx.fetch(
        """
        insert into partner (tenant_id, name, event_types, created_by, created_at)
        select tenant_id, name, string_to_array(event_types, ' '), created_by, created_at
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
            as p(tenant_id, name, event_types, created_by, created_at)
        order by name on conflict do nothing returning name
        """,
        [partner.tenant_id for partner in partners],
        [partner.name for partner in partners],
        [" ".join(partner.event_types) for partner in partners],
        [partner.created_by for partner in partners],
        [partner.created_at for partner in partners],
    )
    return {row["name"] for row in rows}


async def update_partners(tx: Tx, partners: Sequence[Partner]) -> None:
    """Store what partners want, and whether they are let in."""
    await tx.execute(
        """
        update partner p set state = c.state, revoked_at = c.revoked_at,
            event_types = string_to_array(c.event_types, ' ')
        from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
            as c(tenant_id, name, state, revoked_at, event_types)
        where p.tenant_id = c.tenant_id and p.name = c.name
        """,
        [partner.tenant_id for partner in partners],
        [partner.name for partner in partners],
        [partner.state for partner in partners],
        [partner.revoked_at for partner in partners],
        [" ".join(partner.event_types) for partner in partners],
    )


async def known_requests(
    tx: Tx, requests: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], bytes]:
    """Hash of the body of each of these requests (partner, its id) that was let in before."""
    wanted = sorted(set(requests))
    rows = await tx.fetch(
        """
        select r.partner, r.request_id, r.body_hash
        from unnest($1::text[], $2::text[]) as w(partner, request_id)
        join partner_request r using (partner, request_id) where r.state <> 'rejected'
        """,
        [partner for partner, _ in wanted],
        [request_id for _, request_id in wanted],
    )
    return {(row["partner"], row["request_id"]): row["body_hash"] for row in rows}


async def insert_entries(tx: Tx, entries: Sequence[Entry]) -> set[UUID]:
    """Store what came in; the ids of what nobody had stored before."""
    rows = await tx.fetch(
        """
        insert into partner_request (tenant_id, id, partner, request_id, state, code, body_hash,
            partition, record_offset, received_at)
        select tenant_id, id, partner, request_id, state, code, body_hash, partition,
               record_offset, $10
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::bytea[], $8::int[], $9::bigint[])
            as e(tenant_id, id, partner, request_id, state, code, body_hash, partition,
                 record_offset)
        order by tenant_id, id
        on conflict do nothing returning id
        """,
        [entry.tenant_id for entry in entries],
        [entry.id for entry in entries],
        [entry.partner for entry in entries],
        [entry.request_id for entry in entries],
        [entry.state for entry in entries],
        [entry.code for entry in entries],
        [entry.body_hash for entry in entries],
        [entry.partition for entry in entries],
        [entry.record_offset for entry in entries],
        tx.now,
    )
    return {row["id"] for row in rows}


async def answer_entries(
    tx: Tx, answers: Sequence[tuple[UUID, UUID, str, str | None]], now: datetime
) -> set[UUID]:
    """Store what became of requests (tenant, id, state, code); those without an answer so far."""
    ordered = sorted(answers, key=lambda answer: answer[:2])
    rows = await tx.fetch(
        """
        update partner_request r set state = a.state, code = a.code, answered_at = $5
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
            as a(tenant_id, id, state, code)
        where r.tenant_id = a.tenant_id and r.id = a.id and r.answered_at is null
        returning r.id
        """,
        [tenant_id for tenant_id, _, _, _ in ordered],
        [request for _, request, _, _ in ordered],
        [state for _, _, state, _ in ordered],
        [code for _, _, _, code in ordered],
        now,
    )
    return {row["id"] for row in rows}


async def wanting(tx: Tx, told: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], list[str]]:
    """Names of the active partners that want facts of these kinds (tenant, type)."""
    kinds = sorted(set(told))
    rows = await tx.fetch(
        """
        select k.tenant_id, k.type, p.name
        from unnest($1::uuid[], $2::text[], $3::text[]) as k(tenant_id, type, patterns)
        join partner p on p.tenant_id = k.tenant_id and p.state = 'active'
            and p.event_types && string_to_array(k.patterns, ' ')
        order by p.name
        """,
        [tenant_id for tenant_id, _ in kinds],
        [kind for _, kind in kinds],
        [" ".join(patterns_of(kind)) for _, kind in kinds],
    )
    found: dict[tuple[UUID, str], list[str]] = {}
    for row in rows:
        found.setdefault((row["tenant_id"], row["type"]), []).append(row["name"])
    return found
