-- This service's own copy of whether the reserve lets anything be issued; the platform's, no tenant's.
create table issuing_freeze (
    only_row boolean primary key default true check (only_row),
    frozen boolean not null,
    version bigint not null check (version > 0),
    changed_at timestamptz not null
);
comment on column issuing_freeze.version is 'place of the fact in the history of the reserve: a later word counts';
do $$ begin
    execute format('grant select, insert, update on issuing_freeze to %I', current_schema() || '_worker');
    execute format('grant select on issuing_freeze to %I', current_schema() || '_api');
end $$;
