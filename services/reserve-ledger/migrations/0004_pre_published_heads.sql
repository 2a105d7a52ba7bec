-- The heads that were told to the world, each signed; an hour apart at least, never changed.
create table published_head (
    tenant_id uuid not null,
    sequence bigint not null check (sequence > 0),
    hash chain_hash not null,
    published_at timestamptz not null,
    signature text not null,
    key_id text not null,
    primary key (tenant_id, sequence)
);
create index published_head_time on published_head (tenant_id, published_at);
call tenant_table('published_head', 'select', 'select, insert');
