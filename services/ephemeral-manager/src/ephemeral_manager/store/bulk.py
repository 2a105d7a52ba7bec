"""SQL of bulk orders: one function a statement, arrays in, rows out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ephemeral_manager.domain.bulk import Job, JobState, Row, RowState
from invoiceos_contracts import Amount
from messaging import Tx

Key = tuple[UUID, UUID]
"""Tenant, and the id of an order or an invoice."""
JOB_COLUMNS = """
    j.tenant_id, j.id, j.state, j.ordered_by, j.cancelled_by, j.total, j.waiting, j.requested,
    j.ready, j.failed, j.refused, j.cancelled, j.repeated, j.conflicting, j.created_at,
    j.finished_at, j.version
"""
_ROW_COLUMNS = """
    position, reference, invoice_id, terms_hash, amount_minor, asset, description, due_at,
    customer_id, ttl_s, watch_window_s
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row's invoice."""

    tenant_id: UUID
    invoice_id: UUID
    state: RowState
    code: str | None = None
    wallet: Mapping[str, Any] | None = None
    """Columns of a row that is ready."""


def job_of(row: Any) -> Job:
    """An order from a row of `JOB_COLUMNS`."""
    values = dict(row)
    counts = {state: values.pop(state.value) for state in RowState}
    return Job(counts=counts, **values | {"state": JobState(values["state"])})


def _split(keys: Iterable[Key]) -> tuple[list[UUID], list[UUID]]:
    ordered = sorted(set(keys))
    return [tenant for tenant, _ in ordered], [item for _, item in ordered]


async def lock_tenants(tx: Tx, tenants: Iterable[UUID]) -> None:
    """One order of a tenant is let in after the other, so that its limit cannot be outrun."""
    for tenant in sorted(set(tenants)):
        await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 29))", str(tenant))


async def count_open_rows(tx: Tx, tenants: Iterable[UUID]) -> dict[UUID, int]:
    """Rows of each tenant that have not come to their end."""
    rows = await tx.fetch(
        """
        select tenant_id, sum(waiting + requested) as open from bulk_job
        where state in ('running', 'cancelling') and tenant_id = any($1) group by tenant_id
        """,
        sorted(set(tenants)),
    )
    return {row["tenant_id"]: int(row["open"]) for row in rows}


async def insert_jobs(tx: Tx, jobs: Sequence[Job]) -> None:
    """Store new orders, all of whose rows wait."""
    await tx.execute(
        """
        insert into bulk_job (tenant_id, id, state, ordered_by, total, waiting, requested, ready,
            failed, refused, cancelled, repeated, conflicting, created_at, version)
        select tenant_id, id, 'running', ordered_by, total, total, 0, 0, 0, 0, 0, 0, 0, $5, 1
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[])
            as new(tenant_id, id, ordered_by, total)
        """,
        [job.tenant_id for job in jobs],
        [job.id for job in jobs],
        [job.ordered_by for job in jobs],
        [job.total for job in jobs],
        tx.now,
    )


async def insert_rows(
    tx: Tx, rows: Sequence[tuple[Job, Row, RowState, str | None]]
) -> set[tuple[UUID, int]]:
    """Insert rows (with state and code) in the order of their references.

    What is inserted (order, position): a waiting row whose reference is taken is left out.
    """
    ordered = sorted(rows, key=lambda item: (item[0].tenant_id, item[1].reference))
    kept = [row for _, row, _, _ in ordered]
    found = await tx.fetch(
        """
        insert into bulk_row (tenant_id, job_id, position, reference, invoice_id, terms_hash,
            amount_minor, asset, description, due_at, customer_id, ttl_s, watch_window_s, state,
            code, updated_at)
        select *, $16 from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::uuid[],
            $6::bytea[], $7::bigint[], $8::text[], $9::text[], $10::timestamptz[], $11::uuid[],
            $12::int[], $13::int[], $14::text[], $15::text[])
        on conflict (tenant_id, reference)
            where state in ('waiting', 'requested', 'ready', 'failed') do nothing
        returning job_id, position
        """,
        [job.tenant_id for job, _, _, _ in ordered],
        [job.id for job, _, _, _ in ordered],
        [row.position for row in kept],
        [row.reference for row in kept],
        [row.invoice_id for row in kept],
        [row.terms_hash for row in kept],
        [row.amount.amount_minor for row in kept],
        [row.amount.asset for row in kept],
        [row.description for row in kept],
        [row.due_at for row in kept],
        [row.customer_id for row in kept],
        [row.ttl_s for row in kept],
        [row.watch_window_s for row in kept],
        [state for _, _, state, _ in ordered],
        [code for _, _, _, code in ordered],
        tx.now,
    )
    return {(row["job_id"], row["position"]) for row in found}


