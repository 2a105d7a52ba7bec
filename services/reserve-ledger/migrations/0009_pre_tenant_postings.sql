-- Tenants post to what is theirs: the role that answers them may add to the books of its tenants, and state
-- what that makes of the reserve. It may change nothing that is posted, as nobody may.
create table hold (
    tenant_id uuid not null,
    id uuid not null,
    reference text not null check (reference ~ '^[A-Za-z0-9._:/@+=#-]{1,128}$'),
    address account_address not null,
    asset asset_code not null,
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    captured_minor bigint not null default 0,
    state text not null check (state in ('held', 'captured', 'voided', 'expired')),
    expires_at timestamptz,
    transaction_id uuid,
    actor text not null check (length(actor) <= 200),
    created_at timestamptz not null,
    ended_at timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, reference),
    check (captured_minor between 0 and amount_minor),
    check ((state = 'captured') = (captured_minor > 0) and (state = 'captured') = (transaction_id is not null)),
    check ((state = 'held') = (ended_at is null))
);
create index hold_open on hold (tenant_id, address, asset) where state = 'held';
call tenant_table('hold', 'select, insert, update', 'select, insert, update');

do $$
declare
    api_role text := current_schema() || '_api';
begin
    execute format('grant insert on ledger_transaction, posting to %I', api_role);
    execute format('grant insert, update on ledger_head, account_balance, account to %I', api_role);
    execute format('grant select, update on reserve_head to %I', api_role);
    execute format('grant select, insert, update on reserve_total to %I', api_role);
    execute format('grant insert on reserve_statement to %I', api_role);
end $$;
