-- A proof of what is owed in one asset: the root of a tree whose leaves are the holders.
create table liability_proof (
    id uuid primary key,
    asset asset_code not null,
    statement_sequence bigint not null references reserve_statement,
    leaf_count integer not null check (leaf_count > 0),
    total_minor numeric(38, 0) not null check (total_minor >= 0),
    root chain_hash not null,
    proved_at timestamptz not null,
    signature text not null,
    key_id text not null,
    unique (asset, statement_sequence)
);
create index liability_proof_time on liability_proof (proved_at desc);

-- The tree, level by level from the leaves on, 48 bytes a node: its hash, and its sum.
create table liability_level (
    proof_id uuid not null references liability_proof,
    level smallint not null check (level >= 0),
    nodes bytea not null check (octet_length(nodes) > 0 and octet_length(nodes) % 48 = 0),
    primary key (proof_id, level)
);
-- Slices of a level are read without reading the whole of it.
alter table liability_level alter column nodes set storage external;

create table liability_leaf (
    tenant_id uuid not null,
    proof_id uuid not null,
    place integer not null check (place >= 0),
    holder text not null,
    account account_code not null,
    invoice_id uuid,
    balance_minor bigint not null check (balance_minor >= 0),
    salt bytea not null check (octet_length(salt) = 16),
    primary key (tenant_id, proof_id, place)
);
create index liability_leaf_invoice on liability_leaf (tenant_id, invoice_id) where invoice_id is not null;
call tenant_table('liability_leaf', 'select', 'select, insert');

do $$
begin
    execute format('grant select on liability_proof, liability_level to %I', current_schema() || '_api');
    execute format('grant select, insert on liability_proof, liability_level to %I', current_schema() || '_worker');
end $$;
