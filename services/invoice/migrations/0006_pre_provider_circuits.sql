-- Whose circuit is open: what such a provider takes is not offered to payers. It belongs to no tenant.
create table pay_circuit (
    provider text not null,
    rail text not null,
    -- '*' is that of the rail as a whole.
    currency text not null,
    open boolean not null,
    version bigint not null check (version > 0),
    primary key (provider, rail, currency)
);
do $$ begin
    execute format('grant select, insert, update on pay_circuit to %I', current_schema() || '_worker');
    execute format('grant select on pay_circuit to %I', current_schema() || '_api');
end $$;
