-- What the chain showed, the payments made of it, and how the provider is. Hashes and addresses are raw bytes.

-- Facts about a chain belong to no tenant; consumers and the watcher alone may touch them.
create table chain_cursor (
    chain_id bigint primary key check (chain_id > 0),
    number bigint not null check (number >= 0),
    hash bytea not null check (octet_length(hash) = 32),
    block_at timestamptz not null,
    head_number bigint not null check (head_number >= number),
    start_number bigint not null check (start_number >= 0),
    start_hash bytea not null check (octet_length(start_hash) = 32),
    genesis_hash bytea not null check (octet_length(genesis_hash) = 32),
    swept_at timestamptz not null
) with (fillfactor = 50);

-- The last blocks a sweep ended at or found money in: what the common ancestor is looked for in.
create table chain_block (
    chain_id bigint not null,
    number bigint not null check (number >= 0),
    hash bytea not null check (octet_length(hash) = 32),
    block_at timestamptz not null,
    primary key (chain_id, number)
);

-- A row for each hop of money to the master (or to the guard), in each block it was ever seen in.
create table chain_transfer (
    chain_id bigint not null,
    block_hash bytea not null check (octet_length(block_hash) = 32),
    transaction_hash bytea not null check (octet_length(transaction_hash) = 32),
    log_index integer not null check (log_index >= 0),
    ordinal integer not null check (ordinal >= 0),
    payment_id uuid not null,
    block_number bigint not null check (block_number >= 0),
    block_at timestamptz not null,
    address bytea not null check (octet_length(address) = 20),
    token bytea not null check (octet_length(token) = 20),
    asset text not null check (asset ~ '^[A-Z][A-Z0-9]{2,11}$'),
    listed boolean not null,
    units numeric(78, 0) not null check (units > 0 and units <> 'NaN'),
    payer bytea check (octet_length(payer) = 20),
    memo bytea check (octet_length(memo) = 32),
    blocked boolean not null,
    found_at timestamptz not null default now(),
    orphaned_at timestamptz,
    primary key (chain_id, block_hash, transaction_hash, log_index)
);
create index chain_transfer_number on chain_transfer (chain_id, block_number);

-- Money at an address that no WalletReady has named yet; it waits here, it is never dropped.
create table unmatched_transfer (
    chain_id bigint not null,
    block_hash bytea not null,
    transaction_hash bytea not null,
    log_index integer not null,
    address bytea not null,
    found_at timestamptz not null default now(),
    primary key (chain_id, block_hash, transaction_hash, log_index),
    foreign key (chain_id, block_hash, transaction_hash, log_index) references chain_transfer
);
create index unmatched_transfer_address on unmatched_transfer (chain_id, address);

create table watched_address (
    tenant_id uuid not null,
    wallet_id uuid not null,
    invoice_id uuid not null,
    chain_id bigint not null,
    address bytea not null check (octet_length(address) = 20),
    memo bytea check (octet_length(memo) = 32),
    accepted_assets text[] not null,
    due_minor bigint not null check (due_minor between 0 and 1000000000000000000),
    due_asset text not null,
    watched_since timestamptz not null default now(),
    primary key (tenant_id, wallet_id)
);
-- One address is one wallet, whoever claims it second: money must have one owner.
create unique index watched_address_place on watched_address (chain_id, address);
call tenant_table('watched_address', '');

create table payment (
    tenant_id uuid not null,
    id uuid not null,
    position uuid not null,
    wallet_id uuid not null,
    invoice_id uuid not null,
    provider text not null,
    rail text not null,
    state text not null check (state in ('seen', 'succeeded', 'conflicted', 'reverted')),
    cause text check (cause in ('wrong_asset', 'blocked', 'out_of_range')),
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    asset text not null check (asset ~ '^[A-Z][A-Z0-9]{2,11}$'),
    due_minor bigint not null check (due_minor between 0 and 1000000000000000000),
    due_asset text not null,
    expected text[] not null,
    chain_id bigint not null,
    block_number bigint not null,
    block_hash bytea not null check (octet_length(block_hash) = 32),
    block_at timestamptz not null,
    transaction_hash bytea not null check (octet_length(transaction_hash) = 32),
    log_index integer not null,
    payer bytea check (octet_length(payer) = 20),
    memo_matches boolean,
    reference text not null,
    final_at timestamptz,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, position),
    check (state <> 'succeeded' or cause is null),
    check (state <> 'conflicted' or cause is not null),
    check ((final_at is not null) = (state in ('succeeded', 'conflicted')))
);
create index payment_invoice on payment (tenant_id, invoice_id, position desc);
create index payment_wallet on payment (tenant_id, wallet_id) where state = 'seen';
create index payment_pending on payment (chain_id, block_number) where state = 'seen';
call tenant_table('payment', 'select');

-- A balance is asked for inside a transaction and read outside of it; one row for each question.
create table balance_request (
    tenant_id uuid not null,
    event_id uuid not null,
    wallet_id uuid not null,
    invoice_id uuid not null,
    chain_id bigint not null,
    address text not null,
    requested_at timestamptz not null default now(),
    primary key (tenant_id, event_id)
);
create index balance_request_order on balance_request (chain_id, requested_at);
call tenant_table('balance_request', '');

create table provider_health (
    provider_id uuid primary key,
    provider text not null,
    rail text not null,
    state text not null check (state in ('closed', 'half_open', 'open')),
    score_ppm integer not null check (score_ppm between 0 and 1000000),
    samples bigint not null check (samples >= 0),
    failures integer not null check (failures >= 0),
    successes integer not null check (successes >= 0),
    openings integer not null check (openings >= 0),
    open_until timestamptz,
    observed_at timestamptz,
    check ((open_until is not null) = (state = 'open'))
) with (fillfactor = 50);

-- The last observations, for percentiles; bounded by the command that writes them.
create table provider_health_observation (
    id bigint generated always as identity primary key,
    provider_id uuid not null references provider_health,
    at timestamptz not null,
    outcome text not null check (outcome in ('ok', 'throttled', 'infra')),
    latency_us integer not null check (latency_us >= 0),
    cause text not null
);
create index provider_health_observation_last on provider_health_observation (provider_id, id desc);

do $$
declare
    name text;
begin
    foreach name in array array['chain_cursor', 'chain_block', 'chain_transfer', 'unmatched_transfer',
                                'provider_health', 'provider_health_observation'] loop
        execute format('grant select, insert, update, delete on %I to %I', name, current_schema() || '_worker');
    end loop;
    foreach name in array array['chain_cursor', 'unmatched_transfer', 'provider_health',
                                'provider_health_observation'] loop
        execute format('grant select on %I to %I', name, current_schema() || '_api');
    end loop;
end $$;
