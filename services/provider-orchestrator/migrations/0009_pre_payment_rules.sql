-- Payment rules: how an invoice may be paid and what is done with money that differs from what was asked for (ADR 0034).

create table payment_rules (
    tenant_id uuid not null,
    version integer not null check (version > 0),
    document jsonb not null,
    note text,
    created_by text not null,
    created_at timestamptz not null,
    primary key (tenant_id, version)
);
call tenant_table('payment_rules', 'select, insert', 'select');

create table payment_rules_head (
    tenant_id uuid primary key,
    versions integer not null check (versions > 0),
    active integer,
    check (active between 1 and versions),
    foreign key (tenant_id, active) references payment_rules
);
call tenant_table('payment_rules_head', 'select, insert, update', 'select');

-- Who made which version count, and when: appended only.
create table payment_rules_activation (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null,
    previous integer,
    activated_by text not null,
    activated_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, version) references payment_rules
);
call tenant_table('payment_rules_activation', 'select, insert', 'select');

-- Each decision with all it was made of, so that it can be made again and must come out the same: appended only.
create table payment_rules_decision (
    tenant_id uuid not null,
    id uuid not null,
    intent_id uuid,
    stage text not null check (stage in ('begun', 'arrived')),
    rules_version integer,
    facts jsonb not null,
    verdict jsonb not null,
    decided_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, rules_version) references payment_rules,
    foreign key (tenant_id, intent_id) references payment_intent,
    check (stage = 'begun' or intent_id is not null)
);
create index payment_rules_decision_intent on payment_rules_decision (tenant_id, intent_id, id);
call tenant_table('payment_rules_decision', 'select, insert', 'select, insert');

-- The terms an intent was made under hold until its end, whatever is activated meanwhile. Null: made before there were any.
alter table payment_intent add column rules_version integer;
alter table payment_intent add column rules_facts jsonb;
alter table payment_intent add column rules_verdict jsonb;
alter table payment_intent add constraint payment_intent_rules
    check ((rules_facts is null) = (rules_verdict is null) and (rules_version is null or rules_facts is not null)),
    add foreign key (tenant_id, rules_version) references payment_rules;

-- What conditions may ask of an invoice beside its amount.
alter table payable_invoice add column customer_id uuid;
alter table payable_invoice add column overdue boolean not null default false;

alter table payment drop constraint payment_cause,
    add constraint payment_cause check (
        cause in ('wrong_asset', 'blocked', 'out_of_range', 'wrong_amount', 'late'));
