-- This service's own copy of whether the reserve lets payouts leave; the platform's, no tenant's.
create table payout_freeze (
    only_row boolean primary key default true check (only_row),
    frozen boolean not null,
    version bigint not null check (version > 0),
    changed_at timestamptz not null
);
comment on column payout_freeze.version is 'place of the fact in the history of the reserve: a later word counts';
do $$ begin
    execute format('grant select, insert, update on payout_freeze to %I', current_schema() || '_worker');
    execute format('grant select on payout_freeze to %I', current_schema() || '_api');
end $$;
