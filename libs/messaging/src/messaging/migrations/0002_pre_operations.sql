-- What operators did by hand, and why (docs/operations.md). Only ever added to: the worker role may insert
-- and read, the auditor may read (by the default privileges of 0001), requests see nothing of it. A row is
-- the platform's, not a tenant's: one command may touch letters of many tenants, whose ids are in details.
create table operation (
    id uuid primary key,
    at timestamptz not null default now(),
    actor text not null check (length(btrim(actor)) between 1 and 200),
    action text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
    reason text not null check (length(btrim(reason)) between 1 and 2000),
    subject text not null check (length(subject) between 1 and 2000),
    count bigint not null check (count > 0),
    details jsonb not null default '{}'
);
do $$ begin
    execute format('grant select, insert on operation to %I', current_schema() || '_worker');
end $$;

-- A letter an operator set aside for good: kept, never handled again, and nothing waits behind it.
alter table dead_letter drop constraint dead_letter_state_check;
alter table dead_letter add constraint dead_letter_state_check
    check (state in ('dead', 'parked', 'replaying', 'resolved', 'discarded'));

-- Why a timer failed the last time; null while it has not.
alter table timer add column error text;
