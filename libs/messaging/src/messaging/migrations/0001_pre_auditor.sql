-- The auditor reads every table of every service and changes none (docs/operations.md). Runs before the
-- service's own migrations in a new schema, and after those an existing one has had.

do $$ begin
    if not exists (select from pg_roles where rolname = 'invoiceos_auditor') then
        raise exception 'the role invoiceos_auditor is missing'
            using hint = 'run "invoiceos database prepare" first: it makes every role';
    end if;
end $$;

-- As before, and the auditor sees every tenant's rows.
create or replace procedure tenant_table(
    target regclass,
    api_may text default 'select, insert, update',
    worker_may text default 'select, insert, update, delete'
) language plpgsql as $$
declare
    api_role text := current_schema() || '_api';
    worker_role text := current_schema() || '_worker';
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    -- The setting is read once a statement, inside a scalar sub-select: measured, that costs nothing.
    execute format(
        'create policy tenant_api on %s to %I using (tenant_id = any((select string_to_array('
        'nullif(current_setting(''app.tenants'', true), ''''), '','')::uuid[])::uuid[]))', target, api_role);
    execute format('create policy tenant_worker on %s to %I using (true)', target, worker_role);
    execute format('create policy tenant_auditor on %s for select to invoiceos_auditor using (true)', target);
    if api_may <> '' then
        execute format('grant %s on %s to %I', api_may, target, api_role);
    end if;
    execute format('grant %s on %s to %I', worker_may, target, worker_role);
end $$;

do $$
declare
    target regclass;
begin
    execute format('grant select on all tables in schema %I to invoiceos_auditor', current_schema());
    -- Answers kept for idempotency may hold what is personal, in clear.
    revoke select on idempotency from invoiceos_auditor;
    grant select (tenant_id, route, key, status_code, created_at) on idempotency to invoiceos_auditor;
    execute format('alter default privileges in schema %I grant select on tables to invoiceos_auditor',
                   current_schema());
    for target in
        select oid from pg_class where relnamespace = current_schema()::regnamespace and relrowsecurity
    loop
        execute format('create policy tenant_auditor on %s for select to invoiceos_auditor using (true)', target);
    end loop;
end $$;
