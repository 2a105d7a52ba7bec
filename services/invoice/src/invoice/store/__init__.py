"""The SQL of writes: one function a statement, arrays in, rows out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from invoice.domain.states import Booking, Invoice, Payment
from invoice.store import rows
from invoice.store.returns import select_returns
from messaging import Tx

Key = tuple[UUID, UUID]
"""Tenant and id."""


def sorted_keys(keys: Iterable[Key]) -> tuple[list[UUID], list[UUID]]:
    """Keys without twins in one order for all, a list a column."""
    unique = sorted(set(keys))
    return [tenant for tenant, _ in unique], [item for _, item in unique]


async def lock_invoices(tx: Tx, keys: Iterable[Key], *, lines: bool = False) -> dict[Key, Invoice]:
    """Invoices with their payments and bookings, locked in the order of their keys."""
    wanted = sorted_keys(keys)
    found = await tx.fetch(
        f"""
        select {rows.COLUMNS} from invoice
        where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, id for update
        """,
        *wanted,
    )
    states = {(row["tenant_id"], row["id"]): rows.invoice(row) for row in found}
    if not states:
        return states
    payments = await _payments(tx, wanted)
    bookings = await _bookings(tx, wanted)
    returns = await select_returns(tx, wanted)
    for key in payments.keys() | bookings.keys() | returns.keys():
        states[key] = replace(
            states[key],
            payments=payments.get(key, {}),
            bookings=bookings.get(key, {}),
            returns=returns.get(key, {}),
        )
    return await with_lines(tx, states) if lines else states


async def known_invoices(tx: Tx, keys: Iterable[Key]) -> set[Key]:
    """Those of these invoices that there are."""
    found = await tx.fetch(
        """
        select tenant_id, id from invoice
            join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id) using (tenant_id, id)
        """,
        *sorted_keys(keys),
    )
    return {(row["tenant_id"], row["id"]) for row in found}


async def with_lines(
    tx: Tx, states: Mapping[Key, Invoice], *, first: int = 1000
) -> dict[Key, Invoice]:
    """The same invoices with their first lines."""
    found = await tx.fetch(
        """
        select l.tenant_id, l.invoice_id, l.description, l.quantity, l.unit_price_minor,
               l.discount, l.taxes, l.net_minor, l.tax_minor, l.total_minor
        from invoice_line l join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, invoice_id)
            using (tenant_id, invoice_id)
        where l.position <= $3
        order by l.tenant_id, l.invoice_id, l.position
        """,
        *sorted_keys(states),
        first,
    )
    lines: dict[Key, list[Any]] = {key: [] for key in states}
    for row in found:
        key = (row["tenant_id"], row["invoice_id"])
        lines[key].append(rows.line(row, states[key].terms.asset))
    return {key: replace(state, lines=tuple(lines[key])) for key, state in states.items()}


async def _payments(
    tx: Tx, wanted: tuple[list[UUID], list[UUID]]
) -> dict[Key, dict[UUID, Payment]]:
    found = await tx.fetch(
        """
        select p.tenant_id, p.invoice_id, p.payment_id, p.sighting, p.final_reverts,
               p.amount_minor, p.asset
        from invoice_payment p join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, invoice_id)
            using (tenant_id, invoice_id)
        """,
        *wanted,
    )
    known: dict[Key, dict[UUID, Payment]] = {}
    for row in found:
        key = (row["tenant_id"], row["invoice_id"])
        known.setdefault(key, {})[row["payment_id"]] = rows.payment(row)
    return known


async def _bookings(
    tx: Tx, wanted: tuple[list[UUID], list[UUID]]
) -> dict[Key, dict[UUID, Booking]]:
    found = await tx.fetch(
        """
        select b.tenant_id, b.invoice_id, b.transaction_id, b.payment_id, b.state,
               b.amount_minor, b.asset, b.micros, b.booked_at
        from invoice_booking b join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, invoice_id)
            using (tenant_id, invoice_id)
        """,
        *wanted,
    )
    known: dict[Key, dict[UUID, Booking]] = {}
    for row in found:
        key = (row["tenant_id"], row["invoice_id"])
        known.setdefault(key, {})[row["transaction_id"]] = rows.booking(row)
    return known


async def insert_invoices(tx: Tx, invoices: Sequence[Invoice]) -> None:
    """Store new invoices with their lines."""
    if not invoices:
        return
    await tx.execute(
        """
        insert into invoice (tenant_id, id, document, settlement, timeliness, asset, attempt,
            created_at, customer_id, reference, due_at, payable_until, terms, subtotal_minor,
            discount_minor, net_minor, tax_minor, total_minor, tolerance_ppm, tolerance_minor,
            updated_at)
        select tenant_id, id, document, settlement, timeliness, asset, attempt, $8, customer_id,
            reference, due_at, payable_until, terms::jsonb, subtotal_minor, discount_minor,
            net_minor, tax_minor, total_minor, tolerance_ppm, tolerance_minor, $8
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::int[], $9::uuid[], $10::text[], $11::timestamptz[], $12::timestamptz[],
            $13::text[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
            $18::bigint[], $19::int[], $20::bigint[])
        as i(tenant_id, id, document, settlement, timeliness, asset, attempt, customer_id,
            reference, due_at, payable_until, terms, subtotal_minor, discount_minor, net_minor,
            tax_minor, total_minor, tolerance_ppm, tolerance_minor)
        """,
        [invoice.tenant_id for invoice in invoices],
        [invoice.id for invoice in invoices],
        [invoice.document for invoice in invoices],
        [invoice.settlement for invoice in invoices],
        [invoice.timeliness for invoice in invoices],
        [invoice.terms.asset for invoice in invoices],
        [invoice.attempt for invoice in invoices],
        tx.now,
        *rows.draft_columns(invoices),
    )
    await insert_lines(tx, invoices)


async def insert_lines(tx: Tx, invoices: Sequence[Invoice]) -> None:
    """Store the lines of invoices that have none."""
    lines = [
        (invoice, place, line)
        for invoice in invoices
        for place, line in enumerate(invoice.lines, 1)
    ]
    await tx.execute(
        """
        insert into invoice_line (tenant_id, invoice_id, position, description, quantity,
            unit_price_minor, discount, taxes, net_minor, tax_minor, total_minor)
        select tenant_id, invoice_id, position, description, quantity, unit_price_minor,
            discount::jsonb, taxes::jsonb, net_minor, tax_minor, total_minor
        from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::bigint[],
            $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[])
        as l(tenant_id, invoice_id, position, description, quantity, unit_price_minor, discount,
            taxes, net_minor, tax_minor, total_minor)
        """,
        [invoice.tenant_id for invoice, _, _ in lines],
        [invoice.id for invoice, _, _ in lines],
        [place for _, place, _ in lines],
        [line.description for _, _, line in lines],
        [line.quantity for _, _, line in lines],
        [line.unit_price_minor for _, _, line in lines],
        [rows.discount_text(line.discount) for _, _, line in lines],
        [rows.taxes_text(line.taxes) for _, _, line in lines],
        [line.net_minor for _, _, line in lines],
        [line.tax_minor for _, _, line in lines],
        [line.total_minor for _, _, line in lines],
    )


async def update_drafts(tx: Tx, invoices: Sequence[Invoice]) -> None:
    """Store changed terms and lines of drafts; the axes go by `update_states`."""
    if not invoices:
        return
    keys = [invoice.tenant_id for invoice in invoices], [invoice.id for invoice in invoices]
    await tx.execute(
        """
        update invoice i set customer_id = d.customer_id, reference = d.reference,
            due_at = d.due_at, payable_until = d.payable_until, terms = d.terms::jsonb,
            subtotal_minor = d.subtotal_minor, discount_minor = d.discount_minor,
            net_minor = d.net_minor, tax_minor = d.tax_minor, total_minor = d.total_minor,
            tolerance_ppm = d.tolerance_ppm, tolerance_minor = d.tolerance_minor
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[],
            $6::timestamptz[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[],
            $11::bigint[], $12::bigint[], $13::int[], $14::bigint[])
        as d(tenant_id, id, customer_id, reference, due_at, payable_until, terms, subtotal_minor,
            discount_minor, net_minor, tax_minor, total_minor, tolerance_ppm, tolerance_minor)
        where i.tenant_id = d.tenant_id and i.id = d.id
        """,
        *keys,
        *rows.draft_columns(invoices),
    )
    await tx.execute(
        """
        delete from invoice_line l using unnest($1::uuid[], $2::uuid[]) as k(tenant_id, invoice_id)
        where l.tenant_id = k.tenant_id and l.invoice_id = k.invoice_id
        """,
        *keys,
    )
    await insert_lines(tx, invoices)


async def update_states(tx: Tx, invoices: Sequence[Invoice]) -> None:
    """Store where invoices stand; each becomes one version older."""
    if not invoices:
        return
    await tx.execute(
        """
        update invoice i set document = s.document, settlement = s.settlement,
            timeliness = s.timeliness, received_micros = s.received_micros, attempt = s.attempt,
            overdue_since = s.overdue_since, expired_since = s.expired_since,
            expires_at = s.expires_at, wallet_destroyed_at = s.wallet_destroyed_at,
            reason = s.reason, version = s.version, updated_at = $13
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[],
            $7::int[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[],
            $11::timestamptz[], $12::text[], $14::bigint[])
        as s(tenant_id, id, document, settlement, timeliness, received_micros, attempt,
            overdue_since, expired_since, expires_at, wallet_destroyed_at, reason, version)
        where i.tenant_id = s.tenant_id and i.id = s.id
        """,
        [invoice.tenant_id for invoice in invoices],
        [invoice.id for invoice in invoices],
        [invoice.document for invoice in invoices],
        [invoice.settlement for invoice in invoices],
        [invoice.timeliness for invoice in invoices],
        [invoice.received_micros for invoice in invoices],
        [invoice.attempt for invoice in invoices],
        [invoice.overdue_since for invoice in invoices],
        [invoice.expired_since for invoice in invoices],
        [invoice.expires_at for invoice in invoices],
        [invoice.wallet_destroyed_at for invoice in invoices],
        [invoice.reason for invoice in invoices],
        tx.now,
        [invoice.version for invoice in invoices],
    )


async def update_opened(tx: Tx, invoices: Sequence[Invoice]) -> None:
    """Store invoices that became open: number, link, wallet, parties, and where they stand."""
    opened = [(i, i.wallet, i.parties) for i in invoices if i.wallet and i.parties]
    await tx.execute(
        """
        update invoice i set document = o.document, number = o.number, link_hash = o.link_hash,
            issued_at = o.issued_at, expires_at = o.expires_at, wallet_id = o.wallet_id,
            wallet_mode = o.mode, rail = o.rail, chain_id = o.chain_id, address = o.address,
            memo = o.memo, accepted_assets = string_to_array(o.accepted_assets, ','),
            watch_window_s = o.watch_window_s, issuer = o.issuer::jsonb,
            contact = o.contact::jsonb, postal = o.postal::jsonb
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bytea[],
            $6::timestamptz[], $7::timestamptz[], $8::uuid[], $9::text[], $10::text[],
            $11::bigint[], $12::text[], $13::text[], $14::text[], $15::int[], $16::text[],
            $17::text[], $18::text[])
        as o(tenant_id, id, document, number, link_hash, issued_at, expires_at, wallet_id, mode,
            rail, chain_id, address, memo, accepted_assets, watch_window_s, issuer, contact, postal)
        where i.tenant_id = o.tenant_id and i.id = o.id
        """,
        [i.tenant_id for i, _, _ in opened],
        [i.id for i, _, _ in opened],
        ["open" for _ in opened],
        [i.number for i, _, _ in opened],
        [i.link_hash for i, _, _ in opened],
        [i.issued_at for i, _, _ in opened],
        [i.expires_at for i, _, _ in opened],
        [wallet.wallet_id for _, wallet, _ in opened],
        [wallet.mode for _, wallet, _ in opened],
        [wallet.rail for _, wallet, _ in opened],
        [wallet.chain_id for _, wallet, _ in opened],
        [wallet.address for _, wallet, _ in opened],
        [wallet.memo for _, wallet, _ in opened],
        [",".join(wallet.accepted_assets) for _, wallet, _ in opened],
        [wallet.watch_window_s for _, wallet, _ in opened],
        [rows.issuer_text(parties.issuer) for _, _, parties in opened],
        [rows.sealed_text(parties.contact) for _, _, parties in opened],
        [rows.sealed_text(parties.postal) for _, _, parties in opened],
    )


async def upsert_payments(tx: Tx, payments: Sequence[tuple[Invoice, Payment]]) -> None:
    """Store what is known of payments on their way."""
    if not payments:
        return
    await tx.execute(
        """
        insert into invoice_payment as p (tenant_id, invoice_id, payment_id, sighting,
            final_reverts, amount_minor, asset, updated_at)
        select *, $8 from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[],
            $6::bigint[], $7::text[])
        on conflict (tenant_id, invoice_id, payment_id) do update set sighting = excluded.sighting,
            final_reverts = excluded.final_reverts, amount_minor = excluded.amount_minor,
            asset = excluded.asset, updated_at = excluded.updated_at
        """,
        [invoice.tenant_id for invoice, _ in payments],
        [invoice.id for invoice, _ in payments],
        [payment.payment_id for _, payment in payments],
        [payment.sighting for _, payment in payments],
        [payment.final_reverts for _, payment in payments],
        [payment.amount_minor for _, payment in payments],
        [payment.asset for _, payment in payments],
        tx.now,
    )


async def upsert_bookings(tx: Tx, bookings: Sequence[tuple[Invoice, Booking]]) -> None:
    """Store bookings of the ledger; one that is known changes its state alone."""
    if not bookings:
        return
    await tx.execute(
        """
        insert into invoice_booking as b (tenant_id, invoice_id, transaction_id, payment_id, state,
            amount_minor, asset, micros, booked_at, updated_at)
        select *, $10 from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[],
            $6::bigint[], $7::text[], $8::bigint[], $9::timestamptz[])
        on conflict (tenant_id, invoice_id, transaction_id) do update
            set state = excluded.state, updated_at = excluded.updated_at
        """,
        [invoice.tenant_id for invoice, _ in bookings],
        [invoice.id for invoice, _ in bookings],
        [booking.transaction_id for _, booking in bookings],
        [booking.payment_id for _, booking in bookings],
        [booking.state for _, booking in bookings],
        [booking.amount_minor for _, booking in bookings],
        [booking.asset for _, booking in bookings],
        [booking.micros for _, booking in bookings],
        [booking.booked_at for _, booking in bookings],
        tx.now,
    )


async def take_numbers(tx: Tx, counts: Mapping[UUID, int], series: str) -> dict[UUID, int]:
    """Take so many consecutive numbers for each tenant; the first of each.

    The row stays locked until the commit, and a roll-back gives the numbers back: no gap, no twin.
    """
    tenants = sorted(counts)
    taken = await tx.fetch(
        """
        insert into number_sequence as n (tenant_id, series, next)
        select tenant_id, $3, 1 + wanted from unnest($1::uuid[], $2::bigint[])
            as t(tenant_id, wanted) order by tenant_id
        on conflict (tenant_id, series) do update set next = n.next + excluded.next - 1
        returning tenant_id, next
        """,
        tenants,
        [counts[tenant] for tenant in tenants],
        series,
    )
    return {row["tenant_id"]: row["next"] - counts[row["tenant_id"]] for row in taken}
