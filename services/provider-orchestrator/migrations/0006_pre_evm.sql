-- Deposit addresses on EVM chains: whose they are, what still has to be looked for, what lies there, and how it is fetched.

alter table watched_address add column provider text not null default 'tempo';
alter table watched_address add column rail text not null default 'tempo';
-- What the factory puts a wallet at the address with; without it late money could not be fetched.
alter table watched_address add column salt bytea check (octet_length(salt) = 32);
alter table balance_request add column rail text not null default 'tempo';

-- Addresses that became known after the chain had been read past their birth: what came meanwhile is looked for once.
create table missed_address (
    chain_id bigint not null,
    address bytea not null check (octet_length(address) = 20),
    since timestamptz not null,
    primary key (chain_id, address)
);

-- Money at deposit addresses that is final and was not fetched. What really lies there is asked of the chain before a sweep.
create table unswept (
    tenant_id uuid not null,
    wallet_id uuid not null,
    asset text not null check (asset ~ '^[A-Z][A-Z0-9]{2,11}$'),
    chain_id bigint not null,
    units numeric(78, 0) not null check (units > 0 and units <> 'NaN'),
    since timestamptz not null,
    -- Set where somebody waits for it: then even dust is fetched.
    wanted_at timestamptz,
    -- How often the token refused to move, and until when it is left alone.
    refusals integer not null default 0 check (refusals >= 0),
    rest_until timestamptz,
    sweep_id uuid,
    primary key (tenant_id, wallet_id, asset)
);
create index unswept_waiting on unswept (chain_id, asset, since) where sweep_id is null;
call tenant_table('unswept', '');

-- One sweep is one nonce of the operator. The bytes are stored before they are sent for the first time, and are the only
-- ones ever sent, so that death at any moment leaves something that can be found out.
create table sweep (
    id uuid primary key,
    chain_id bigint not null check (chain_id > 0),
    rail text not null,
    operator bytea not null check (octet_length(operator) = 20),
    nonce bigint not null check (nonce >= 0),
    asset text not null,
    token bytea not null check (octet_length(token) = 20),
    state text not null check (state in ('signed', 'done', 'reverted', 'void')),
    signed_at timestamptz not null,
    resolved_at timestamptz,
    transaction_hash bytea check (octet_length(transaction_hash) = 32),
    block_number bigint,
    block_hash bytea check (octet_length(block_hash) = 32),
    gas_used bigint check (gas_used >= 0),
    fee_wei numeric(78, 0) check (fee_wei >= 0 and fee_wei <> 'NaN'),
    check ((resolved_at is not null) = (state <> 'signed')),
    check ((block_hash is not null) = (state in ('done', 'reverted')))
);
-- Never two in flight of one operator, and never two that count under one nonce.
create unique index sweep_in_flight on sweep (chain_id, operator) where state = 'signed';
create unique index sweep_nonce on sweep (chain_id, operator, nonce) where state <> 'void';

-- What was signed for a sweep: once, and again with the same nonce and a higher fee where it does not get into a block.
create table sweep_transaction (
    transaction_hash bytea primary key check (octet_length(transaction_hash) = 32),
    sweep_id uuid not null references sweep,
    raw bytea not null,
    max_fee_wei numeric(78, 0) not null,
    tip_wei numeric(78, 0) not null,
    gas_limit bigint not null,
    signed_at timestamptz not null
);
create index sweep_transaction_sweep on sweep_transaction (sweep_id, signed_at);

create table sweep_item (
    tenant_id uuid not null,
    sweep_id uuid not null references sweep,
    wallet_id uuid not null,
    invoice_id uuid not null,
    salt bytea not null check (octet_length(salt) = 32),
    address bytea not null check (octet_length(address) = 20),
    units numeric(78, 0) not null check (units > 0),
    swept_units numeric(78, 0) check (swept_units >= 0),
    refused boolean not null default false,
    primary key (tenant_id, sweep_id, wallet_id)
);
create index sweep_item_wallet on sweep_item (tenant_id, wallet_id);
create index sweep_item_sweep on sweep_item (sweep_id);
call tenant_table('sweep_item', 'select');
alter table unswept add foreign key (sweep_id) references sweep;

-- Which payments a sweep moved; one payment is moved once.
create table swept_payment (
    tenant_id uuid not null,
    payment_id uuid not null,
    sweep_id uuid not null references sweep,
    primary key (tenant_id, payment_id)
);
call tenant_table('swept_payment', 'select');

do $$
declare
    name text;
begin
    foreach name in array array['missed_address', 'sweep', 'sweep_transaction'] loop
        execute format('grant select, insert, update, delete on %I to %I', name, current_schema() || '_worker');
    end loop;
    execute format('grant select on sweep to %I', current_schema() || '_api');
end $$;
