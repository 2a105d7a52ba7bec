-- What every service's schema holds for the event backbone (docs/adr/0002-outbox-and-relay.md).
-- Runs with search_path = the service's own schema, as the service's owner role.

create procedure tenant_table(
    target regclass,
    api_may text default 'select, insert, update',
    worker_may text default 'select, insert, update, delete'
) language plpgsql as $$
declare
    api_role text := current_schema() || '_api';
    worker_role text := current_schema() || '_worker';
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    -- The setting is read once a statement, inside a scalar sub-select: measured, that costs nothing.
    execute format(
        'create policy tenant_api on %s to %I using (tenant_id = any((select string_to_array('
        'nullif(current_setting(''app.tenants'', true), ''''), '','')::uuid[])::uuid[]))', target, api_role);
    execute format('create policy tenant_worker on %s to %I using (true)', target, worker_role);
    if api_may <> '' then
        execute format('grant %s on %s to %I', api_may, target, api_role);
    end if;
    execute format('grant %s on %s to %I', worker_may, target, worker_role);
end $$;

-- Heads of the aggregates' histories. Taking the next version locks the row, so two transactions
-- that state facts about one aggregate follow one another, and seq in the outbox agrees with them.
create table stream_head (
    topic text not null,
    key text not null,
    tenant_id uuid not null,
    version bigint not null check (version > 0),
    primary key (topic, key)
) with (fillfactor = 70);
call tenant_table('stream_head');

-- A queue, deleted on publish: a row that exists is unsent.
create table outbox (
    seq bigint generated always as identity primary key,
    shard smallint not null generated always as ((hashtext(key) & 2147483647) % 16) stored,
    tenant_id uuid not null,
    topic text not null,
    key text not null,
    event_id uuid not null unique,
    type text not null,
    version bigint not null,
    occurred_at timestamptz not null,
    staged_at timestamptz not null default clock_timestamp(),
    correlation_id text not null,
    causation_id uuid,
    traceparent text,
    tracestate text,
    headers jsonb,
    payload bytea not null check (octet_length(payload) <= 1000000),
    parked boolean not null default false
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
create index outbox_parked on outbox (topic, key) where parked;
call tenant_table('outbox', 'insert, select');

-- Event ids are UUIDv7, so inserts go to the end of the index and old rows can be removed by range.
create table inbox (
    event_id uuid not null,
    consumer text not null,
    received_at timestamptz not null default now(),
    primary key (event_id, consumer)
);
do $$ begin
    execute format('grant select, insert, delete on inbox to %I', current_schema() || '_worker');
end $$;

create table dead_letter (
    id uuid primary key,
    tenant_id uuid not null,
    consumer text not null,
    topic text not null,
    partition integer not null,
    record_offset bigint not null,
    record_key bytea,
    event_id uuid,
    type text,
    headers jsonb not null,
    payload bytea,
    state text not null check (state in ('dead', 'parked', 'replaying', 'resolved')),
    reason text not null,
    error text not null,
    attempts integer not null default 1,
    created_at timestamptz not null default now(),
    resolved_at timestamptz,
    unique (consumer, topic, partition, record_offset)
);
create index dead_letter_open on dead_letter (consumer, topic, record_key) where state <> 'resolved';
call tenant_table('dead_letter', 'select');

create table timer (
    kind text not null,
    ref text not null,
    tenant_id uuid not null,
    due_at timestamptz not null,
    payload jsonb not null default '{}',
    attempts integer not null default 0,
    primary key (kind, ref)
);
create index timer_due on timer (due_at);
call tenant_table('timer', 'select, insert, update, delete');

create table idempotency (
    tenant_id uuid not null,
    route text not null,
    key text not null check (length(key) <= 255),
    request_hash bytea not null,
    status_code smallint,
    headers jsonb,
    body bytea,
    created_at timestamptz not null default now(),
    primary key (tenant_id, route, key)
);
create index idempotency_created on idempotency (created_at);
call tenant_table('idempotency', 'select, insert, update, delete');
