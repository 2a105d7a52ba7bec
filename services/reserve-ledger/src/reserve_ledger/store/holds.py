"""Holds, and what accounts hold back for them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from messaging import Tx
from reserve_ledger.domain.tenant_postings import Hold, HoldState
from reserve_ledger.store.keys import columns

HOLD_COLUMNS = """h.tenant_id, h.id, h.reference, h.address, h.asset, h.amount_minor,
    h.captured_minor, h.state, h.expires_at, h.transaction_id, h.actor, h.created_at, h.ended_at"""


async def select_holds(tx: Tx, keys: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Hold]:
    """Those of these that there are."""
    rows = await tx.fetch(
        f"""
        select {HOLD_COLUMNS} from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id)
        join hold h using (tenant_id, id)
        """,
        *columns(keys),
    )
    return {(row["tenant_id"], row["id"]): hold_of(row) for row in rows}


async def select_holds_named(
    tx: Tx, references: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], Hold]:
    """Holds by tenant and the caller's name for them."""
    rows = await tx.fetch(
        f"""
        select {HOLD_COLUMNS} from unnest($1::uuid[], $2::text[]) as k(tenant_id, reference)
        join hold h using (tenant_id, reference)
        """,
        [tenant for tenant, _ in references],
        [reference for _, reference in references],
    )
    return {(row["tenant_id"], row["reference"]): hold_of(row) for row in rows}


async def upsert_holds(tx: Tx, holds: Sequence[Hold]) -> None:
    """Save where they stand."""
    await tx.execute(
        """
        insert into hold (tenant_id, id, reference, address, asset, amount_minor, captured_minor,
                          state, expires_at, transaction_id, actor, created_at, ended_at)
        select tenant_id, id, reference, address, asset, amount_minor, captured_minor, state,
               expires_at, transaction_id, actor, created_at, ended_at
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                    $7::bigint[], $8::text[], $9::timestamptz[], $10::uuid[], $11::text[],
                    $12::timestamptz[], $13::timestamptz[])
            as h(tenant_id, id, reference, address, asset, amount_minor, captured_minor, state,
                 expires_at, transaction_id, actor, created_at, ended_at)
        on conflict (tenant_id, id) do update
        set captured_minor = excluded.captured_minor, state = excluded.state,
            transaction_id = excluded.transaction_id, ended_at = excluded.ended_at
        """,
        [h.tenant_id for h in holds],
        [h.id for h in holds],
        [h.reference for h in holds],
        [h.address for h in holds],
        [h.asset for h in holds],
        [h.amount_minor for h in holds],
        [h.captured_minor for h in holds],
        [h.state for h in holds],
        [h.expires_at for h in holds],
        [h.transaction_id for h in holds],
        [h.actor for h in holds],
        [h.created_at for h in holds],
        [h.ended_at for h in holds],
    )


async def update_held(tx: Tx, held: Sequence[tuple[UUID, str, str, int]]) -> None:
    """Save what accounts hold back: tenant, address, asset and minor units."""
    await tx.execute(
        """
        update account a set held_minor = n.held_minor
        from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[])
            as n(tenant_id, address, asset, held_minor)
        where a.tenant_id = n.tenant_id and a.address = n.address and a.asset = n.asset
        """,
        *[list(column) for column in zip(*held, strict=True)],
    )


def hold_of(row: Any) -> Hold:
    """A hold from its row."""
    return Hold(**{**row, "state": HoldState(row["state"])})
