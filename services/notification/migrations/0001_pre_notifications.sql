-- Who is told: webhook endpoints, what is delivered to them, and e-mails (state-machines.md, section 6).

create table webhook_endpoint (
    tenant_id uuid not null,
    id uuid not null,
    version bigint not null default 1 check (version > 0),
    url text not null check (length(url) between 1 and 2000),
    description text not null default '' check (length(description) <= 200),
    event_types text[] not null check (cardinality(event_types) between 1 and 50),
    state text not null default 'enabled' check (state in ('enabled', 'disabled', 'deleted')),
    disabled_reason text,
    secret jsonb,
    previous_secret jsonb,
    previous_secret_until timestamptz,
    failing_since timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id),
    check ((secret is null) = (state = 'deleted')),
    check ((previous_secret is null) = (previous_secret_until is null)),
    check ((disabled_reason is not null) = (state = 'disabled'))
);
call tenant_table('webhook_endpoint');

-- The body is kept once an event, however many endpoints and attempts.
create table webhook_event (
    tenant_id uuid not null,
    id uuid not null,
    type text not null,
    invoice_id uuid,
    body bytea not null check (octet_length(body) <= 1100000),
    created_at timestamptz not null default now(),
    primary key (tenant_id, id)
);
call tenant_table('webhook_event', 'select, insert');

create table webhook_delivery (
    tenant_id uuid not null,
    id uuid not null,
    endpoint_id uuid not null,
    event_id uuid not null,
    generation integer not null default 1 check (generation > 0),
    state text not null default 'pending'
        check (state in ('pending', 'delivering', 'succeeded', 'failed', 'canceled')),
    attempt integer not null default 0 check (attempt >= 0),
    next_at timestamptz not null default now(),
    lease_until timestamptz,
    reason text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, endpoint_id, event_id, generation),
    check ((lease_until is not null) = (state = 'delivering')),
    check ((finished_at is not null) = (state in ('succeeded', 'failed', 'canceled')))
) with (fillfactor = 80);
-- The claim walks the endpoints that have something pending, then takes what is due of each.
create index webhook_delivery_pending on webhook_delivery (tenant_id, endpoint_id, next_at)
    where state = 'pending';
create index webhook_delivery_due on webhook_delivery (next_at) where state = 'pending';
create index webhook_delivery_leased on webhook_delivery (lease_until) where state = 'delivering';
create index webhook_delivery_of_endpoint on webhook_delivery (tenant_id, endpoint_id, id);
call tenant_table('webhook_delivery');

create table webhook_attempt (
    tenant_id uuid not null,
    delivery_id uuid not null,
    attempt integer not null check (attempt > 0),
    at timestamptz not null,
    status_code integer check (status_code between 100 and 999),
    error text,
    duration_ms integer not null check (duration_ms >= 0),
    answer text not null default '' check (length(answer) <= 1024),
    primary key (tenant_id, delivery_id, attempt),
    check ((status_code is null) = (error is not null))
);
call tenant_table('webhook_attempt', 'select');

-- The one place where a recipient is kept, sealed; to forget a recipient is to delete the row.
create table invoice_contact (
    tenant_id uuid not null,
    invoice_id uuid not null,
    subject text not null,
    recipient jsonb not null,
    issuer_name text not null,
    payment_link text not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, invoice_id)
);
call tenant_table('invoice_contact', '');

create table notification (
    tenant_id uuid not null,
    id uuid not null,
    cause_event_id uuid not null,
    invoice_id uuid not null,
    channel text not null check (channel in ('email')),
    template text not null,
    content jsonb not null,
    state text not null default 'pending' check (state in ('pending', 'sending', 'sent', 'failed')),
    attempt integer not null default 0 check (attempt >= 0),
    next_at timestamptz not null default now(),
    lease_until timestamptz,
    reason text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, cause_event_id, channel, template),
    check ((lease_until is not null) = (state = 'sending')),
    check ((finished_at is not null) = (state in ('sent', 'failed')))
) with (fillfactor = 80);
create index notification_pending on notification (tenant_id, next_at) where state = 'pending';
create index notification_due on notification (next_at) where state = 'pending';
create index notification_leased on notification (lease_until) where state = 'sending';
create index notification_of_invoice on notification (tenant_id, invoice_id, id);
call tenant_table('notification', 'select');
