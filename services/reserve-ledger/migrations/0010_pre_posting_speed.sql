-- What a posting costs must not grow with the book (docs/adr/0032-a-posting-costs-the-same-in-any-book.md).

-- An index that every transaction paid for and few are found by: kept for those few alone.
create unique index ledger_transaction_cause_event_id on ledger_transaction
    (tenant_id, cause_event_id, template) where cause_event_id <> id;
alter table ledger_transaction
    drop constraint ledger_transaction_tenant_id_cause_event_id_template_key;
drop index ledger_transaction_invoice;
create index ledger_transaction_invoice on ledger_transaction (tenant_id, invoice_id, sequence)
    where invoice_id is not null;

-- Time follows sequence, so a moment is found from every 64th transaction: at most 63 are read behind it.
create index ledger_transaction_moment on ledger_transaction (tenant_id, posted_at, sequence)
    where sequence % 64 = 0;
drop index ledger_transaction_posted;

-- The same rules, said cheaply: a bounded repetition ({1,128}) makes PostgreSQL build a state for each place, for
-- every row. Measured for a reference of 36 letters: 74 us against 4; an address 60 us, an asset 2.4 against 0.7.
-- In a block: PostgreSQL 15 and 18 cannot start a savepoint right behind the drop of a domain's constraint.
do $block$ begin
    alter domain asset_code drop constraint asset_code_check;
    alter domain asset_code add constraint asset_code_check
        check (length(value) between 3 and 12 and value ~ '^[A-Z][A-Z0-9]+$') not valid;
    alter domain account_address drop constraint account_address_check;
    alter domain account_address add constraint account_address_check check (
        length(value) <= 160 and value ~ '^[a-z][a-z0-9_-]*(:[a-z0-9][a-z0-9_-]*)*$'
        and length(value) - length(replace(value, ':', '')) <= 7
        and (length(value) <= 64
             or value ~ '^[a-z][a-z0-9_-]{0,63}(:[a-z0-9][a-z0-9_-]{0,63}){0,7}$')) not valid;
end $block$;
alter table ledger_transaction
    drop constraint ledger_transaction_template_check,
    add constraint ledger_transaction_template_check
        check (length(template) <= 60 and template ~ '^[a-z_]+$') not valid,
    drop constraint ledger_transaction_reference_check,
    add constraint ledger_transaction_reference_check
        check (length(reference) <= 128 and reference ~ '^[A-Za-z0-9._:/@+=#-]+$') not valid;
alter table hold
    drop constraint hold_reference_check,
    add constraint hold_reference_check
        check (length(reference) <= 128 and reference ~ '^[A-Za-z0-9._:/@+=#-]+$') not valid;

-- The checks run as the owner of the books: what they prove does not depend on what somebody may see.
do $$ begin
    execute format('create policy tenant_checks on ledger_transaction for select to %I using (true)', current_user);
    execute format('create policy tenant_checks on posting for select to %I using (true)', current_user);
end $$;

-- The checks read what a statement added once, and of the book the stretch it added to: sets, compared as a
-- whole. Joined row by row they read all that a tenant ever posted, for each row: under row security no
-- condition that is computed (sequence - 1) may be looked up in an index.
create or replace function check_added_postings() returns trigger language plpgsql security definer
    set search_path from current set enable_seqscan = off as $$
begin
    if exists (select from added group by tenant_id, sequence, asset having sum(amount_minor) <> 0) then
        raise exception 'the postings of a transaction sum to zero for each asset'
            using errcode = 'check_violation', constraint = 'posting_balanced', table = 'posting';
    end if;
    if exists (
        select from added
        group by tenant_id, sequence, transaction_id
        having min(line) <> 1 or max(line) <> count(*)
    ) or exists (
        select tenant_id, sequence, transaction_id from added where line = 1
        except
        select t.tenant_id, t.sequence, t.id
        from (select tenant_id, min(sequence) as first, max(sequence) as last
              from added group by tenant_id) s
        cross join lateral (
            select tenant_id, sequence, id from ledger_transaction
            where tenant_id = s.tenant_id and sequence >= s.first and sequence <= s.last
            order by sequence offset 0) t
    ) then
        raise exception 'a transaction is entered with all its postings, by one statement'
            using errcode = 'check_violation', constraint = 'posting_complete', table = 'posting';
    end if;
    return null;
end $$;

create or replace function check_added_transactions() returns trigger language plpgsql security definer
    set search_path from current set enable_seqscan = off as $$
