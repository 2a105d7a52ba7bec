"""Money that lies at deposit addresses."""

from collections.abc import Sequence
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.transfers import CREATE2, Payment


async def note_unswept(tx: Tx, payments: Sequence[Payment]) -> None:
    """What became final and lies at a deposit address waits there to be fetched."""
    final = [p for p in payments if p.provider == CREATE2 and p.final_at is not None]
    if not final:
        return
    await tx.execute(
        """
        insert into unswept as u (tenant_id, wallet_id, asset, chain_id, units, since)
        select tenant_id, wallet_id, asset, chain_id, sum(units), $6
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[])
            as n(tenant_id, wallet_id, asset, chain_id, units)
        group by tenant_id, wallet_id, asset, chain_id order by tenant_id, wallet_id, asset
        on conflict (tenant_id, wallet_id, asset) do update set units = u.units + excluded.units
        """,
        [p.tenant_id for p in final],
        [p.wallet_id for p in final],
        [p.asset for p in final],
        [p.chain_id for p in final],
        [p.amount_minor for p in final],
        tx.now,
    )


async def want_swept(tx: Tx, wallets: Sequence[tuple[UUID, UUID]]) -> None:
    """Somebody waits for these wallets to be empty; the keys are tenant and wallet id."""
    await tx.execute(
        """
        update unswept as u set wanted_at = coalesce(u.wanted_at, $3)
        from unnest($1::uuid[], $2::uuid[]) as w(tenant_id, wallet_id)
        where u.tenant_id = w.tenant_id and u.wallet_id = w.wallet_id
        """,
        [tenant for tenant, _ in wallets],
        [wallet for _, wallet in wallets],
        tx.now,
    )