async def select_owners(
    tx: Tx, references: Iterable[tuple[UUID, str]]
) -> dict[tuple[UUID, str], tuple[UUID, bytes]]:
    """Invoice and hash of the rows that these references (tenant, reference) are taken by."""
    ordered = sorted(set(references))
    rows = await tx.fetch(
        """
        select r.tenant_id, r.reference, r.invoice_id, r.terms_hash
        from bulk_row r join unnest($1::uuid[], $2::text[]) as k(tenant_id, reference)
            using (tenant_id, reference)
        where r.state in ('waiting', 'requested', 'ready', 'failed')
        """,
        [tenant for tenant, _ in ordered],
        [reference for _, reference in ordered],
    )
    return {(r["tenant_id"], r["reference"]): (r["invoice_id"], r["terms_hash"]) for r in rows}


async def lock_jobs(tx: Tx, keys: Iterable[Key]) -> dict[Key, Job]:
    """These orders (tenant, order), those there are, locked in one order: before their rows."""
    rows = await tx.fetch(
        f"""
        select {JOB_COLUMNS} from bulk_job j
        where (j.tenant_id, j.id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by j.tenant_id, j.id for update
        """,
        *_split(keys),
    )
    return {(row["tenant_id"], row["id"]): job_of(row) for row in rows}


async def update_jobs(tx: Tx, jobs: Sequence[Job]) -> None:
    """Save orders that are locked by this transaction."""
    await tx.execute(
        """
        update bulk_job j set state = new.state, cancelled_by = new.cancelled_by,
            finished_at = new.finished_at, version = new.version, waiting = new.waiting,
            requested = new.requested, ready = new.ready, failed = new.failed,
            refused = new.refused, cancelled = new.cancelled, repeated = new.repeated,
            conflicting = new.conflicting
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[],
                    $6::bigint[], $7::int[], $8::int[], $9::int[], $10::int[], $11::int[],
                    $12::int[], $13::int[], $14::int[])
            as new(tenant_id, id, state, cancelled_by, finished_at, version, waiting, requested,
                   ready, failed, refused, cancelled, repeated, conflicting)
        where j.tenant_id = new.tenant_id and j.id = new.id
        """,
        [job.tenant_id for job in jobs],
        [job.id for job in jobs],
        [job.state for job in jobs],
        [job.cancelled_by for job in jobs],
        [job.finished_at for job in jobs],
        [job.version for job in jobs],
        *([job.counts.get(state, 0) for job in jobs] for state in RowState),
    )


