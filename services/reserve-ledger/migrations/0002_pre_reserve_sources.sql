-- What each place that holds money said of itself, the last time it was looked at. Facts of the platform:
-- no tenant's. Written under the lock of reserve_head, like everything a statement is made of.
create table reserve_source (
    source_id uuid primary key,
    source text not null check (length(source) between 1 and 200),
    kind text not null check (kind in ('chain', 'supply', 'provider', 'bank')),
    asset asset_code not null,
    balance_minor numeric(38, 0) not null,
    opening_minor numeric(38, 0) not null,
    deposits_minor numeric(38, 0),
    held_elsewhere_minor numeric(38, 0) not null,
    unannounced_minor numeric(38, 0) not null,
    block_number bigint,
    block_hash text,
    as_of timestamptz not null,
    unique (kind, source, asset)
) with (fillfactor = 50);
comment on column reserve_source.opening_minor is
    'what was there before the first payment we know of: fixed by the first observation';

-- What payments alone put into the books, by asset: what is in transit is deposits less this.
create table reserve_booked (
    asset asset_code primary key,
    booked_minor numeric(38, 0) not null
) with (fillfactor = 50);
insert into reserve_booked (asset, booked_minor)
select asset, sum(amount_minor) from payment_booking where state in ('booked', 'suspense') group by asset;

create function add_to_reserve_booked() returns trigger language plpgsql security definer
    set search_path from current as $$
begin
    insert into reserve_booked as b (asset, booked_minor)
    select asset, sum(minor) from (
        select asset, amount_minor as minor from after_it where state in ('booked', 'suspense')
    ) m group by asset order by asset
    on conflict (asset) do update set booked_minor = b.booked_minor + excluded.booked_minor;
    return null;
end $$;
create function move_reserve_booked() returns trigger language plpgsql security definer
    set search_path from current as $$
begin
    insert into reserve_booked as b (asset, booked_minor)
    select asset, sum(minor) from (
        select asset, amount_minor as minor from after_it where state in ('booked', 'suspense')
        union all
        select asset, -amount_minor from before_it where state in ('booked', 'suspense')
    ) m group by asset having sum(minor) <> 0 order by asset
    on conflict (asset) do update set booked_minor = b.booked_minor + excluded.booked_minor;
    return null;
end $$;
create trigger payment_booking_added after insert on payment_booking
    referencing new table as after_it for each statement execute function add_to_reserve_booked();
create trigger payment_booking_moved after update on payment_booking
    referencing old table as before_it new table as after_it
    for each statement execute function move_reserve_booked();

-- The part of a statement that says what was observed; a row for each statement that had something to say.
create table reserve_statement_observed (
    sequence bigint primary key references reserve_statement,
    observed jsonb not null,
    comparisons jsonb not null,
    signature text not null
);

-- Breaches that are open now; `book` is the book that does not add up in itself.
create table reserve_breach (
    kind text not null check (kind in ('chain', 'supply', 'provider', 'bank', 'book')),
    asset asset_code not null,
    difference_minor numeric(38, 0) not null check (difference_minor <> 0),
    sequence bigint not null references reserve_statement,
    breached_at timestamptz not null,
    primary key (kind, asset)
);

-- Whether issuing and payouts stand still. A person lifts it, with a reason.
create table reserve_freeze (
    only_row boolean primary key default true check (only_row),
    frozen boolean not null default false,
    sequence bigint,
    frozen_at timestamptz,
    lifted_at timestamptz,
    lifted_by text,
    reason text check (length(reason) between 1 and 500),
    check (not frozen or frozen_at is not null),
    check ((lifted_at is null) = (lifted_by is null) and (lifted_at is null) = (reason is null))
) with (fillfactor = 50);
insert into reserve_freeze (frozen) values (false);

do $$
declare
    role text;
begin
    foreach role in array array[current_schema() || '_api', current_schema() || '_worker'] loop
        execute format('grant select on reserve_source, reserve_booked to %I', role);
        execute format('grant select, insert on reserve_statement_observed to %I', role);
        execute format('grant select, insert, update, delete on reserve_breach to %I', role);
        execute format('grant select, update on reserve_freeze to %I', role);
    end loop;
    execute format('grant insert, update on reserve_source to %I', current_schema() || '_worker');
end $$;
