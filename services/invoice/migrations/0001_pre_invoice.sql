-- Customers, invoices and what was booked for them. Every rule of the domain that a row can show is
-- also a CHECK here.

create table customer (
    tenant_id uuid not null,
    id uuid not null,
    version bigint not null default 1 check (version > 0),
    reference text check (length(reference) between 1 and 200),
    has_email boolean not null,
    contact jsonb not null,
    postal jsonb,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id)
);
create index customer_reference on customer (tenant_id, reference, id) where reference is not null;
call tenant_table('customer');
comment on column customer.contact is 'name and e-mail, sealed under the customer''s data key';
comment on column customer.postal is 'postal address, sealed under the customer''s data key';

create table issuer_profile (
    tenant_id uuid primary key,
    version bigint not null default 1 check (version > 0),
    name text not null check (length(name) between 1 and 200),
    address text[] not null default '{}',
    updated_at timestamptz not null
);
call tenant_table('issuer_profile');

-- Numbers are taken by one update a batch; its row lock makes them consecutive and gap-free.
create table number_sequence (
    tenant_id uuid not null,
    series text not null,
    next bigint not null check (next > 0),
    primary key (tenant_id, series)
);
call tenant_table('number_sequence', '');

create table invoice (
    tenant_id uuid not null,
    id uuid not null,
    version bigint not null default 1 check (version > 0),
    document text not null check (document in
        ('draft', 'deleted', 'issuing', 'issue_failed', 'open', 'void', 'closed')),
    settlement text not null check (settlement in
        ('unpaid', 'processing', 'partial', 'paid', 'overpaid')),
    timeliness text not null check (timeliness in
        ('on_time', 'overdue', 'expired', 'settled_late', 'paid_late')),
    asset text not null check (asset ~ '^[A-Z][A-Z0-9]{2,11}$'),
    customer_id uuid,
    reference text check (length(reference) between 1 and 200),
    due_at timestamptz not null,
    payable_until timestamptz,
    terms jsonb not null,
    subtotal_minor bigint not null check (subtotal_minor >= 0),
    discount_minor bigint not null check (discount_minor between 0 and subtotal_minor),
    net_minor bigint not null check (net_minor >= 0),
    tax_minor bigint not null check (tax_minor >= 0),
    total_minor bigint not null check (total_minor > 0 and total_minor = net_minor + tax_minor),
    tolerance_ppm integer not null check (tolerance_ppm between 0 and 50000),
    tolerance_minor bigint not null check (tolerance_minor >= 0 and tolerance_minor < total_minor),
    received_micros bigint not null default 0 check (received_micros >= 0),
    attempt integer not null default 0 check (attempt >= 0),
    number text,
    link_hash bytea check (octet_length(link_hash) = 32),
    issued_at timestamptz,
    overdue_since timestamptz,
    expired_since timestamptz,
    expires_at timestamptz,
    wallet_id uuid,
    wallet_mode text,
    rail text,
    chain_id bigint,
    address text,
    memo text,
    accepted_assets text[],
    watch_window_s integer check (watch_window_s >= 0),
    wallet_destroyed_at timestamptz,
    issuer jsonb,
    contact jsonb,
    postal jsonb,
    reason text check (length(reason) <= 2000),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, number),
    unique (tenant_id, link_hash),
    -- No foreign key to customer: invoices outlive the erasure of their customer.
    check ((settlement in ('paid', 'overpaid')) = (timeliness in ('settled_late', 'paid_late'))
           or timeliness = 'on_time'),
    check (document in ('open', 'closed')
           or (settlement = 'unpaid' and received_micros = 0)),
    check (document <> 'closed' or settlement in ('paid', 'overpaid')),
    check (document in ('open', 'closed', 'void') or timeliness = 'on_time'),
    check ((document in ('open', 'closed', 'void')) =
           (number is not null and link_hash is not null and issued_at is not null
            and wallet_id is not null and rail is not null and address is not null
            and expires_at is not null and issuer is not null)),
    check (document not in ('draft', 'deleted', 'issuing', 'issue_failed') or number is null)
) with (fillfactor = 80);
create index invoice_customer on invoice (tenant_id, customer_id, id) where customer_id is not null;
create index invoice_reference on invoice (tenant_id, reference, id) where reference is not null;
create index invoice_due on invoice (tenant_id, due_at, id) where document = 'open';
call tenant_table('invoice');
comment on column invoice.contact is 'customer''s name and e-mail as at issue, sealed';

create table invoice_line (
    tenant_id uuid not null,
    invoice_id uuid not null,
    position integer not null check (position between 1 and 1000),
    description text not null check (length(description) between 1 and 2000),
    quantity text not null check (quantity ~ '^[0-9]+(\.[0-9]+)?$'),
    unit_price_minor bigint not null check (unit_price_minor >= 0),
    discount jsonb,
    taxes jsonb not null default '[]',
    net_minor bigint not null check (net_minor >= 0),
    tax_minor bigint not null check (tax_minor >= 0),
    total_minor bigint not null check (total_minor = net_minor + tax_minor),
    primary key (tenant_id, invoice_id, position),
    foreign key (tenant_id, invoice_id) references invoice (tenant_id, id)
);
call tenant_table('invoice_line', 'select, insert, update, delete');

-- What is known of each payment on its way (facts of the payment topic).
create table invoice_payment (
    tenant_id uuid not null,
    invoice_id uuid not null,
    payment_id uuid not null,
    sighting text not null check (sighting in ('unseen', 'seen', 'reverted', 'reverted_first')),
    final_reverts integer not null check (final_reverts >= 0),
    amount_minor bigint not null,
    asset text not null,
    updated_at timestamptz not null,
    primary key (tenant_id, invoice_id, payment_id)
);
call tenant_table('invoice_payment', 'select');

-- What the ledger booked; each booking counts once, by its own key.
create table invoice_booking (
    tenant_id uuid not null,
    invoice_id uuid not null,
    transaction_id uuid not null,
    payment_id uuid not null,
    state text not null check (state in ('held', 'counted', 'credited', 'reversed')),
    amount_minor bigint not null,
    asset text not null,
    micros bigint not null check (micros >= 0),
    booked_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, invoice_id, transaction_id),
    unique (tenant_id, transaction_id)
);
call tenant_table('invoice_booking', 'select');
