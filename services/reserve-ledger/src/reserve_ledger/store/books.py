"""Obligations of invoices, and where their payments stand in the books."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from messaging import Tx
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.booking import Booking, BookingState
from reserve_ledger.domain.books import Key, Obligation
from reserve_ledger.domain.chart import MERCHANT_AVAILABLE
from reserve_ledger.domain.returns import Gone
from reserve_ledger.domain.templates import Place, Split
from reserve_ledger.store.keys import columns

BOOKING_COLUMNS = """b.tenant_id, b.payment_id, b.invoice_id, b.state, b.generation,
    b.transaction_id, b.asset, b.amount_minor, b.applied_minor, b.fee_minor, b.reclassed,
    b.held_at, b.provider, b.cleared, b.taken_minor, b.kept_minor, b.short_minor"""


async def select_bookings(
    tx: Tx, payments: Sequence[Key], voided_invoices: Sequence[Key]
) -> list[Booking]:
    """Bookings of these payments, and all bookings of these invoices."""
    rows = await tx.fetch(
        f"""
        select {BOOKING_COLUMNS}
        from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, payment_id)
        join payment_booking b using (tenant_id, payment_id)
        union
        select {BOOKING_COLUMNS}
        from unnest($3::uuid[], $4::uuid[]) as k(tenant_id, invoice_id)
        join payment_booking b using (tenant_id, invoice_id)
        """,
        *columns(payments),
        *columns(voided_invoices),
    )
    return [_booking(row) for row in rows]


async def select_obligations(tx: Tx, invoices: Iterable[Key]) -> list[Obligation]:
    """What is known of these invoices."""
    rows = await tx.fetch(
        """
        select o.tenant_id, o.invoice_id, o.currency, o.due_micros, o.applied_micros, o.voided
        from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, invoice_id)
        join obligation o using (tenant_id, invoice_id)
        """,
        *columns(list(set(invoices))),
    )
    return [Obligation(**row) for row in rows]


async def select_gone(tx: Tx, payments: Sequence[Key]) -> dict[Key, Gone]:
    """What refunds and chargebacks took of these payments, beside their pending part."""
    rows = await tx.fetch(
        """
        with of as (
            select b.tenant_id, b.payment_id, b.asset
            from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, payment_id)
            join payment_booking b using (tenant_id, payment_id)
        ), gone as (
            select tenant_id, payment_id, asset,
                   case when r.taken_from = '2100' then r.amount_minor else 0 end as available,
                   case when r.taken_from = '2500' then r.amount_minor else 0 end as credit
            from of join reservation r using (tenant_id, payment_id, asset)
            where r.state in ('reserved', 'settled')
            union all
            select tenant_id, payment_id, asset, d.available_minor + d.short_minor, d.credit_minor
            from of join dispute d using (tenant_id, payment_id, asset)
            where d.transaction_id is not null and d.ended_by is null
        )
        select tenant_id, payment_id, sum(available)::bigint as available,
               sum(credit)::bigint as credit
        from gone group by tenant_id, payment_id
        """,
        *columns(payments),
    )
    return {
        (row["tenant_id"], row["payment_id"]): Gone(row["available"], row["credit"]) for row in rows
    }


async def select_merchants(tx: Tx, tenants: Iterable[UUID]) -> dict[tuple[UUID, str], int]:
    """What can be taken from what each tenant has available, by asset."""
    rows = await tx.fetch(
        """
        select tenant_id, asset, credit_minor - debit_minor - held_minor as there
        from account where tenant_id = any($1::uuid[]) and address = $2
        """,
        list(tenants),
        own_address(MERCHANT_AVAILABLE),
    )
    return {(row["tenant_id"], row["asset"]): row["there"] for row in rows}


async def upsert_obligations(tx: Tx, obligations: Sequence[Obligation]) -> None:
    """Save what invoices asked for and what was applied."""
    await tx.execute(
        """
        insert into obligation
            (tenant_id, invoice_id, currency, due_micros, applied_micros, voided)
        select tenant_id, invoice_id, currency, due_micros, applied_micros, voided
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::boolean[])
            as o(tenant_id, invoice_id, currency, due_micros, applied_micros, voided)
        on conflict (tenant_id, invoice_id) do update
        set currency = excluded.currency, due_micros = excluded.due_micros,
            applied_micros = excluded.applied_micros, voided = excluded.voided
        """,
        [o.tenant_id for o in obligations],
        [o.invoice_id for o in obligations],
        [o.currency for o in obligations],
        [o.due_micros for o in obligations],
        [o.applied_micros for o in obligations],
        [o.voided for o in obligations],
    )


async def upsert_bookings(tx: Tx, bookings: Sequence[Booking]) -> None:
    """Save where payments stand."""
    await tx.execute(
        """
        insert into payment_booking
            (tenant_id, payment_id, invoice_id, state, generation, transaction_id, asset,
             amount_minor, applied_minor, fee_minor, reclassed, held_at, provider, cleared,
             taken_minor, kept_minor, short_minor)
        select tenant_id, payment_id, invoice_id, state, generation, transaction_id, asset,
               amount_minor, applied_minor, fee_minor, reclassed, held_at, provider, cleared,
               taken_minor, kept_minor, short_minor
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::integer[], $6::uuid[],
                    $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[],
                    $12::text[], $13::text[], $14::boolean[], $15::bigint[],
                    $16::bigint[], $17::bigint[])
            as b(tenant_id, payment_id, invoice_id, state, generation, transaction_id, asset,
                 amount_minor, applied_minor, fee_minor, reclassed, held_at, provider, cleared,
                 taken_minor, kept_minor, short_minor)
        on conflict (tenant_id, payment_id) do update
        set invoice_id = excluded.invoice_id, state = excluded.state,
            generation = excluded.generation, transaction_id = excluded.transaction_id,
            asset = excluded.asset, amount_minor = excluded.amount_minor,
            applied_minor = excluded.applied_minor, fee_minor = excluded.fee_minor,
            reclassed = excluded.reclassed, held_at = excluded.held_at,
            provider = excluded.provider, cleared = excluded.cleared,
            taken_minor = excluded.taken_minor, kept_minor = excluded.kept_minor,
            short_minor = excluded.short_minor
        """,
        [b.tenant_id for b in bookings],
        [b.payment_id for b in bookings],
        [b.invoice_id for b in bookings],
        [b.state for b in bookings],
        [b.generation for b in bookings],
        [b.transaction_id for b in bookings],
        [b.split.asset for b in bookings],
        [b.split.amount_minor for b in bookings],
        [b.split.applied_minor for b in bookings],
        [b.split.fee_minor for b in bookings],
        [b.reclassed for b in bookings],
        [b.place.held_at for b in bookings],
        [b.place.provider for b in bookings],
        [b.cleared for b in bookings],
        [b.taken_minor for b in bookings],
        [b.kept_minor for b in bookings],
        [b.short_minor for b in bookings],
    )


def _booking(row: Any) -> Booking:
    return Booking(
        tenant_id=row["tenant_id"],
        payment_id=row["payment_id"],
        invoice_id=row["invoice_id"],
        state=BookingState(row["state"]),
        generation=row["generation"],
        transaction_id=row["transaction_id"],
        split=Split(row["asset"], row["amount_minor"], row["applied_minor"], row["fee_minor"]),
        reclassed=row["reclassed"],
        place=Place(row["held_at"], row["provider"]),
        cleared=row["cleared"],
        taken_minor=row["taken_minor"],
        kept_minor=row["kept_minor"],
        short_minor=row["short_minor"],
    )
