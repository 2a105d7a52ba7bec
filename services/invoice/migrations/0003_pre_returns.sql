-- Money of invoices that went back: refunds, and disputes that were lost (docs/adr/0029-money-that-leaves.md).

-- The rules that name the settlement are written again with the new words in them.
do $$
declare
    name text;
begin
    for name in select conname from pg_constraint
                where conrelid = 'invoice'::regclass and contype = 'c'
                  and pg_get_constraintdef(oid) like '%settlement%' loop
        execute format('alter table invoice drop constraint %I', name);
    end loop;
end $$;
alter table invoice
    add constraint invoice_settlement check (settlement in
        ('unpaid', 'processing', 'partial', 'paid', 'overpaid',
         'partially_refunded', 'refunded', 'charged_back')),
    add constraint invoice_settled_late check (
        (settlement in ('paid', 'overpaid')) = (timeliness in ('settled_late', 'paid_late'))
        or timeliness = 'on_time'
        or settlement in ('partially_refunded', 'refunded', 'charged_back')),
    add constraint invoice_unissued check (document in ('open', 'closed')
        or (settlement = 'unpaid' and received_micros = 0)),
    add constraint invoice_closed check (document <> 'closed' or settlement in
        ('paid', 'overpaid', 'partially_refunded', 'refunded', 'charged_back'));

alter table invoice_payment
    drop constraint invoice_payment_sighting_check,
    add constraint invoice_payment_sighting check (sighting in
        ('unseen', 'seen', 'reverted', 'reverted_first', 'ended'));

create table invoice_return (
    tenant_id uuid not null,
    invoice_id uuid not null,
    id uuid not null,
    payment_id uuid not null,
    kind text not null check (kind in ('refund', 'chargeback')),
    is_gone boolean not null,
    amount_minor bigint not null,
    asset text not null,
    micros bigint not null check (micros >= 0),
    booked_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, invoice_id, id),
    unique (tenant_id, id),
    check (kind = 'chargeback' or is_gone)
);
call tenant_table('invoice_return', 'select');
