-- Bulk orders: a job, and a row for each invoice with an ephemeral wallet that it asks for.

create table bulk_job (
    tenant_id uuid not null,
    id uuid not null,
    state text not null check (state in ('running', 'cancelling', 'done', 'cancelled')),
    ordered_by text not null check (length(ordered_by) between 1 and 200),
    cancelled_by text check (length(cancelled_by) between 1 and 200),
    total integer not null check (total between 1 and 10000),
    waiting integer not null check (waiting >= 0),
    requested integer not null check (requested >= 0),
    ready integer not null check (ready >= 0),
    failed integer not null check (failed >= 0),
    refused integer not null check (refused >= 0),
    cancelled integer not null check (cancelled >= 0),
    repeated integer not null check (repeated >= 0),
    conflicting integer not null check (conflicting >= 0),
    created_at timestamptz not null,
    finished_at timestamptz check (finished_at >= created_at),
    version bigint not null check (version > 0),
    primary key (tenant_id, id),
    check (total = waiting + requested + ready + failed + refused + cancelled + repeated
                   + conflicting),
    check ((state in ('done', 'cancelled')) = (waiting + requested = 0)),
    check ((state in ('done', 'cancelled')) = (finished_at is not null)),
    check ((state in ('cancelling', 'cancelled')) = (cancelled_by is not null)),
    check (state <> 'cancelling' or waiting = 0)
) with (fillfactor = 50);
create index bulk_job_unfinished on bulk_job (tenant_id, id)
    where state in ('running', 'cancelling');
call tenant_table('bulk_job');

create table bulk_row (
    tenant_id uuid not null,
    job_id uuid not null,
    position integer not null check (position between 1 and 10000),
    reference text not null check (length(reference) between 1 and 100),
    invoice_id uuid not null,
    terms_hash bytea not null check (octet_length(terms_hash) = 32),
    amount_minor bigint not null check (amount_minor > 0),
    asset text not null,
    description text not null check (length(description) between 1 and 200),
    due_at timestamptz not null,
    customer_id uuid,
    ttl_s integer not null check (ttl_s > 0),
    watch_window_s integer not null check (watch_window_s > 0),
    state text not null check (state in (
        'waiting', 'requested', 'ready', 'failed', 'refused', 'cancelled', 'repeated',
        'conflicting')),
    code text,
    wallet_id uuid,
    number text,
    payment_link text,
    rail text,
    chain_id bigint,
    address text,
    memo text,
    accepted_assets text,
    expires_at timestamptz,
    updated_at timestamptz not null,
    primary key (tenant_id, job_id, position),
    foreign key (tenant_id, job_id) references bulk_job (tenant_id, id),
    check ((state = 'ready') = (wallet_id is not null and address is not null)),
    check ((state in ('failed', 'refused', 'conflicting')) = (code is not null))
) with (fillfactor = 80);
-- A reference names one invoice; one that was refused or cancelled made none, so it is free again.
create unique index bulk_row_reference on bulk_row (tenant_id, reference)
    where state in ('waiting', 'requested', 'ready', 'failed');
create unique index bulk_row_invoice on bulk_row (tenant_id, invoice_id)
    where state not in ('repeated', 'conflicting');
create index bulk_row_waiting on bulk_row (tenant_id, job_id, position) where state = 'waiting';
call tenant_table('bulk_row');
