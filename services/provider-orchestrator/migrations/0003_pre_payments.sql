-- Payments that are collected: intents, what they pay, attempts at providers; webhooks; queue for people.

-- This service's own copy of what can be paid, from the facts of invoices.
create table payable_invoice (
    tenant_id uuid not null,
    invoice_id uuid not null,
    wallet_id uuid not null,
    document text not null,
    asset text not null,
    due_minor bigint not null check (due_minor between 0 and 1000000000000000000),
    version bigint not null check (version > 0),
    primary key (tenant_id, invoice_id)
) with (fillfactor = 70);
-- Whoever takes a charge lease locks the invoice first; for that one must be allowed to update.
call tenant_table('payable_invoice', 'select, update');

create table payment_intent (
    tenant_id uuid not null,
    id uuid not null,
    state text not null check (state in (
        'created', 'routed', 'submitted', 'requires_action', 'processing', 'authorized', 'unknown',
        'succeeded', 'partially_captured', 'conflicted', 'failed', 'voided', 'canceled', 'expired')),
    cause text,
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    asset text not null check (asset ~ '^[A-Z][A-Z0-9]{2,11}$'),
    method text,
    payer_country text,
    instrument text,
    manual_capture boolean not null,
    description text not null,
    return_url text,
    captured_minor bigint not null default 0 check (captured_minor between 0 and 1000000000000000000),
    giving_up text check (giving_up in ('canceled', 'voided', 'expired')),
    action jsonb,
    route_at timestamptz,
    expires_at timestamptz not null,
    created_by text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    check (state not in ('succeeded', 'partially_captured') or captured_minor > 0),
    check ((route_at is not null) = (state = 'created'))
) with (fillfactor = 70);
create index payment_intent_waiting on payment_intent (route_at) where route_at is not null;
call tenant_table('payment_intent');

create table payment_share (
    tenant_id uuid not null,
    intent_id uuid not null,
    payment_id uuid not null,
    invoice_id uuid not null,
    wallet_id uuid not null,
    place integer not null check (place > 0),
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    due_minor bigint not null check (due_minor >= amount_minor),
    live boolean not null default true,
    primary key (tenant_id, payment_id),
    unique (tenant_id, intent_id, place),
    unique (tenant_id, intent_id, invoice_id),
    foreign key (tenant_id, intent_id) references payment_intent
) with (fillfactor = 70);
-- The charge lease: whatever may still take money for an invoice is one intent.
create unique index payment_share_lease on payment_share (tenant_id, invoice_id) where live;
call tenant_table('payment_share');

-- One operation at one provider: to collect, or to capture or give up what was authorised or begun.
create table payment_attempt (
    tenant_id uuid not null,
    id uuid not null,
    intent_id uuid not null,
    kind text not null check (kind in ('collect', 'capture', 'void')),
    number integer not null check (number > 0),
    provider text not null,
    rail text not null,
    decision_id uuid,
    decision_reason text not null default '',
    key uuid not null unique check (uuid_extract_version(key) = 4),
    order_body jsonb not null,
    prepared bytea,
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    asset text not null,
    state text not null check (state in (
        'created', 'sent', 'unknown', 'captured', 'declined', 'rejected', 'absent')),
    status text,
    outcome text check (outcome in (
        'ok', 'declined', 'our_fault', 'throttled', 'infra', 'unknown', 'auth')),
    cause text not null default '',
    provider_reference text,
    captured_minor bigint check (captured_minor between 0 and 1000000000000000000),
    captured_asset text,
    authorized_minor bigint,
    fee_minor bigint,
    raw jsonb not null default '{}',
    unknown_since timestamptz,
    inquiries integer not null default 0 check (inquiries >= 0),
    due_at timestamptz,
    leased_until timestamptz,
    resolved_by text,
    resolved_reason text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, intent_id) references payment_intent,
    unique (tenant_id, intent_id, kind, number),
    check (kind <> 'collect' or decision_id is not null),
    check (state <> 'unknown' or unknown_since is not null)
) with (fillfactor = 70);
create unique index payment_attempt_live on payment_attempt (tenant_id, intent_id)
    where kind = 'collect' and state in ('created', 'sent', 'unknown');
