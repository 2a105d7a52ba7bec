"""Reservations, and what is left of the credit that payments gave their payers."""

from collections.abc import Sequence
from uuid import UUID

from messaging import Tx
from reserve_ledger.domain.reservations import Reservation, State
from reserve_ledger.store.keys import columns

Key = tuple[UUID, UUID]


async def select_reservations(tx: Tx, keys: Sequence[Key]) -> list[Reservation]:
    """Those of these that are known."""
    rows = await tx.fetch(
        """
        select r.tenant_id, r.id, r.purpose, r.state, r.asset, r.amount_minor, r.taken_from,
               r.invoice_id, r.payment_id, r.transaction_id, r.ended_by, r.paid_from,
               r.from_treasury
        from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id)
        join reservation r using (tenant_id, id)
        """,
        *columns(list(set(keys))),
    )
    return [Reservation(**{**row, "state": State(row["state"])}) for row in rows]


async def select_credits(tx: Tx, payments: Sequence[Key]) -> dict[tuple[UUID, UUID, str], int]:
    """What is left of the credit each payment gave its payer, by tenant, payment and asset."""
    rows = await tx.fetch(
        """
        select b.tenant_id, b.payment_id, b.asset,
               case when b.reclassed then b.amount_minor - b.taken_minor - b.kept_minor
                    else b.amount_minor - b.applied_minor end
               - coalesce((select sum(r.amount_minor) from reservation r
                           where r.tenant_id = b.tenant_id and r.payment_id = b.payment_id
                             and r.taken_from = '2500' and r.state in ('reserved', 'settled')), 0)
               - coalesce((select sum(d.credit_minor) from dispute d
                           where d.tenant_id = b.tenant_id and d.payment_id = b.payment_id
                             and d.asset = b.asset and d.transaction_id is not null
                             and d.ended_by is null), 0)
               as left_minor
        from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, payment_id)
        join payment_booking b using (tenant_id, payment_id)
        where b.state = 'booked'
        """,
        *columns(list(set(payments))),
    )
    return {
        (row["tenant_id"], row["payment_id"], row["asset"]): int(row["left_minor"]) for row in rows
    }


async def select_promised(tx: Tx, tenants: Sequence[UUID]) -> dict[tuple[UUID, str], int]:
    """What is set apart to leave from each tenant's treasury, by asset."""
    rows = await tx.fetch(
        """
        select tenant_id, asset, sum(amount_minor)::bigint as minor from reservation
        where tenant_id = any($1::uuid[]) and state = 'reserved' and from_treasury
        group by tenant_id, asset
        """,
        list(set(tenants)),
    )
    return {(row["tenant_id"], row["asset"]): row["minor"] for row in rows}


async def upsert_reservations(tx: Tx, reservations: Sequence[Reservation]) -> None:
    """Save where they stand."""
    ordered = sorted(reservations, key=lambda r: (r.tenant_id, r.id))
    await tx.execute(
        """
        insert into reservation
            (tenant_id, id, purpose, state, asset, amount_minor, taken_from, invoice_id,
             payment_id, transaction_id, ended_by, paid_from, from_treasury)
        select tenant_id, id, purpose, state, asset, amount_minor, taken_from, invoice_id,
               payment_id, transaction_id, ended_by, paid_from, from_treasury
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                    $7::text[], $8::uuid[], $9::uuid[], $10::uuid[], $11::uuid[], $12::text[],
                    $13::boolean[])
            as r(tenant_id, id, purpose, state, asset, amount_minor, taken_from, invoice_id,
                 payment_id, transaction_id, ended_by, paid_from, from_treasury)
        on conflict (tenant_id, id) do update
        set state = excluded.state, ended_by = excluded.ended_by, paid_from = excluded.paid_from
        """,
        [r.tenant_id for r in ordered],
        [r.id for r in ordered],
        [r.purpose for r in ordered],
        [r.state for r in ordered],
        [r.asset for r in ordered],
        [r.amount_minor for r in ordered],
        [r.taken_from for r in ordered],
        [r.invoice_id for r in ordered],
        [r.payment_id for r in ordered],
        [r.transaction_id for r in ordered],
        [r.ended_by for r in ordered],
        [r.paid_from for r in ordered],
        [r.from_treasury for r in ordered],
    )
