-- Health of each provider, rail and currency; the rules by which a tenant's payments are routed, and each choice.

alter table provider_health add column currency text not null default '*' check (currency ~ '^([*]|[A-Z][A-Z0-9]{2,11})$');
alter table provider_health add column held boolean not null default false;
alter table provider_health add column p95_us integer check (p95_us >= 0);
alter table provider_health add column acceptance_ppm integer not null default 1000000
    check (acceptance_ppm between 0 and 1000000);
create unique index provider_health_key on provider_health (provider, rail, currency);
-- A circuit that a person holds open has no end that a clock could reach.
alter table provider_health drop constraint provider_health_check;
alter table provider_health add constraint provider_health_wait
    check ((open_until is not null) = (state = 'open' and not held) and (state = 'open' or not held));

alter table provider_health_observation drop constraint provider_health_observation_outcome_check;
alter table provider_health_observation add constraint provider_health_observation_outcome
    check (outcome in ('ok', 'declined', 'our_fault', 'throttled', 'infra', 'unknown', 'auth'));

-- What the circuits did, appended only; the command that appends keeps the newest of each key.
create table provider_health_change (
    id uuid primary key,
    provider_id uuid not null references provider_health,
    at timestamptz not null,
    old text not null check (old in ('closed', 'half_open', 'open')),
    new text not null check (new in ('closed', 'half_open', 'open') and new <> old),
    score_ppm integer not null check (score_ppm between 0 and 1000000),
    samples bigint not null check (samples >= 0),
    cause text not null
);
create index provider_health_change_last on provider_health_change (provider_id, id desc);
do $$ begin
    execute format('grant select, insert, delete on provider_health_change to %I', current_schema() || '_worker');
    -- An operator resets a circuit through the API; the history cannot be changed there.
    execute format('grant select, insert on provider_health_change to %I', current_schema() || '_api');
    execute format('grant update on provider_health to %I', current_schema() || '_api');
end $$;

-- A version is written once and never changed; which one is active stands in routing_head.
create table routing_rules (
    tenant_id uuid not null,
    version integer not null check (version > 0),
    document jsonb not null,
    note text,
    created_by text not null,
    created_at timestamptz not null,
    primary key (tenant_id, version)
);
call tenant_table('routing_rules', 'select, insert', 'select');

create table routing_head (
    tenant_id uuid primary key,
    versions integer not null check (versions > 0),
    active integer,
    check (active between 1 and versions),
    foreign key (tenant_id, active) references routing_rules
);
call tenant_table('routing_head', 'select, insert, update', 'select');

-- Who made which version count, and when: appended only.
create table routing_activation (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null,
    previous integer,
    activated_by text not null,
    activated_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, version) references routing_rules
);
call tenant_table('routing_activation', 'select, insert', 'select');

-- Each choice with all it was made of, so that it can be made again and must come out the same.
create table routing_decision (
    tenant_id uuid not null,
    id uuid not null,
    purpose text not null check (purpose in ('preview', 'payment')),
    rules_version integer,
    operation text not null,
    asset text not null,
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    inputs jsonb not null,
    considered jsonb not null,
    chosen text,
    reason text not null,
    rule text,
    degraded boolean not null,
    decided_by text not null,
    decided_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, rules_version) references routing_rules,
    check ((chosen is null) = (reason in ('queued', 'none_can'))),
    check (degraded = (reason = 'degraded'))
);
create index routing_decision_in_use on routing_decision (tenant_id, operation, asset, id desc)
    where purpose = 'payment' and reason in ('best', 'kept');
create index routing_decision_preview on routing_decision (decided_at) where purpose = 'preview';
call tenant_table('routing_decision', 'select, insert', 'select, delete');
