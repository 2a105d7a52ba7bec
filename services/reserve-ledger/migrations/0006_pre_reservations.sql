-- Money set apart for a refund or a payout: asked for, then sent or free again. One row, one way.
create table reservation (
    tenant_id uuid not null,
    id uuid not null,
    purpose text not null check (purpose in ('refund', 'payout')),
    state text not null check (state in ('reserved', 'refused', 'released', 'settled')),
    asset asset_code not null,
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    taken_from account_code not null check (taken_from in ('2100', '2500')),
    paid_from account_code check (paid_from in ('1200', '1300')),
    invoice_id uuid,
    payment_id uuid,
    transaction_id uuid,
    ended_by uuid,
    primary key (tenant_id, id),
    check ((state = 'refused') = (transaction_id is null)),
    check ((state in ('released', 'settled')) = (ended_by is not null)),
    check ((state = 'settled') = (paid_from is not null)),
    check (purpose = 'refund' or taken_from = '2100')
);
comment on column reservation.taken_from is
    '2500 is the credit that this payment itself left with the payer: what is gone of it is the sum here';
create index reservation_credit on reservation (tenant_id, payment_id) where taken_from = '2500';
call tenant_table('reservation', 'select', 'select, insert, update');
