"""What providers hold, keep, take back and pay out, as far as it was told."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from messaging import Tx
from reserve_ledger.domain.disputes import Dispute
from reserve_ledger.domain.movements import Movement, MovementState
from reserve_ledger.domain.settling import Key
from reserve_ledger.store.keys import columns

_DISPUTE = """d.tenant_id, d.id, d.payment_id, d.invoice_id, d.provider, d.asset, d.amount_minor,
    d.outcome, d.cause_event_id, d.credit_minor, d.pending_minor, d.available_minor, d.short_minor,
    d.fee_asset, d.fee_minor, d.transaction_id, d.sequence, d.template, d.ended_by"""


async def select_cleared(tx: Tx, payments: Sequence[Key]) -> set[Key]:
    """Those of these payments that were said to be cleared."""
    rows = await tx.fetch(
        """
        select c.tenant_id, c.payment_id
        from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, payment_id)
        join payment_cleared c using (tenant_id, payment_id)
        """,
        *columns(payments),
    )
    return {(row["tenant_id"], row["payment_id"]) for row in rows}


async def insert_cleared(tx: Tx, payments: Iterable[Key]) -> None:
    """Remember that they are cleared."""
    await tx.execute(
        """
        insert into payment_cleared (tenant_id, payment_id)
        select tenant_id, payment_id from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, payment_id)
        on conflict do nothing
        """,
        *columns(sorted(payments)),
    )


async def select_fees(tx: Tx, payments: Sequence[Key]) -> dict[tuple[UUID, UUID, str], int]:
    """What providers kept of these payments, in minor units."""
    rows = await tx.fetch(
        """
        select f.tenant_id, f.payment_id, f.asset, f.amount_minor
        from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, payment_id)
        join provider_fee f using (tenant_id, payment_id)
        """,
        *columns(payments),
    )
    return {
        (row["tenant_id"], row["payment_id"], row["asset"]): row["amount_minor"] for row in rows
    }


async def upsert_fees(tx: Tx, fees: Sequence[tuple[UUID, UUID, str, int]]) -> None:
    """Save what providers kept."""
    await tx.execute(
        """
        insert into provider_fee (tenant_id, payment_id, asset, amount_minor)
        select tenant_id, payment_id, asset, amount_minor
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[])
            as f(tenant_id, payment_id, asset, amount_minor)
        on conflict (tenant_id, payment_id, asset) do update
        set amount_minor = excluded.amount_minor
        """,
        *[list(column) for column in zip(*fees, strict=True)],
    )


async def select_disputes(tx: Tx, payments: Sequence[Key], ids: Sequence[Key]) -> list[Dispute]:
    """All disputes of these payments, and these disputes."""
    rows = await tx.fetch(
        f"""
        select {_DISPUTE} from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, payment_id)
        join dispute d using (tenant_id, payment_id)
        union
        select {_DISPUTE} from unnest($3::uuid[], $4::uuid[]) as k(tenant_id, id)
        join dispute d using (tenant_id, id)
        """,
        *columns(payments),
        *columns(ids),
    )
    return [Dispute(**row) for row in rows]


async def upsert_disputes(tx: Tx, disputes: Sequence[Dispute]) -> None:
    """Save where disputes stand."""
    names = [name.strip()[2:] for name in _DISPUTE.split(",")]
    kinds = (
        *("uuid", "uuid", "uuid", "uuid", "text", "text", "bigint", "text", "uuid"),
        *("bigint", "bigint", "bigint", "bigint", "text", "bigint", "uuid", "bigint", "text"),
        "uuid",
    )
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(kinds, 1))
    listed = ", ".join(names)
    await tx.execute(
        f"""
        insert into dispute ({listed}) select {listed} from unnest({arrays}) as d({listed})
        on conflict (tenant_id, id) do update
        set outcome = excluded.outcome, credit_minor = excluded.credit_minor,
            pending_minor = excluded.pending_minor, available_minor = excluded.available_minor,
            short_minor = excluded.short_minor, fee_asset = excluded.fee_asset,
            fee_minor = excluded.fee_minor, transaction_id = excluded.transaction_id,
            sequence = excluded.sequence, template = excluded.template,
            ended_by = excluded.ended_by
        """,
        *[[getattr(dispute, name) for dispute in disputes] for name in names],
    )


async def select_movements(tx: Tx, ids: Sequence[Key]) -> list[Movement]:
    """Those of these payouts and fees that are known."""
    rows = await tx.fetch(
        """
        select m.tenant_id, m.id, m.kind, m.provider, m.asset, m.amount_minor, m.state,
               m.transaction_id
        from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id)
        join provider_movement m using (tenant_id, id)
        """,
        *columns(ids),
    )
    return [Movement(**{**row, "state": MovementState(row["state"])}) for row in rows]


async def upsert_movements(tx: Tx, movements: Sequence[Movement]) -> None:
    """Save how far they have come."""
    await tx.execute(
        """
        insert into provider_movement
            (tenant_id, id, kind, provider, asset, amount_minor, state, transaction_id)
        select tenant_id, id, kind, provider, asset, amount_minor, state, transaction_id
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                    $7::text[], $8::uuid[])
            as m(tenant_id, id, kind, provider, asset, amount_minor, state, transaction_id)
        on conflict (tenant_id, id) do update
        set state = excluded.state, transaction_id = excluded.transaction_id
        """,
        [m.tenant_id for m in movements],
        [m.id for m in movements],
        [m.kind for m in movements],
        [m.provider for m in movements],
        [m.asset for m in movements],
        [m.amount_minor for m in movements],
        [m.state for m in movements],
        [m.transaction_id for m in movements],
    )
