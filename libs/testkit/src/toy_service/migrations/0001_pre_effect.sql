create table effect (
    tenant_id uuid not null,
    place bigint generated always as identity,
    name text not null,
    event_id uuid not null,
    handled_by text not null,
    primary key (tenant_id, place)
);
call tenant_table('effect');
