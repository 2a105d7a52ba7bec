-- What partners asked for by topic, and what became of it (docs/adr/0020-the-partners-door.md).

create table invoice_request (
    tenant_id uuid not null,
    id uuid not null,
    partner text not null,
    request_id text not null,
    invoice_id uuid,
    code text check (length(code) between 1 and 100),
    answered_at timestamptz not null,
    -- One answer for each request, and one invoice for each that is accepted.
    primary key (tenant_id, id),
    unique (tenant_id, invoice_id),
    foreign key (tenant_id, invoice_id) references invoice (tenant_id, id),
    check ((invoice_id is null) = (code is not null))
);
create unique index invoice_request_once on invoice_request (partner, request_id);
call tenant_table('invoice_request', '', 'select, insert');
