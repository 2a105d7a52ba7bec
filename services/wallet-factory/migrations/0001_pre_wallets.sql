-- One wallet per invoice, the decision behind each, and what must be destroyable apart from both.

-- Counter of each master on the rail Tempo. Its key may never change: another key is another
-- permutation, which could give an address a second time, so its fingerprint is kept beside it.
create table tempo_master (
    chain_id bigint not null check (chain_id > 0),
    master_id text not null check (master_id ~ '^[0-9a-f]{8}$'),
    address text not null check (address ~ '^0x[0-9a-fA-F]{40}$'),
    tag_key_fingerprint text not null check (tag_key_fingerprint ~ '^[0-9a-f]{64}$'),
    next_tag bigint not null default 0 check (next_tag between 0 and 281474976710656),
    primary key (chain_id, master_id)
) with (fillfactor = 50);

-- This service's own copy of what ProviderHealthChanged says.
create table provider_health (
    provider text not null,
    rail text not null,
    state text not null,
    changed_at timestamptz not null,
    version bigint not null,
    primary key (provider, rail)
);

-- Every address ever given, over all tenants: that none is given twice is also held here.
create table issued_address (
    network text not null,
    address text not null,
    primary key (network, address)
);

do $$ begin
    execute format('grant select, insert, update on tempo_master, provider_health to %I',
        current_schema() || '_worker');
    execute format('grant select, insert on issued_address to %I', current_schema() || '_worker');
end $$;

create table wallet (
    tenant_id uuid not null,
    id uuid not null,
    invoice_id uuid not null,
    mode text not null check (mode in ('ephemeral', 'persistent')),
    rail text not null,
    chain_id bigint check (chain_id > 0),
    address text not null check (length(address) between 1 and 200),
    memo text check (memo ~ '^0x[0-9a-f]{64}$'),
    accepted_assets text[] not null check (cardinality(accepted_assets) > 0),
    due_minor bigint not null check (due_minor >= 0),
    asset text not null,
    ttl_s integer not null check (ttl_s > 0),
    watch_window_s integer not null check (watch_window_s >= 0),
    expires_at timestamptz not null,
    created_at timestamptz not null,
    secrets_destroyed_at timestamptz check (secrets_destroyed_at >= created_at),
    primary key (tenant_id, id),
    unique (tenant_id, invoice_id)
);
-- Nothing of a wallet is ever deleted but its secrets; the address stays as a tombstone.
call tenant_table('wallet', 'select', 'select, insert, update');

-- Apart from the wallet, out of the api role's reach, so that deleting a row destroys the link.
create table wallet_secret (
    tenant_id uuid not null,
    wallet_id uuid not null,
    memo_salt bytea not null check (octet_length(memo_salt) = 32),
    derivation bytea not null check (octet_length(derivation) between 17 and 500),
    primary key (tenant_id, wallet_id)
);
call tenant_table('wallet_secret', '', 'select, insert, delete');

-- Each attempt's decision, served or not; wallet_id names the attempt where no wallet came of it.
create table decision (
    tenant_id uuid not null,
    wallet_id uuid not null,
    invoice_id uuid not null,
    attempt integer not null check (attempt > 0),
    mode text not null check (mode in ('ephemeral', 'persistent')),
    mode_rule text not null,
    mode_reasons text[] not null,
    rail text,
    rail_rule text not null,
    skipped jsonb not null,
    failure text,
    inputs jsonb not null,
    decided_at timestamptz not null,
    primary key (tenant_id, wallet_id),
    unique (tenant_id, invoice_id, attempt),
    check ((rail is null) = (failure is not null))
);
call tenant_table('decision', 'select', 'select, insert');
