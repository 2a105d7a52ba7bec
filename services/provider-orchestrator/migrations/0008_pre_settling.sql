-- What becomes of collected money at its provider: the fee, from when on it can be paid out, disputes.

alter table payment add column available_at timestamptz;

-- When each captured payment is looked at again; its names at the provider are what webhooks speak of.
create table settlement (
    tenant_id uuid not null,
    attempt_id uuid not null,
    provider text not null,
    names text[] not null default '{}',
    looks integer not null default 0 check (looks >= 0),
    due_at timestamptz,
    updated_at timestamptz not null,
    primary key (tenant_id, attempt_id),
    foreign key (tenant_id, attempt_id) references payment_attempt
) with (fillfactor = 70);
create index settlement_due on settlement (due_at) where due_at is not null;
create index settlement_names on settlement using gin (names);
call tenant_table('settlement', '');

-- Once for each payment and dispute of the provider, however often that is told.
create table dispute (
    tenant_id uuid not null,
    id uuid not null,
    payment_id uuid not null,
    attempt_id uuid not null,
    provider text not null,
    reference text not null,
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    asset text not null check (asset ~ '^[A-Z][A-Z0-9]{2,11}$'),
    counted_minor bigint not null check (counted_minor between 0 and amount_minor),
    fee_minor bigint check (fee_minor >= 0),
    reason text not null,
    respond_by timestamptz,
    state text not null check (state in ('open', 'won', 'lost')),
    opened_at timestamptz not null,
    closed_at timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, payment_id, provider, reference),
    foreign key (tenant_id, payment_id) references payment,
    check ((closed_at is null) = (state = 'open'))
);
create index dispute_attempt on dispute (tenant_id, attempt_id);
create index dispute_reference on dispute (provider, reference);
call tenant_table('dispute', 'select');

create function dispute_moves() returns trigger language plpgsql as $$
begin
    if old.state <> 'open' and new is distinct from old then
        raise check_violation using message = 'a dispute that is decided stays so';
    end if;
    return new;
end $$;
create trigger dispute_moves before update on dispute for each row execute function dispute_moves();
