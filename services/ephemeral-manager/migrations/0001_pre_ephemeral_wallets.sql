-- The life of each ephemeral wallet, what is known of its payments, and the evidence of its end.

create table ephemeral_wallet (
    tenant_id uuid not null,
    id uuid not null,
    invoice_id uuid not null,
    mode text not null default 'ephemeral' check (mode = 'ephemeral'),
    rail text not null,
    chain_id bigint check (chain_id > 0),
    address text not null check (length(address) between 1 and 200),
    state text not null check (state in (
        'active', 'expired', 'draining', 'drained', 'watching', 'destroying', 'destroyed')),
    expires_at timestamptz not null,
    watch_window_s integer not null check (watch_window_s >= 0),
    watch_until timestamptz,
    restarts smallint not null default 0 check (restarts between 0 and 5),
    settled boolean not null default false,
    closures jsonb not null default '[]' check (jsonb_typeof(closures) = 'array'),
    legal_hold boolean not null default false,
    legal_hold_reason text check (length(legal_hold_reason) <= 200),
    guard jsonb,
    asked integer not null default 0 check (asked >= 0),
    created_at timestamptz not null,
    drained_at timestamptz,
    destroying_at timestamptz,
    destroyed_at timestamptz,
    version bigint not null check (version > 0),
    primary key (tenant_id, id),
    unique (tenant_id, invoice_id),
    check ((state = 'watching') <= (watch_until is not null and drained_at is not null)),
    check ((state in ('destroying', 'destroyed')) = (destroying_at is not null)),
    check ((state in ('destroying', 'destroyed')) = (guard is not null)),
    check ((state = 'destroyed') = (destroyed_at is not null)),
    check (legal_hold = (legal_hold_reason is not null))
) with (fillfactor = 80);
create index ephemeral_wallet_state on ephemeral_wallet (tenant_id, state, id);
call tenant_table('ephemeral_wallet', 'select, update', 'select, insert, update');

-- Payments come before, while and after a wallet is known here: topics have no common order.
create table wallet_payment (
    tenant_id uuid not null,
    id uuid not null,
    wallet_id uuid not null,
    invoice_id uuid not null,
    amount_minor bigint not null,
    asset text not null,
    state text check (state in ('seen', 'final', 'reverted', 'conflicted', 'failed')),
    first_seen_at timestamptz,
    finals integer not null default 0 check (finals >= 0),
    booking_ids uuid[] not null default '{}',
    booked_sequence bigint not null default 0,
    policy text,
    late text check (late in ('detected', 'resolved')),
    primary key (tenant_id, id)
) with (fillfactor = 80);
create index wallet_payment_wallet on wallet_payment (tenant_id, wallet_id);
create index wallet_payment_booking on wallet_payment using gin (booking_ids);
call tenant_table('wallet_payment', 'select', 'select, insert, update');

-- What others said of a destruction; a certificate needs both kinds.
create table destruction_evidence (
    tenant_id uuid not null,
    wallet_id uuid not null,
    kind text not null check (kind in ('secrets', 'balance')),
    fact jsonb not null,
    primary key (tenant_id, wallet_id, kind)
);
call tenant_table('destruction_evidence', 'select', 'select, insert, update');

-- Head of each tenant's chain of certificates; its row lock makes numbers gap-free.
create table certificate_chain (
    tenant_id uuid not null primary key,
    number bigint not null check (number >= 0),
    hash text not null check (hash ~ '^[0-9a-f]{64}$')
) with (fillfactor = 50);
call tenant_table('certificate_chain', 'select', 'select, insert, update');

-- The wallet destruction log. Nobody but the owner may change a row: select and insert is all.
create table destruction_log (
    tenant_id uuid not null,
    number bigint not null check (number > 0),
    wallet_id uuid not null,
    invoice_id uuid not null,
    hash text not null check (hash ~ '^[0-9a-f]{64}$'),
    previous_hash text not null check (previous_hash ~ '^[0-9a-f]{64}$'),
    certificate jsonb not null,
    destroyed_at timestamptz not null,
    primary key (tenant_id, number),
    unique (tenant_id, wallet_id),
    unique (tenant_id, hash),
    unique (tenant_id, previous_hash)
);
call tenant_table('destruction_log', 'select', 'select, insert');
