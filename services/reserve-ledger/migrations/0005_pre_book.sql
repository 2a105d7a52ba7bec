-- Accounts by address. An address refines a code of the chart; a posting without one is at the code's own
-- address, which the seed below lists as domain/chart.py does (a test compares the two).
create domain account_address as text collate "C" check (
    length(value) <= 160 and value ~ '^[a-z][a-z0-9_-]{0,63}(:[a-z0-9][a-z0-9_-]{0,63}){0,7}$');

create table account (
    tenant_id uuid not null,
    address account_address not null,
    asset asset_code not null,
    code account_code not null,
    debit_minor bigint not null default 0 check (debit_minor >= 0),
    credit_minor bigint not null default 0 check (credit_minor >= 0),
    held_minor bigint not null default 0 check (held_minor >= 0),
    metadata jsonb,
    opened_at timestamptz not null default now(),
    primary key (tenant_id, address, asset),
    -- What is owed to others is never in debit, and what is held back of it is there.
    constraint account_not_overdrawn
        check (code not like '2%' or credit_minor - debit_minor >= held_minor),
    constraint account_held_is_owed check (code like '2%' or held_minor = 0)
) with (fillfactor = 50);
call tenant_table('account', 'select', 'select, insert, update');

insert into account (tenant_id, address, asset, code, debit_minor, credit_minor)
select b.tenant_id, o.address, b.asset, b.account, b.debit_minor, b.credit_minor
from account_balance b
join (values
    ('1100', 'bank'), ('1110', 'custody'), ('1200', 'treasury'), ('1210', 'deposits'),
    ('1220', 'gas'), ('1300', 'provider:clearing'), ('1310', 'provider:transit'),
    ('1900', 'suspense:in'), ('2100', 'merchant:available'), ('2110', 'merchant:pending'),
    ('2200', 'escrow'), ('2300', 'payout'), ('2400', 'refund'), ('2500', 'payer'),
    ('2600', 'tokens'), ('2900', 'suspense:out'), ('4100', 'fees'), ('4200', 'exchange:result'),
    ('5100', 'costs:provider'), ('5200', 'costs:network'), ('5300', 'costs:chargeback'),
    ('5400', 'costs:dust'), ('5500', 'costs:failover'), ('6000', 'exchange:bridge')
) as o(code, address) on o.code = b.account;

-- What a transaction says beside its legs. All of it is in its hash where it is there.
alter table ledger_transaction
    add column reference text check (reference ~ '^[A-Za-z0-9._:/@+=#-]{1,128}$'),
    add column effective_at timestamptz,
    add column metadata json,
    add column actor text check (length(actor) <= 200);
comment on column ledger_transaction.metadata is
    'json, not jsonb: it is kept letter by letter in the canonical form that was hashed';
comment on column ledger_transaction.effective_at is
    'when it counts, where that is not when it was posted';
create unique index ledger_transaction_reference
    on ledger_transaction (tenant_id, reference) where reference is not null;
create unique index ledger_transaction_reverses
    on ledger_transaction (tenant_id, reverses) where reverses is not null;
create index ledger_transaction_effective
    on ledger_transaction (tenant_id, effective_at, sequence) where effective_at is not null;

alter table posting
    add column address text collate "C",
    add column address_balance_minor bigint;
comment on column posting.address is 'null is the own address of the account';
comment on column posting.address_balance_minor is
    'the address''s balance after this line; null where it is that of the account';
create index posting_address
    on posting (tenant_id, address, asset, sequence, line) where address is not null;
