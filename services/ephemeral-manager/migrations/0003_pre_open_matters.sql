-- What is still open about an invoice's money: collecting it, giving it back, disputes. No wallet ends before it.
create table open_matter (
    tenant_id uuid not null,
    kind text not null check (kind in ('payment', 'refund', 'dispute')),
    id uuid not null,
    invoice_id uuid not null,
    ended boolean not null,
    primary key (tenant_id, kind, id)
) with (fillfactor = 80);
create index open_matter_invoice on open_matter (tenant_id, invoice_id) where not ended;
call tenant_table('open_matter', 'select', 'select, insert, update');
