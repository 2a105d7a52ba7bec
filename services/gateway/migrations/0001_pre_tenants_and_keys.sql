-- Who may ask: companies, and the keys that act for them.
-- A secret is 256 random bits, so its plain SHA-256 cannot be guessed back, and finds the row.

create table tenant (
    tenant_id uuid primary key,
    name text not null check (length(name) between 1 and 200),
    state text not null default 'active' check (state in ('active', 'suspended')),
    created_at timestamptz not null default now()
);
call tenant_table('tenant', 'select, insert', 'select, insert, update');

create table api_key (
    tenant_id uuid not null references tenant,
    id uuid not null,
    name text not null check (length(name) between 1 and 200),
    prefix text not null check (prefix ~ '^iok_[a-z]_[0-9a-z]{8}$'),
    secret_hash bytea not null check (octet_length(secret_hash) = 32),
    scopes text[] not null check (cardinality(scopes) between 1 and 64),
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz check (expires_at > created_at),
    revoked_at timestamptz,
    last_used_at timestamptz,
    primary key (tenant_id, id)
);
-- Not led by the tenant: a request brings a key, and the key says whose it is.
create unique index api_key_secret on api_key (secret_hash);
call tenant_table('api_key', 'select, insert, update (revoked_at)', 'select, update');
