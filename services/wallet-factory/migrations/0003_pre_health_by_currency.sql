-- Health is kept of each provider, rail and currency; an empty currency is the rail as a whole. The
-- table before it (provider_health) knew no currency; it stays for the code that still writes it.
create table rail_health (
    provider text not null,
    rail text not null,
    currency text not null default '',
    state text not null,
    changed_at timestamptz not null,
    version bigint not null,
    primary key (provider, rail, currency)
);
insert into rail_health (provider, rail, state, changed_at, version)
select provider, rail, state, changed_at, version from provider_health;
do $$ begin
    execute format('grant select, insert, update on rail_health to %I',
        current_schema() || '_worker');
end $$;
