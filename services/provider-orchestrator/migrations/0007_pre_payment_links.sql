-- Holders of payment links may pay by card or wallet: what a link stands for, and what is offered there.

alter table payable_invoice
    add column link_hash bytea check (octet_length(link_hash) = 32),
    add column number text,
    add column received_micros bigint check (received_micros >= 0),
    add column expired boolean not null default false;
-- The token itself is kept nowhere: whoever reads this table cannot pay with it.
create unique index payable_invoice_link on payable_invoice (tenant_id, link_hash) where link_hash is not null;

-- What was said last of the methods of each provider; it belongs to no tenant.
create table declared_methods (
    provider text not null,
    rail text not null,
    methods text[] not null,
    assets text[] not null,
    amount_max_minor bigint not null check (amount_max_minor >= 0),
    pages text[] not null,
    primary key (provider, rail)
);
do $$ begin
    execute format('grant select, insert, update on declared_methods to %I', current_schema() || '_worker');
end $$;