create unique index payment_attempt_following on payment_attempt (tenant_id, intent_id)
    where kind <> 'collect' and state in ('created', 'sent', 'unknown');
create index payment_attempt_due on payment_attempt (due_at) where due_at is not null;
create index payment_attempt_reference on payment_attempt (provider, provider_reference);
create index payment_attempt_id on payment_attempt (id);
create index payment_attempt_unknown on payment_attempt (tenant_id, unknown_since)
    where state = 'unknown';
call tenant_table('payment_attempt');

-- What is legal is held here too, whoever writes.
create function payment_attempt_moves() returns trigger language plpgsql as $$
begin
    if new.state <> old.state and not (case old.state
        when 'created' then new.state in ('sent', 'absent')
        when 'sent' then new.state in ('captured', 'declined', 'rejected', 'unknown', 'absent')
        when 'unknown' then new.state in ('captured', 'declined', 'absent', 'sent')
        else false end) then
        raise check_violation using message = format(
            'an attempt goes from %s to %s in no way', old.state, new.state);
    end if;
    if (new.key, new.amount_minor, new.asset, new.provider, new.order_body, new.intent_id)
        is distinct from (old.key, old.amount_minor, old.asset, old.provider, old.order_body, old.intent_id) then
        raise check_violation using message = 'what was ordered of a provider does not change';
    end if;
    return new;
end $$;
create trigger payment_attempt_moves before update on payment_attempt
    for each row execute function payment_attempt_moves();

create function payment_intent_moves() returns trigger language plpgsql as $$
declare
    open constant text[] := array['created', 'routed', 'submitted', 'requires_action', 'processing',
                                  'authorized', 'unknown'];
begin
    if new.state <> old.state and old.state <> all(open) then
        raise check_violation using message = format(
            'a payment goes from %s to %s in no way', old.state, new.state);
    end if;
    -- The charge lease is given back with the intent's end, by nobody else.
    if old.state = any(open) and new.state <> all(open) then
        update payment_share set live = false
        where tenant_id = new.tenant_id and intent_id = new.id and live;
    end if;
    return new;
end $$;
create trigger payment_intent_moves before update on payment_intent
    for each row execute function payment_intent_moves();

-- Payments that were collected stand on an attempt instead of a block.
alter table payment
    alter column chain_id drop not null, alter column block_number drop not null,
    alter column block_hash drop not null, alter column block_at drop not null,
    alter column transaction_hash drop not null, alter column log_index drop not null,
    add column intent_id uuid, add column attempt_id uuid, add column held_at text,
    add column fee_minor bigint check (fee_minor >= 0),
    add constraint payment_stands check (
        num_nonnulls(chain_id, block_number, block_hash, block_at, transaction_hash, log_index)
        = case when intent_id is null then 6 else 0 end
        and (intent_id is null) = (attempt_id is null)),
    drop constraint payment_cause_check,
    add constraint payment_cause check (
        cause in ('wrong_asset', 'blocked', 'out_of_range', 'wrong_amount'));
-- What a provider captured becomes a payment once.
create unique index payment_collected on payment (tenant_id, attempt_id, invoice_id) where attempt_id is not null;

-- A webhook belongs to nobody before its object was read again; consumers alone read them.
create table provider_webhook (
    provider text not null,
    event_id text not null,
    event_type text not null,
    body bytea not null,
    headers jsonb not null,
    hints text[] not null,
    state text not null check (state in ('received', 'followed', 'nobodys')),
    tries integer not null default 0,
    due_at timestamptz,
    received_at timestamptz not null default now(),
    primary key (provider, event_id),
    check ((due_at is not null) = (state = 'received'))
);
create index provider_webhook_due on provider_webhook (due_at) where due_at is not null;
create index provider_webhook_age on provider_webhook (received_at);

do $$ begin
    execute format('grant select, insert, update, delete on provider_webhook to %I', current_schema() || '_worker');
    execute format('grant select, insert on provider_webhook to %I', current_schema() || '_api');
    -- Who collects chooses the provider, and keeps why.
    execute format('grant insert on routing_decision to %I', current_schema() || '_worker');
end $$;