begin
    if exists (
        select tenant_id, sequence from added
        except
        select p.tenant_id, p.sequence
        from (select tenant_id, min(sequence) as first, max(sequence) as last
              from added group by tenant_id) s
        cross join lateral (
            select tenant_id, sequence from posting
            where tenant_id = s.tenant_id and sequence >= s.first and sequence <= s.last
              and line = 1
            order by sequence offset 0) p
    ) then
        raise exception 'a transaction is entered with all its postings, by one statement'
            using errcode = 'check_violation', constraint = 'transaction_posted',
                  table = 'ledger_transaction';
    end if;
    if exists (
        select from (
            select tenant_id, sequence, sequence - 1 as before, previous_hash, posted_at,
                   lag(sequence) over w as sequence_before, lag(hash::bytea) over w as hash_before,
                   lag(posted_at) over w as posted_before
            from added window w as (partition by tenant_id order by sequence)
        ) a
        where case
            when a.sequence = 1 then
                a.previous_hash <> '\x0000000000000000000000000000000000000000000000000000000000000000'
            when a.sequence_before = a.before then
                a.hash_before <> a.previous_hash or a.posted_before > a.posted_at
            else (
                select p.sequence = a.before and p.hash = a.previous_hash and p.posted_at <= a.posted_at
                from ledger_transaction p
                where p.tenant_id = a.tenant_id and p.sequence >= a.before
                order by p.sequence limit 1) is not true
            end
    ) then
        raise exception 'a transaction follows the one before it in the tenant''s chain'
            using errcode = 'check_violation', constraint = 'transaction_chained',
                  table = 'ledger_transaction';
    end if;
    return null;
end $$;

-- What a request to post needs, in one round trip: the lock on the tenants' chains, then (each statement sees what
-- is committed when it begins) the balances behind that lock, and which references were used before: each by its whole
-- key, one after the other. Which index that is PostgreSQL knows once the tables were analysed, which autovacuum
-- does within a minute of the first postings; plans made before that are made again then.
create function open_books(
    tenants uuid[], code_tenants uuid[], codes text[], code_assets text[],
    address_tenants uuid[], addresses text[], address_assets text[],
    reference_tenants uuid[], reference_names text[]
) returns table (
    part text, tenant uuid, place text, asset_code text, code_of text, debit bigint, credit bigint, held bigint,
    chain text, moment timestamptz, transaction uuid
) language plpgsql set search_path from current as $$
begin
    return query
        insert into ledger_head as h (tenant_id)
        select t.tenant_id from unnest(tenants) as t(tenant_id) order by t.tenant_id
        on conflict (tenant_id) do update set sequence = h.sequence
        returning 'head', h.tenant_id, null::text, null::text, null::text, h.sequence, null::bigint, null::bigint,
            encode(h.hash, 'hex'), greatest(clock_timestamp(), h.posted_at), null::uuid;
    return query
        select 'code', k.tenant_id, k.account, k.asset, k.account, b.debit_minor, b.credit_minor, 0::bigint,
               null::text, null::timestamptz, null::uuid
        from unnest(code_tenants, codes, code_assets) as k(tenant_id, account, asset)
        cross join lateral (
            select debit_minor, credit_minor from account_balance a
            where a.tenant_id = k.tenant_id and a.account = k.account and a.asset = k.asset offset 0) b;
    return query
        select 'address', k.tenant_id, k.address, k.asset, a.code, a.debit_minor, a.credit_minor, a.held_minor,
               null::text, null::timestamptz, null::uuid
        from unnest(address_tenants, addresses, address_assets) as k(tenant_id, address, asset)
        cross join lateral (
            select c.code::text as code, debit_minor, credit_minor, held_minor from account c
            where c.tenant_id = k.tenant_id and c.address = k.address and c.asset = k.asset offset 0) a;
    return query
        select 'reference', k.tenant_id, k.reference, null::text, null::text, null::bigint, null::bigint,
               null::bigint, null::text, null::timestamptz, t.id
        from unnest(reference_tenants, reference_names) as k(tenant_id, reference)
        cross join lateral (
            select id from ledger_transaction l
            where l.tenant_id = k.tenant_id and l.reference = k.reference and l.reference is not null
            offset 0) t;
end $$;

-- The next place in the series of statements, taken after every other lock of a batch; then what the batch
-- changed is added, and everything a statement says is read, as it is behind that lock.
create function next_statement(accounts text[], assets text[], changes bigint[])
returns table (
    place bigint, hash_before text, stated_at timestamptz, total_accounts text[], total_assets text[],
    totals bigint[], booked jsonb, breaches jsonb, frozen boolean, observed boolean
) language plpgsql set search_path from current as $$
begin
    update reserve_head h set sequence = h.sequence + 1
    returning h.sequence, encode(h.hash, 'hex'), clock_timestamp() into place, hash_before, stated_at;
    insert into reserve_total as r (account, asset, balance_minor)
    select account, asset, change_minor
    from unnest(accounts, assets, changes) as c(account, asset, change_minor) order by account, asset
    on conflict (account, asset) do update set balance_minor = r.balance_minor + excluded.balance_minor;
    select array_agg(r.account::text), array_agg(r.asset::text), array_agg(r.balance_minor)
    from reserve_total r into total_accounts, total_assets, totals;
    select (select coalesce(jsonb_object_agg(b.asset, b.booked_minor::text), '{}') from reserve_booked b),
           (select coalesce(jsonb_agg(jsonb_build_array(b.kind, b.asset, b.difference_minor::text)), '[]')
            from reserve_breach b),
           (select f.frozen from reserve_freeze f), exists (select from reserve_source)
    into booked, breaches, frozen, observed;
    return next;
end $$;
