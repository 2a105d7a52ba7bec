-- The mode selector: what it decided and why, what came of it, and the model that learns from that.

-- Versions of the model; only the learner adds one, and none is ever changed.
create table selector_model (
    version bigint primary key check (version > 0),
    labels bigint not null check (labels >= 0),
    state jsonb not null,
    hash text not null check (hash ~ '^[0-9a-f]{64}$'),
    created_at timestamptz not null
);
do $$ begin
    execute format('grant select, insert on selector_model to %I', current_schema() || '_worker');
    execute format('grant select on selector_model to %I', current_schema() || '_api');
end $$;

-- Decisions of the selector and their outcomes: added to, chained by hash, never changed.
create table selector_log (
    tenant_id uuid not null,
    sequence bigint not null check (sequence > 0),
    wallet_id uuid not null,
    invoice_id uuid not null,
    kind text not null check (kind in ('decision', 'outcome')),
    body jsonb not null,
    hash text not null check (hash ~ '^[0-9a-f]{64}$'),
    previous_hash text not null check (previous_hash ~ '^[0-9a-f]{64}$'),
    logged_at timestamptz not null,
    primary key (tenant_id, sequence),
    unique (tenant_id, wallet_id, kind)
);
call tenant_table('selector_log', 'select', 'select, insert');

-- Head of each tenant's log; its row lock makes sequences gap-free.
create table selector_log_head (
    tenant_id uuid primary key,
    sequence bigint not null check (sequence >= 0),
    hash text not null check (hash ~ '^[0-9a-f]{64}$')
) with (fillfactor = 50);
call tenant_table('selector_log_head', 'select', 'select, insert, update');

-- Decisions of which it is not known yet whether they will be regretted; deleted when it is.
create table selector_open (
    tenant_id uuid not null,
    wallet_id uuid not null,
    invoice_id uuid not null,
    customer_id uuid,
    rule text not null,
    features jsonb not null,
    decided_at timestamptz not null,
    primary key (tenant_id, wallet_id)
);
create index selector_open_age on selector_open (decided_at);
create index selector_open_customer on selector_open (tenant_id, customer_id)
    where customer_id is not null;
call tenant_table('selector_open', '', 'select, insert, update, delete');

-- What the model learns from; the learner numbers labels as it learns them, so that the model can
-- be made again from the log alone.
create table selector_label (
    tenant_id uuid not null,
    wallet_id uuid not null,
    number bigint unique check (number > 0),
    rule text not null,
    features jsonb not null,
    persistent_was_right boolean not null,
    cause text not null,
    labelled_at timestamptz not null,
    primary key (tenant_id, wallet_id)
);
create index selector_label_new on selector_label (labelled_at, wallet_id) where number is null;
call tenant_table('selector_label', '', 'select, insert, update');

-- Who has switched the model off: a tenant for itself, the platform (nil id) for all.
create table selector_switch (
    tenant_id uuid primary key,
    engaged boolean not null,
    reason text not null check (length(reason) between 1 and 200),
    switched_by text not null check (length(switched_by) between 1 and 200),
    switched_at timestamptz not null
);
call tenant_table('selector_switch', 'select, insert, update', 'select');
