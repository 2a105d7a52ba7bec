-- Money that is not in the treasury yet: at a deposit address, or with a provider that clears it. What was
-- booked before this was booked as the treasury's, wherever it lay.
alter table payment_booking
    add column held_at text not null default 'treasury'
        check (held_at in ('treasury', 'deposit', 'clearing')),
    add column provider text not null default '' check (length(provider) <= 64),
    add column cleared boolean not null default false,
    add column taken_minor bigint not null default 0,
    add constraint payment_booking_taken check (taken_minor between 0 and applied_minor),
    add constraint payment_booking_cleared check (held_at <> 'treasury' or not cleared);
comment on column payment_booking.cleared is
    'what was pending of it is the merchant''s to spend; where it lay at a deposit address, it was swept';
comment on column payment_booking.taken_minor is
    'what refunds and chargebacks took of the pending part, before it could become available';

-- Payments of which it was said that they are cleared, whether or not they were booked before.
create table payment_cleared (
    tenant_id uuid not null,
    payment_id uuid not null,
    primary key (tenant_id, payment_id)
);
call tenant_table('payment_cleared', 'select', 'select, insert');

-- What a provider kept of a payment, by the asset it kept it in: the whole of it, as last said.
create table provider_fee (
    tenant_id uuid not null,
    payment_id uuid not null,
    asset asset_code not null,
    amount_minor bigint not null check (amount_minor between 0 and 1000000000000000000),
    primary key (tenant_id, payment_id, asset)
);
call tenant_table('provider_fee', 'select', 'select, insert, update');

-- A dispute and whose money went with it. Without a transaction it waits for its payment, or was won before.
create table dispute (
    tenant_id uuid not null,
    id uuid not null,
    payment_id uuid not null,
    invoice_id uuid not null,
    provider text not null,
    asset asset_code not null,
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    outcome text not null check (outcome in ('opened', 'won', 'lost')),
    cause_event_id uuid not null,
    credit_minor bigint not null check (credit_minor >= 0),
    pending_minor bigint not null check (pending_minor >= 0),
    available_minor bigint not null check (available_minor >= 0),
    short_minor bigint not null check (short_minor >= 0),
    fee_asset asset_code,
    fee_minor bigint not null check (fee_minor >= 0),
    transaction_id uuid,
    sequence bigint,
    template text,
    ended_by uuid,
    primary key (tenant_id, id),
    check ((transaction_id is null) = (sequence is null) and (sequence is null) = (template is null)),
    check (transaction_id is null
           or credit_minor + pending_minor + available_minor + short_minor = amount_minor),
    check ((ended_by is not null) = (outcome = 'won' and transaction_id is not null))
);
create index dispute_payment on dispute (tenant_id, payment_id);
call tenant_table('dispute', 'select', 'select, insert, update');

-- What providers pay out to the bank, and what the platform paid for transactions on chains. A payout goes
-- one way: announced, arrived, failed; a later word outweighs an earlier one, in whatever order they come.
create table provider_movement (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null check (kind in ('payout', 'network_fee')),
    provider text not null,
    asset asset_code not null,
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    state text not null check (state in ('announced', 'arrived', 'failed', 'paid')),
    transaction_id uuid,
    primary key (tenant_id, id),
    check ((kind = 'network_fee') = (state = 'paid'))
);
comment on column provider_movement.transaction_id is
    'the one that took it on its way; null where it failed before it was announced';
call tenant_table('provider_movement', 'select', 'select, insert, update');

-- A refund of money that is pending takes it from there.
alter table reservation drop constraint reservation_taken_from_check;
alter table reservation add constraint reservation_taken_from_check
    check (taken_from in ('2100', '2110', '2500'));

-- What a provider holds is on no chain: chains are compared without it.
create or replace function add_to_reserve_booked() returns trigger language plpgsql security definer
    set search_path from current as $$
begin
    insert into reserve_booked as b (asset, booked_minor)
    select asset, sum(minor) from (
        select asset, amount_minor as minor from after_it
        where state = 'suspense' or state = 'booked' and held_at <> 'clearing'
    ) m group by asset order by asset
    on conflict (asset) do update set booked_minor = b.booked_minor + excluded.booked_minor;
    return null;
end $$;
create or replace function move_reserve_booked() returns trigger language plpgsql security definer
    set search_path from current as $$
begin
    insert into reserve_booked as b (asset, booked_minor)
    select asset, sum(minor) from (
        select asset, amount_minor as minor from after_it
        where state = 'suspense' or state = 'booked' and held_at <> 'clearing'
        union all
        select asset, -amount_minor from before_it
        where state = 'suspense' or state = 'booked' and held_at <> 'clearing'
    ) m group by asset having sum(minor) <> 0 order by asset
    on conflict (asset) do update set booked_minor = b.booked_minor + excluded.booked_minor;
    return null;
end $$;
