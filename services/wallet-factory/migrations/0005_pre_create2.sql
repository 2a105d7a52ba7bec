-- Deposit addresses on EVM chains: a counter for each factory, and the salt each address is fetched with.

create table create2_factory (
    chain_id bigint not null check (chain_id > 0),
    factory text not null check (factory ~ '^0x[0-9a-f]{40}$'),
    implementation text not null check (implementation ~ '^0x[0-9a-f]{40}$'),
    salt_key_fingerprint text not null check (salt_key_fingerprint ~ '^[0-9a-f]{64}$'),
    next_place bigint not null default 0 check (next_place >= 0),
    primary key (chain_id, factory)
) with (fillfactor = 50);
do $$ begin
    execute format('grant select, insert, update on create2_factory to %I', current_schema() || '_worker');
end $$;

-- No secret: it stands on the chain once money was fetched, and whoever knows it can do nothing by it.
alter table wallet add column salt text check (salt ~ '^0x[0-9a-f]{64}$');
