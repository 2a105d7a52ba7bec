-- Whose circuit is open: what such a provider takes is not offered to payers; and links told once. Neither belongs to a tenant.
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

-- Links of invoices that were issued before others kept them are told once: how far that has come. It belongs to no tenant.
create table link_telling (
    singleton boolean primary key default true check (singleton),
    after_tenant uuid not null,
    after_invoice uuid not null,
    done boolean not null default false
);
insert into link_telling (after_tenant, after_invoice)
values ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000');
do $$ begin
    execute format('grant select, update on link_telling to %I', current_schema() || '_worker');
end $$;