async def claim_rows(tx: Tx, jobs: Sequence[Job], each: int) -> dict[Key, list[Row]]:
    """The next waiting rows of each of these locked orders; from now on they are requested."""
    rows = await tx.fetch(
        f"""
        with next as (
            select r.tenant_id, r.job_id, r.position
            from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, job_id)
            cross join lateral (
                select b.tenant_id, b.job_id, b.position from bulk_row b
                where b.tenant_id = k.tenant_id and b.job_id = k.job_id and b.state = 'waiting'
                order by b.position limit $3) r
        ), begun as (
            update bulk_row b set state = 'requested', updated_at = $4 from next n
            where b.tenant_id = n.tenant_id and b.job_id = n.job_id and b.position = n.position
            returning b.*
        )
        select tenant_id, job_id, {_ROW_COLUMNS} from begun order by tenant_id, job_id, position
        """,
        [job.tenant_id for job in jobs],
        [job.id for job in jobs],
        each,
        tx.now,
    )
    claimed: dict[Key, list[Row]] = {}
    for row in rows:
        claimed.setdefault((row["tenant_id"], row["job_id"]), []).append(_row_of(row))
    return claimed


def _row_of(row: Any) -> Row:
    values = {name: row[name.strip()] for name in map(str.strip, _ROW_COLUMNS.split(","))}
    amount = Amount(amount_minor=values.pop("amount_minor"), asset=values.pop("asset"))
    return Row(amount=amount, **values)


async def cancel_rows(tx: Tx, keys: Iterable[Key]) -> None:
    """Call off the waiting rows of these locked orders."""
    await tx.execute(
        """
        update bulk_row r set state = 'cancelled', updated_at = $3
        from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, job_id)
        where r.tenant_id = k.tenant_id and r.job_id = k.job_id and r.state = 'waiting'
        """,
        *_split(keys),
        tx.now,
    )


async def jobs_of_invoices(tx: Tx, keys: Iterable[Key]) -> set[Key]:
    """The orders whose rows made these invoices (tenant, invoice); most invoices have none."""
    rows = await tx.fetch(
        """
        select distinct r.tenant_id, r.job_id from bulk_row r
        join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, invoice_id)
            using (tenant_id, invoice_id)
        where r.state not in ('repeated', 'conflicting')
        """,
        *_split(keys),
    )
    return {(row["tenant_id"], row["job_id"]) for row in rows}


async def select_states(tx: Tx, keys: Iterable[Key]) -> dict[Key, tuple[UUID, RowState]]:
    """Order and state of the rows that made these invoices (tenant, invoice); lock orders first."""
    rows = await tx.fetch(
        """
        select r.tenant_id, r.invoice_id, r.job_id, r.state from bulk_row r
        join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, invoice_id)
            using (tenant_id, invoice_id)
        where r.state not in ('repeated', 'conflicting')
        """,
        *_split(keys),
    )
    return {
        (row["tenant_id"], row["invoice_id"]): (row["job_id"], RowState(row["state"]))
        for row in rows
    }


async def update_rows(tx: Tx, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Store what became of rows whose orders are locked by this transaction."""
    wallets = [outcome.wallet or {} for outcome in outcomes]
    text = ("number", "payment_link", "rail", "address", "memo", "accepted_assets")
    await tx.execute(
        """
        update bulk_row r set state = new.state, code = new.code, wallet_id = new.wallet_id,
            chain_id = new.chain_id, expires_at = new.expires_at, number = new.number,
            payment_link = new.payment_link, rail = new.rail, address = new.address,
            memo = new.memo, accepted_assets = new.accepted_assets, updated_at = $14
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::bigint[],
                    $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[],
                    $12::text[], $13::text[])
            as new(tenant_id, invoice_id, state, code, wallet_id, chain_id, expires_at, number,
                   payment_link, rail, address, memo, accepted_assets)
        where r.tenant_id = new.tenant_id and r.invoice_id = new.invoice_id
          and r.state not in ('repeated', 'conflicting')
        """,
        [outcome.tenant_id for outcome in outcomes],
        [outcome.invoice_id for outcome in outcomes],
        [outcome.state for outcome in outcomes],
        [outcome.code for outcome in outcomes],
        [wallet.get("wallet_id") for wallet in wallets],
        [wallet.get("chain_id") for wallet in wallets],
        [wallet.get("expires_at") for wallet in wallets],
        *([wallet.get(name) for wallet in wallets] for name in text),
        now,
    )
