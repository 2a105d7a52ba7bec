"""The ledger's SQL: arrays in, rows out, one statement a table and batch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from invoiceos_contracts.ledger_v1 import ReserveStated
from messaging import Tx
from reserve_ledger.domain.books import Booking, BookingState, Key, Obligation
from reserve_ledger.domain.chain import AccountKey, Balance, Head, Posted
from reserve_ledger.domain.reserve import Next
from reserve_ledger.domain.templates import Split

BOOKING_COLUMNS = """b.tenant_id, b.payment_id, b.invoice_id, b.state, b.generation,
    b.transaction_id, b.asset, b.amount_minor, b.applied_minor, b.fee_minor, b.reclassed"""


async def lock_heads(tx: Tx, tenants: Iterable[UUID]) -> dict[UUID, Head]:
    """Lock the tenants' chains, in order, until the transaction ends; makes those that are new.

    The time for what is posted next is read under the lock, not at the transaction's start: so
    time follows sequence, and the books as of a moment are a prefix of the chain.
    """
    rows = await tx.fetch(
        """
        insert into ledger_head as h (tenant_id)
        select tenant_id from unnest($1::uuid[]) as t(tenant_id) order by tenant_id
        on conflict (tenant_id) do update set sequence = h.sequence
        returning tenant_id, sequence, encode(hash, 'hex') as hash,
                  greatest(clock_timestamp(), posted_at) as posted_at
        """,
        list(set(tenants)),
    )
    return {
        row["tenant_id"]: Head(row["tenant_id"], row["sequence"], row["hash"], row["posted_at"])
        for row in rows
    }


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
        *_columns(payments),
        *_columns(voided_invoices),
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
        *_columns(list(set(invoices))),
    )
    return [Obligation(**row) for row in rows]


async def select_known_causes(tx: Tx, causes: Sequence[Key]) -> set[UUID]:
    """Those of these events (each with its tenant) that were posted before."""
    rows = await tx.fetch(
        """
        select t.cause_event_id
        from unnest($1::uuid[], $2::uuid[]) as c(tenant_id, cause_event_id)
        join ledger_transaction t using (tenant_id, cause_event_id)
        """,
        *_columns(causes),
    )
    return {row["cause_event_id"] for row in rows}


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
             amount_minor, applied_minor, fee_minor, reclassed)
        select tenant_id, payment_id, invoice_id, state, generation, transaction_id, asset,
               amount_minor, applied_minor, fee_minor, reclassed
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::integer[], $6::uuid[],
                    $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[])
            as b(tenant_id, payment_id, invoice_id, state, generation, transaction_id, asset,
                 amount_minor, applied_minor, fee_minor, reclassed)
        on conflict (tenant_id, payment_id) do update
        set invoice_id = excluded.invoice_id, state = excluded.state,
            generation = excluded.generation, transaction_id = excluded.transaction_id,
            asset = excluded.asset, amount_minor = excluded.amount_minor,
            applied_minor = excluded.applied_minor, fee_minor = excluded.fee_minor,
            reclassed = excluded.reclassed
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
    )


async def select_balances(
    tx: Tx, accounts: Iterable[tuple[UUID, AccountKey]]
) -> dict[tuple[UUID, AccountKey], Balance]:
    """Balances of these accounts; those never posted to are not among them."""
    wanted = list(set(accounts))
    rows = await tx.fetch(
        """
        select b.tenant_id, b.account, b.asset, b.debit_minor, b.credit_minor
        from unnest($1::uuid[], $2::text[], $3::text[]) as k(tenant_id, account, asset)
        join account_balance b using (tenant_id, account, asset)
        """,
        [tenant for tenant, _ in wanted],
        [account for _, (account, _) in wanted],
        [asset for _, (_, asset) in wanted],
    )
    return {
        (row["tenant_id"], (row["account"], row["asset"])): Balance(
            row["debit_minor"], row["credit_minor"]
        )
        for row in rows
    }


async def insert_transactions(tx: Tx, posted: Sequence[Posted]) -> None:
    """Enter transactions with all their postings, in the one statement the schema asks for."""
    lines = [(p, place) for p in posted for place in range(len(p.entry.legs))]
    await tx.execute(
        """
        with entered as (
            insert into ledger_transaction
                (tenant_id, id, sequence, template, template_version, cause_event_id, invoice_id,
                 payment_id, reverses, posted_at, previous_hash, hash)
            select tenant_id, id, sequence, template, template_version, cause_event_id, invoice_id,
                   payment_id, reverses, posted_at, decode(previous_hash, 'hex'),
                   decode(hash, 'hex')
            from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::smallint[],
                        $6::uuid[], $7::uuid[], $8::uuid[], $9::uuid[], $10::timestamptz[],
                        $11::text[], $12::text[])
                as t(tenant_id, id, sequence, template, template_version, cause_event_id,
                     invoice_id, payment_id, reverses, posted_at, previous_hash, hash)
        )
        insert into posting
            (tenant_id, transaction_id, sequence, line, account, asset, amount_minor,
             balance_minor)
        select tenant_id, transaction_id, sequence, line, account, asset, amount_minor,
               balance_minor
        from unnest($13::uuid[], $14::uuid[], $15::bigint[], $16::smallint[], $17::text[],
                    $18::text[], $19::bigint[], $20::bigint[])
            as p(tenant_id, transaction_id, sequence, line, account, asset, amount_minor,
                 balance_minor)
        """,
        [p.entry.tenant_id for p in posted],
        [p.entry.id for p in posted],
        [p.sequence for p in posted],
        [p.entry.template.name for p in posted],
        [p.entry.template.version for p in posted],
        [p.entry.cause_event_id for p in posted],
        [p.entry.invoice_id for p in posted],
        [p.entry.payment_id for p in posted],
        [p.entry.reverses for p in posted],
        [p.posted_at for p in posted],
        [p.previous_hash for p in posted],
        [p.hash for p in posted],
        [p.entry.tenant_id for p, _ in lines],
        [p.entry.id for p, _ in lines],
        [p.sequence for p, _ in lines],
        [place + 1 for _, place in lines],
        [p.entry.legs[place].account for p, place in lines],
        [p.entry.legs[place].asset for p, place in lines],
        [p.entry.legs[place].amount_minor for p, place in lines],
        [p.balances[place] for p, place in lines],
    )


async def upsert_balances(tx: Tx, balances: Mapping[tuple[UUID, AccountKey], Balance]) -> None:
    """Save balances, once an account however often the batch touched it.

    They are written whole, not added to: the lock on the tenant's head makes them ours alone.
    """
    ordered = sorted(balances.items())
    await tx.execute(
        """
        insert into account_balance (tenant_id, account, asset, debit_minor, credit_minor)
        select tenant_id, account, asset, debit_minor, credit_minor
        from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
            as b(tenant_id, account, asset, debit_minor, credit_minor)
        on conflict (tenant_id, account, asset) do update
        set debit_minor = excluded.debit_minor, credit_minor = excluded.credit_minor
        """,
        [tenant for (tenant, _), _ in ordered],
        [account for (_, (account, _)), _ in ordered],
        [asset for (_, (_, asset)), _ in ordered],
        [balance.debit_minor for _, balance in ordered],
        [balance.credit_minor for _, balance in ordered],
    )


async def update_heads(tx: Tx, heads: Sequence[Head]) -> None:
    """Save where the chains stand."""
    await tx.execute(
        """
        update ledger_head h
        set sequence = n.sequence, hash = decode(n.hash, 'hex'), posted_at = n.posted_at
        from unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[])
            as n(tenant_id, sequence, hash, posted_at)
        where h.tenant_id = n.tenant_id
        """,
        [head.tenant_id for head in heads],
        [head.sequence for head in heads],
        [head.hash for head in heads],
        [head.posted_at for head in heads],
    )


async def lock_reserve(tx: Tx) -> Next:
    """Take the next place in the series of statements, after every other lock of a batch."""
    row = await tx.fetchrow(
        """
        update reserve_head set sequence = sequence + 1
        returning sequence, encode(hash, 'hex') as hash, clock_timestamp() as stated_at
        """
    )
    return Next(row["sequence"], row["hash"], row["stated_at"])


async def add_to_reserve(tx: Tx, changes: Mapping[AccountKey, int]) -> dict[AccountKey, int]:
    """Add a batch's changes to the platform's totals; all totals as they then are, minor units."""
    ordered = sorted(changes.items())
    rows = await tx.fetch(
        """
        with changed as (
            insert into reserve_total as r (account, asset, balance_minor)
            select account, asset, change_minor
            from unnest($1::text[], $2::text[], $3::bigint[]) as c(account, asset, change_minor)
            on conflict (account, asset) do update
            set balance_minor = r.balance_minor + excluded.balance_minor
            returning account, asset, balance_minor
        )
        select account, asset, balance_minor from changed
        union all
        select account, asset, balance_minor from reserve_total
        where (account, asset) not in (select account, asset from changed)
        """,
        [account for (account, _), _ in ordered],
        [asset for (_, asset), _ in ordered],
        [minor for _, minor in ordered],
    )
    return {(row["account"], row["asset"]): row["balance_minor"] for row in rows}


async def insert_statement(tx: Tx, stated: ReserveStated, heads: Sequence[Head]) -> None:
    """Keep a statement, and what its head hash was made of."""
    await tx.execute(
        """
        with kept as (
            insert into reserve_statement
                (sequence, positions, covered, heads, ledger_head, previous_hash, signature,
                 key_id, stated_at)
            values ($1, $2::jsonb, $3, $4::jsonb, decode($5, 'hex'), decode($6, 'hex'), $7, $8, $9)
        )
        update reserve_head set hash = decode($5, 'hex') where sequence = $1
        """,
        stated.sequence,
        [position.model_dump(mode="json") for position in stated.positions],
        stated.covered,
        sorted([str(head.tenant_id), head.hash] for head in heads),
        stated.ledger_head,
        stated.previous_hash,
        stated.signature,
        stated.key_id,
        stated.stated_at,
    )


def _columns(keys: Sequence[Key]) -> tuple[list[UUID], list[UUID]]:
    return [first for first, _ in keys], [second for _, second in keys]


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
    )
