-- Partners that integrate through topics of their own, and what they asked for (docs/adr/0020-the-partners-door.md).

create table partner (
    tenant_id uuid not null references tenant,
    name text not null check (name ~ '^[a-z0-9-]{2,40}$'),
    principal text not null generated always as ('partner-' || name) stored,
    state text not null default 'active' check (state in ('active', 'revoked')),
    event_types text[] not null check (cardinality(event_types) <= 64),
    created_by text not null,
    created_at timestamptz not null,
    revoked_at timestamptz,
    primary key (tenant_id, name),
    check ((state = 'revoked') = (revoked_at is not null))
);
-- Not led by the tenant: a record comes by a topic, and the topic's name says whose it is.
create unique index partner_name on partner (name);
call tenant_table('partner', 'select, insert, update (event_types, state, revoked_at)', 'select');

-- What came in by partners' topics, one row for each request and one for each record turned away.
create table partner_request (
    tenant_id uuid not null,
    id uuid not null,
    partner text not null,
    request_id text check (length(request_id) between 1 and 200),
    state text not null check (state in ('requested', 'accepted', 'refused', 'rejected')),
    code text check (length(code) between 1 and 100),
    body_hash bytea check (octet_length(body_hash) = 32),
    partition integer not null,
    record_offset bigint not null,
    received_at timestamptz not null,
    answered_at timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, partner) references partner (tenant_id, name),
    check ((state = 'rejected') = (body_hash is null)),
    check (state = 'rejected' or request_id is not null),
    check ((state in ('refused', 'rejected')) = (code is not null)),
    check (state <> 'requested' or answered_at is null),
    check (state not in ('accepted', 'refused') or answered_at is not null)
);
-- The promise itself: a partner's id of a request names one request, however often it is written.
create unique index partner_request_once on partner_request (partner, request_id) where state <> 'rejected';
create index partner_request_open on partner_request (received_at) where answered_at is null;
call tenant_table('partner_request', '', 'select, insert, update (state, code, answered_at)');
