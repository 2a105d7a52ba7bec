-- What providers pay out to our bank, each payout once with the part that is each tenant's; and money that comes again (ADR 0034).

-- When each provider is asked for its payouts next; belongs to no tenant.
create table provider_payout_listing (
    provider text primary key,
    due_at timestamptz not null,
    leased_until timestamptz
);

-- A payout is made for all tenants at once, so the whole belongs to none.
create table provider_payout (
    provider text not null,
    reference text not null,
    asset text not null check (asset ~ '^[A-Z][A-Z0-9]{2,11}$'),
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    -- What no payment that we know of explains: nobody's, until reconciliation says whose it is.
    unassigned_minor bigint not null check (unassigned_minor between 0 and amount_minor),
    state text not null check (state in ('announced', 'arrived', 'failed')),
    cause text,
    arrives_at timestamptz,
    first_seen_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (provider, reference),
    check ((cause is not null) = (state = 'failed'))
) with (fillfactor = 70);

create table provider_payout_share (
    tenant_id uuid not null,
    id uuid not null,
    provider text not null,
    reference text not null,
    asset text not null,
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    primary key (tenant_id, id),
    unique (tenant_id, provider, reference),
    foreign key (provider, reference) references provider_payout
);
create index provider_payout_share_payout on provider_payout_share (provider, reference);
call tenant_table('provider_payout_share', 'select', 'select, insert');

create function provider_payout_moves() returns trigger language plpgsql as $$
begin
    if new.state <> old.state and not (case old.state
        when 'announced' then new.state in ('arrived', 'failed')
        when 'arrived' then new.state = 'failed'
        else false end) then
        raise check_violation using message = format('a payout of a provider goes from %s to %s in no way', old.state, new.state);
    end if;
    if (new.asset, new.amount_minor, new.unassigned_minor) is distinct from (old.asset, old.amount_minor, old.unassigned_minor) then
        raise check_violation using message = 'what a provider paid out does not change';
    end if;
    return new;
end $$;
create trigger provider_payout_moves before update on provider_payout
    for each row execute function provider_payout_moves();

do $$ begin
    execute format('grant select, insert, update on provider_payout_listing, provider_payout to %I', current_schema() || '_worker');
end $$;

-- To an address of a provider money may come again after the payment has ended: each time is a payment of its own.

-- What the attempt had captured before: the same money becomes a payment once, whoever hears of it again.
alter table payment add column captured_from_minor bigint not null default 0 check (captured_from_minor >= 0);
create unique index payment_collected_each on payment (tenant_id, attempt_id, invoice_id, captured_from_minor)
    where attempt_id is not null;
drop index payment_collected;
