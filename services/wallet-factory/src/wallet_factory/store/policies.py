"""SQL of the tenants' policies: the last version of each counts."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from messaging import Tx
from wallet_factory.domain.policy import WalletPolicy

Row = tuple[UUID, int, WalletPolicy, str | None, str]
"""Tenant, version, policy, note, author."""


async def lock_versions(tx: Tx, tenants: Iterable[UUID]) -> dict[UUID, int]:
    """The last version of each tenant, 0 where there is none; nobody else numbers meanwhile."""
    ordered = sorted(tenants)
    await tx.execute(
        """
        select pg_advisory_xact_lock(hashtextextended('wallet_policy/' || tenant_id, 0))
        from (select tenant_id from unnest($1::uuid[]) as t(tenant_id) order by tenant_id) o
        """,
        ordered,
    )
    rows = await tx.fetch(
        """
        select tenant_id, coalesce(max(p.version), 0) as version
        from unnest($1::uuid[]) as asked(tenant_id) left join wallet_policy p using (tenant_id)
        group by tenant_id
        """,
        ordered,
    )
    return {row["tenant_id"]: row["version"] for row in rows}


async def insert_policies(tx: Tx, rows: Sequence[Row]) -> None:
    """Keep policies under their numbers."""
    await tx.execute(
        """
        insert into wallet_policy (tenant_id, version, document, note, created_by, created_at)
        select tenant_id, version, document::jsonb, note, created_by, $6
        from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[])
            as new(tenant_id, version, document, note, created_by)
        """,
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2].model_dump_json() for row in rows],
        [row[3] for row in rows],
        [row[4] for row in rows],
        tx.now,
    )


async def select_policies(tx: Tx, tenants: Iterable[UUID]) -> dict[UUID, tuple[int, WalletPolicy]]:
    """What counts for each of these tenants; absent where none was ever written."""
    rows = await tx.fetch(
        """
        select p.tenant_id, p.version, p.document
        from unnest($1::uuid[]) as asked(tenant_id)
        cross join lateral (
            select tenant_id, version, document from wallet_policy w
            where w.tenant_id = asked.tenant_id order by version desc limit 1) p
        """,
        sorted(set(tenants)),
    )
    return {
        row["tenant_id"]: (row["version"], WalletPolicy.model_validate(row["document"]))
        for row in rows
    }


async def select_newest(tx: Tx, tenant_id: UUID) -> Any | None:
    """A tenant's policy with who wrote it when."""
    return await tx.fetchrow(
        """
        select version, document, note, created_by, created_at from wallet_policy
        where tenant_id = $1 order by version desc limit 1
        """,
        tenant_id,
    )
