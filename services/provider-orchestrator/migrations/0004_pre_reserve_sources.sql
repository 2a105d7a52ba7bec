-- What was observed of each place that holds money, and how far its movements have been listed.
-- Facts about the platform's own holdings belong to no tenant.
create table reserve_observation (
    source_id uuid not null,
    block_number bigint not null check (block_number >= 0),
    chain_id bigint not null,
    block_hash bytea not null check (octet_length(block_hash) = 32),
    balance_minor numeric(38, 0) not null check (balance_minor >= 0),
    deposits_minor numeric(38, 0) check (deposits_minor >= 0),
    held_elsewhere_minor numeric(38, 0) not null check (held_elsewhere_minor >= 0),
    observed_at timestamptz not null,
    primary key (source_id, block_number)
);
create index reserve_observation_chain on reserve_observation (chain_id, block_number);

create table reserve_listing (
    source_id uuid primary key,
    chain_id bigint not null,
    block_number bigint not null check (block_number >= 0),
    block_at timestamptz not null,
    closing_minor numeric(38, 0)
) with (fillfactor = 50);

-- The sum of deposits since an older observation is read from this index alone.
create index chain_transfer_token on chain_transfer (chain_id, token, block_number)
    include (units, blocked) where orphaned_at is null;

do $$
declare
    name text;
begin
    foreach name in array array['reserve_observation', 'reserve_listing'] loop
        execute format('grant select, insert, update, delete on %I to %I', name, current_schema() || '_worker');
    end loop;
end $$;
