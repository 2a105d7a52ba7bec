-- What a tenant wants of its wallets: in which order rails are tried, and which mode is its default.
-- A version is written once and never changed; the last one counts, and decisions name theirs.
create table wallet_policy (
    tenant_id uuid not null,
    version integer not null check (version > 0),
    document jsonb not null,
    note text check (length(note) between 1 and 200),
    created_by text not null check (length(created_by) between 1 and 200),
    created_at timestamptz not null,
    primary key (tenant_id, version)
);
call tenant_table('wallet_policy', 'select, insert', 'select');
alter table decision add column policy_version integer check (policy_version > 0);
