-- Money that leaves: refunds, payouts and batches of them, who agreed, and by which rules (docs/adr/0029-money-that-leaves.md).

-- Refunds that have not failed and disputes that were not won, together: never more than was captured.
alter table payment add column given_back_minor bigint not null default 0;
alter table payment add constraint payment_given_back check (given_back_minor between 0 and amount_minor);
do $$ begin
    execute format('grant update (given_back_minor) on payment to %I', current_schema() || '_api');
end $$;

create table approval_policy (
    tenant_id uuid not null,
    version integer not null check (version > 0),
    document jsonb not null,
    note text,
    created_by text not null,
    created_at timestamptz not null,
    primary key (tenant_id, version)
);
call tenant_table('approval_policy', 'select, insert', 'select');

create table approval_head (
    tenant_id uuid primary key,
    versions integer not null check (versions > 0),
    active integer,
    activated_by text,
    activated_at timestamptz,
    check (active between 1 and versions),
    check ((active is null) = (activated_by is null) and (active is null) = (activated_at is null)),
    foreign key (tenant_id, active) references approval_policy
);
call tenant_table('approval_head', 'select, insert, update', 'select');

create table payout_batch (
    tenant_id uuid not null,
    id uuid not null,
    reference text not null check (length(reference) between 1 and 200),
    lines integer not null check (lines between 1 and 10000),
    lines_hash bytea not null check (octet_length(lines_hash) = 32),
    totals jsonb not null,
    requested_by text not null,
    approvals_needed integer not null check (approvals_needed between 0 and 10),
    approvals_given integer not null default 0 check (approvals_given between 0 and approvals_needed),
    approvers text[] not null default '{}',
    policy_version integer,
    state text not null check (state in ('requested', 'approved', 'rejected', 'completed')),
    succeeded integer not null default 0 check (succeeded >= 0),
    failed integer not null default 0 check (failed >= 0),
    canceled integer not null default 0 check (canceled >= 0),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, reference),
    unique (tenant_id, id, requested_by, lines_hash),
    check (succeeded + failed + canceled <= lines),
    check ((state in ('rejected', 'completed')) = (succeeded + failed + canceled = lines)),
    check (state <> 'approved' or approvals_given = approvals_needed),
    foreign key (tenant_id, policy_version) references approval_policy
);
call tenant_table('payout_batch', 'select, insert', 'select');

-- One row is one order: what it asks for is written once, and nobody may change that part.
create table disbursement (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null check (kind in ('refund', 'payout')),
    payment_id uuid,
    invoice_id uuid,
    batch_id uuid,
    line integer,
    reference text check (length(reference) between 1 and 200),
    amount_minor bigint not null check (amount_minor between 1 and 1000000000000000000),
    asset text not null check (asset ~ '^[A-Z][A-Z0-9]{2,11}$'),
    source text check (source in ('merchant', 'payer_credit')),
    rail text not null,
    destination jsonb not null,
    parent_reference text,
    parent_minor bigint,
    reason text check (length(reason) <= 2000),
    requested_by text not null,
    approvals_needed integer not null check (approvals_needed between 0 and 10),
    approvers text[] not null default '{}',
    policy_version integer,
    key uuid not null unique,
    created_at timestamptz not null,
    -- From here on what becomes of it.
    state text not null check (state in
        ('requested', 'ready', 'sent', 'pending', 'unknown', 'succeeded', 'failed', 'canceled')),
    approvals_given integer not null default 0 check (approvals_given between 0 and approvals_needed),
    approved_at timestamptz,
    reserved_at timestamptz,
    provider text,
    decision_id uuid,
    prepared bytea,
    sends integer not null default 0 check (sends >= 0),
    inquiries integer not null default 0 check (inquiries >= 0),
    unknown_since timestamptz,
    next_at timestamptz,
    provider_reference text,
    fee_minor bigint,
    fee_asset text,
    cause text,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, id, requested_by),
    foreign key (tenant_id, payment_id) references payment,
    foreign key (tenant_id, batch_id) references payout_batch,
    foreign key (tenant_id, policy_version) references approval_policy,
    check (case kind when 'refund' then num_nonnulls(payment_id, invoice_id, source, provider) = 4
                                        and num_nonnulls(batch_id, line, reference) = 0
                     else reference is not null and (batch_id is null) = (line is null)
                          and num_nonnulls(payment_id, invoice_id, source) = 0 end),
    check (approved_at is null or batch_id is not null or approvals_given = approvals_needed),
    -- Nothing goes out that is not agreed to and not reserved.
    check (state in ('requested', 'canceled') or (approved_at is not null and reserved_at is not null)),
    check (state not in ('sent', 'pending', 'unknown', 'succeeded')
           or (provider is not null and sends > 0)),
    check (state <> 'succeeded' or provider_reference is not null),
    check (state not in ('failed', 'canceled') or cause is not null),
    check ((next_at is not null) = (state in ('ready', 'sent', 'pending', 'unknown'))),
    check ((unknown_since is not null) = (state = 'unknown'))
) with (fillfactor = 70);
-- One payout for each reference of the tenant, however often and in whichever batch it is asked for.
create unique index disbursement_reference on disbursement (tenant_id, reference) where kind = 'payout';
create unique index disbursement_line on disbursement (tenant_id, batch_id, line) where batch_id is not null;
create unique index disbursement_outcome on disbursement (provider, provider_reference, kind)
    where state = 'succeeded';
create index disbursement_due on disbursement (next_at) where next_at is not null;
create index disbursement_payment on disbursement (tenant_id, payment_id, id) where payment_id is not null;
create index disbursement_list on disbursement (tenant_id, kind, id);
call tenant_table('disbursement', 'select, insert', 'select');

-- Who makes a request cannot agree to it, and who agrees to a batch agrees to the lines it has.
create table approval (
    tenant_id uuid not null,
    id uuid not null,
    disbursement_id uuid,
    batch_id uuid,
    lines_hash bytea,
    requested_by text not null,
    approver text not null check (approver <> requested_by),
    verdict text not null check (verdict in ('approved', 'rejected')),
    reason text check (length(reason) <= 2000),
    decided_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, disbursement_id, approver),
    unique (tenant_id, batch_id, approver),
    check (num_nonnulls(disbursement_id, batch_id) = 1),
    check ((batch_id is null) = (lines_hash is null)),
    check ((verdict = 'rejected') = (reason is not null)),
    foreign key (tenant_id, disbursement_id, requested_by) references disbursement (tenant_id, id, requested_by),
    foreign key (tenant_id, batch_id, requested_by, lines_hash)
        references payout_batch (tenant_id, id, requested_by, lines_hash)
);
call tenant_table('approval', 'select, insert', 'select');

do $$
declare
    role text;
begin
    foreach role in array array[current_schema() || '_api', current_schema() || '_worker'] loop
        execute format('grant update (approvals_given, state, succeeded, failed, canceled, updated_at)'
                       ' on payout_batch to %I', role);
        execute format('grant update (state, approvals_given, approved_at, reserved_at, provider, decision_id,'
                       ' prepared, sends, inquiries, unknown_since, next_at, provider_reference, fee_minor,'
                       ' fee_asset, cause, updated_at) on disbursement to %I', role);
    end loop;
end $$;
