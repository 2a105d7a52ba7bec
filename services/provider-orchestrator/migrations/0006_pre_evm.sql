-- Deposit addresses on EVM chains: whose they are, what still has to be looked for, and what lies there.

alter table watched_address add column provider text not null default 'tempo';
alter table watched_address add column rail text not null default 'tempo';
-- What the factory puts a wallet at the address with; without it late money could not be fetched.
alter table watched_address add column salt bytea check (octet_length(salt) = 32);
alter table balance_request add column rail text not null default 'tempo';

-- Addresses that became known after the chain had been read past their birth: what came meanwhile is looked for once.
create table missed_address (
    chain_id bigint not null,
    address bytea not null check (octet_length(address) = 20),
    since timestamptz not null,
    primary key (chain_id, address)
);

-- Money at deposit addresses that is final and was not fetched. What really lies there is asked of the chain before a sweep.
create table unswept (
    tenant_id uuid not null,
    wallet_id uuid not null,
    asset text not null check (asset ~ '^[A-Z][A-Z0-9]{2,11}$'),
    chain_id bigint not null,
    units numeric(78, 0) not null check (units > 0 and units <> 'NaN'),
    since timestamptz not null,
    -- Set where somebody waits for it: then even dust is fetched.
    wanted_at timestamptz,
    primary key (tenant_id, wallet_id, asset)
);
create index unswept_waiting on unswept (chain_id, asset, since);
call tenant_table('unswept', '');

do $$
declare
    name text;
begin
    foreach name in array array['missed_address'] loop
        execute format('grant select, insert, update, delete on %I to %I', name, current_schema() || '_worker');
    end loop;
end $$;
