"""SQL of tenants and keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.domain.keys import ApiKey
from messaging import Tx


@dataclass(frozen=True, slots=True)
class Tenant:
    """A company on the platform."""

    tenant_id: UUID
    name: str
    created_at: datetime


async def admit_tenants(tx: Tx, tenant_ids: Sequence[UUID]) -> None:
    """Let this transaction touch tenants that it is about to make: nobody can have rows of theirs.

    Without it row-level security would refuse their first rows, for the operator who asks is not
    of their company.
    """
    await tx.execute(
        "select set_config('app.tenants', current_setting('app.tenants') || ',' || $1, true)",
        ",".join(map(str, tenant_ids)),
    )


async def insert_tenants(tx: Tx, tenants: Sequence[Tenant]) -> None:
    """Store companies."""
    await tx.execute(
        """
        insert into tenant (tenant_id, name, created_at)
        select tenant_id, name, created_at
        from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as t(tenant_id, name, created_at)
        """,
        [tenant.tenant_id for tenant in tenants],
        [tenant.name for tenant in tenants],
        [tenant.created_at for tenant in tenants],
    )


async def insert_keys(tx: Tx, keys: Sequence[ApiKey]) -> None:
    """Store keys. Scopes travel joined by spaces, for arrays of PostgreSQL cannot be ragged."""
    await tx.execute(
        """
        insert into api_key (tenant_id, id, name, prefix, secret_hash, scopes, created_by,
                             created_at, expires_at)
        select tenant_id, id, name, prefix, secret_hash, string_to_array(scopes, ' '), created_by,
               created_at, expires_at
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::text[],
                    $7::text[], $8::timestamptz[], $9::timestamptz[])
            as k(tenant_id, id, name, prefix, secret_hash, scopes, created_by, created_at,
                 expires_at)
        """,
        [key.tenant_id for key in keys],
        [key.id for key in keys],
        [key.name for key in keys],
        [key.prefix for key in keys],
        [key.secret_hash for key in keys],
        [" ".join(key.scopes) for key in keys],
        [key.created_by for key in keys],
        [key.created_at for key in keys],
        [key.expires_at for key in keys],
    )


async def lock_keys(
    tx: Tx, tenant_ids: Sequence[UUID], key_ids: Sequence[UUID]
) -> dict[tuple[UUID, UUID], ApiKey]:
    """Keys by tenant and id, locked in the order of their ids."""
    rows = await tx.fetch(
        """
        select tenant_id, id, name, prefix, secret_hash, scopes, created_by, created_at,
               expires_at, revoked_at, last_used_at
        from api_key
        where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, id for update
        """,
        tenant_ids,
        key_ids,
    )
    keys = [ApiKey(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]
    return {(key.tenant_id, key.id): key for key in keys}


async def revoke_keys(tx: Tx, keys: Sequence[ApiKey]) -> None:
    """Store when keys stopped working."""
    await tx.execute(
        """
        update api_key k set revoked_at = r.revoked_at
        from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as r(tenant_id, id, revoked_at)
        where k.tenant_id = r.tenant_id and k.id = r.id and k.revoked_at is null
        """,
        [key.tenant_id for key in keys],
        [key.id for key in keys],
        [key.revoked_at for key in keys],
    )


async def touch_keys(tx: Tx, used: Sequence[tuple[UUID, UUID, datetime]]) -> None:
    """Store when keys (tenant, id) were last used; the worker role may for all tenants."""
    await tx.execute(
        """
        update api_key k set last_used_at = greatest(k.last_used_at, u.used_at)
        from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as u(tenant_id, id, used_at)
        where k.tenant_id = u.tenant_id and k.id = u.id
        """,
        [tenant_id for tenant_id, _, _ in used],
        [key_id for _, key_id, _ in used],
        [used_at for _, _, used_at in used],
    )
