"""Bulk orders: each row is one invoice, and an order knows how many rows stand where."""

from typing import Final

from audit.invariant import Invariant

BULK: Final = (
    Invariant(
        "bulk.counts_agree",
        "A bulk order knows how many of its rows stand where, and is over when none is open.",
        """
        select tenant_id, id as job_id, j.state, j.total, r.rows
        from ephemeral_manager.bulk_job j
        left join (
            select tenant_id, job_id as id, count(*) as rows,
                   array[count(*) filter (where state = 'waiting'),
                         count(*) filter (where state = 'requested'),
                         count(*) filter (where state = 'ready'),
                         count(*) filter (where state = 'failed'),
                         count(*) filter (where state = 'refused'),
                         count(*) filter (where state = 'cancelled'),
                         count(*) filter (where state = 'repeated'),
                         count(*) filter (where state = 'conflicting')] as counts
            from ephemeral_manager.bulk_row group by tenant_id, job_id) r using (tenant_id, id)
        where r.counts is distinct from array[j.waiting, j.requested, j.ready, j.failed,
            j.refused, j.cancelled, j.repeated, j.conflicting]::bigint[]
        """,
    ),
    Invariant(
        "bulk.rows_become_invoices",
        "Each row that was asked for is one invoice over its amount, with the wallet it shows; "
        "a row that was refused or called off is none.",
        """
        select r.tenant_id, r.job_id, r.position, r.reference, r.state, i.document
        from ephemeral_manager.bulk_row r
        left join invoice.invoice i on i.tenant_id = r.tenant_id and i.id = r.invoice_id
        where r.updated_at < %(before)s and case
            when r.state in ('repeated', 'conflicting') then false
            when r.state in ('waiting', 'refused', 'cancelled') then i.id is not null
            when r.state = 'requested' then i.document is null or i.document <> 'issuing'
            when r.state = 'failed' then i.id is null
            else (i.total_minor, i.asset, i.wallet_id, i.address, i.number)
                 is distinct from (r.amount_minor, r.asset, r.wallet_id, r.address, r.number) end
        """,
        settled=True,
    ),
    Invariant(
        "bulk.orders_go_on",
        "An order with waiting rows has a timer that works it off.",
        """
        select j.tenant_id, j.id, j.waiting from ephemeral_manager.bulk_job j
        where j.waiting > 0 and not exists (
            select from ephemeral_manager.timer t
            where t.kind = 'bulk.rows' and t.ref = j.id::text)
        """,
    ),
)
