-- What the other side says, line by line; kept as it came, under the platform's own tenant.
create table external_statement (
    tenant_id uuid not null,
    id uuid not null,
    source text not null check (length(source) between 1 and 200),
    kind text not null check (kind in ('chain', 'provider', 'bank')),
    asset asset_code not null,
    name text not null check (length(name) between 1 and 200),
    format text not null check (format in ('event', 'camt053', 'mt940', 'csv')),
    content_hash bytea not null check (octet_length(content_hash) = 32),
    starts_at timestamptz not null,
    ends_at timestamptz not null check (ends_at >= starts_at),
    opening_minor numeric(38, 0),
    closing_minor numeric(38, 0),
    line_count integer not null check (line_count >= 0),
    imported_by text not null,
    imported_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, source, asset, content_hash)
);
create index external_statement_time on external_statement (tenant_id, source, asset, ends_at);
call tenant_table('external_statement', 'select, insert', 'select, insert');

create table external_line (
    tenant_id uuid not null,
    source text not null,
    asset asset_code not null,
    reference text not null check (length(reference) between 1 and 300),
    ordinal integer not null check (ordinal > 0),
    statement_id uuid not null,
    amount_minor bigint not null,
    at timestamptz not null,
    related text,
    memo text,
    group_name text,
    status text,
    primary key (tenant_id, source, asset, reference, ordinal)
);
create index external_line_time on external_line (tenant_id, source, asset, at);
call tenant_table('external_line', 'select, insert', 'select, insert');

-- How a provider names the payments in the book.
create table payment_reference (
    tenant_id uuid not null,
    payment_id uuid not null,
    provider text not null,
    reference text not null,
    primary key (tenant_id, payment_id)
);
create index payment_reference_name on payment_reference (reference);
call tenant_table('payment_reference', '', 'select, insert');

create table reconciliation (
    tenant_id uuid not null,
    id uuid not null,
    source text not null,
    kind text not null check (kind in ('chain', 'provider', 'bank')),
    asset asset_code not null,
    starts_at timestamptz not null,
    cut_off timestamptz not null check (cut_off > starts_at),
    step text not null check (step in ('staging', 'matching', 'classifying', 'proving', 'sign_off', 'done')),
    external_count integer not null default 0,
    ledger_count integer not null default 0,
    matched_count integer not null default 0,
    break_count integer not null default 0,
    content_hash bytea check (octet_length(content_hash) = 32),
    proof jsonb,
    proved boolean,
    created_by text not null,
    created_at timestamptz not null,
    signed_by text,
    signed_at timestamptz,
    primary key (tenant_id, id),
    check ((step = 'done') = (signed_by is not null)),
    constraint reconciliation_four_eyes check (signed_by <> created_by),
    constraint reconciliation_signed_when_proved check (signed_by is null or proved)
) with (fillfactor = 70);
create unique index reconciliation_one_at_a_time on reconciliation (tenant_id, source, asset) where step <> 'done';
create index reconciliation_newest on reconciliation (tenant_id, id desc);
call tenant_table('reconciliation', 'select, insert, update', 'select, insert, update');

-- What a reconciliation looked at: never changed, so that every step can be made again.
create table reconciliation_item (
    tenant_id uuid not null,
    reconciliation_id uuid not null,
    side text not null check (side in ('external', 'ledger')),
    key text not null,
    reference text,
    amount_minor bigint not null,
    at timestamptz not null,
    memo text,
    group_name text,
    status text,
    account text,
    elsewhere boolean not null default false,
    primary key (tenant_id, reconciliation_id, side, key)
);
create index reconciliation_item_key on reconciliation_item (tenant_id, side, key);
call tenant_table('reconciliation_item', 'select', 'select, insert');

create table reconciliation_match (
    tenant_id uuid not null,
    reconciliation_id uuid not null,
    place integer not null,
    pass text not null check (pass in ('reference', 'memo_and_amount', 'amount_and_window', 'many_to_one')),
    external_keys text[] not null,
    ledger_keys text[] not null,
    why text not null,
    primary key (tenant_id, reconciliation_id, place)
);
call tenant_table('reconciliation_match', 'select', 'select, insert');

create table reconciliation_break (
    tenant_id uuid not null,
    id uuid not null,
    reconciliation_id uuid not null,
    source text not null,
    asset asset_code not null,
    class text not null check (class in ('timing', 'amount', 'missing_in_ledger', 'missing_externally',
                                         'duplicate', 'misdirected', 'status', 'supply')),
    severity text not null check (severity in ('low', 'medium', 'high')),
    external_key text not null default '',
    ledger_key text not null default '',
    reference text,
    amount_minor bigint not null,
    account text not null,
    since timestamptz not null,
    why text not null,
    state text not null check (state in ('open', 'proposed', 'approved', 'closed')),
    assignee text,
    resolution text check (resolution in ('suspense', 'fee', 'write_off', 'reclass', 'accept')),
    reason text,
    proposed_by text,
    approved_by text,
    transaction_id uuid,
    closed_at timestamptz,
    closed_because text check (closed_because in ('counterpart_came', 'adjusted', 'accepted')),
    primary key (tenant_id, id),
    check (external_key <> '' or ledger_key <> ''),
    check ((state = 'closed') = (closed_at is not null and closed_because is not null)),
    check (state not in ('proposed', 'approved') or (resolution is not null and proposed_by is not null)),
    check (state <> 'approved' or approved_by is not null),
    constraint break_four_eyes check (approved_by <> proposed_by)
) with (fillfactor = 70);
create unique index reconciliation_break_open
    on reconciliation_break (tenant_id, source, asset, external_key, ledger_key) where state <> 'closed';
create index reconciliation_break_queue on reconciliation_break (tenant_id, id) where state <> 'closed';
call tenant_table('reconciliation_break', 'select, update', 'select, insert, update');

create table reconciliation_note (
    tenant_id uuid not null,
    break_id uuid not null,
    id uuid not null,
    actor text not null,
    text text not null check (length(text) between 1 and 2000),
    at timestamptz not null,
    primary key (tenant_id, break_id, id)
);
call tenant_table('reconciliation_note', 'select, insert', 'select, insert');
