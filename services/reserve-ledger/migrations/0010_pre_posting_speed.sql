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
            offset 0) t
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
              and line = 1 offset 0) p
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
                select p.hash = a.previous_hash and p.posted_at <= a.posted_at
                from ledger_transaction p
                where p.tenant_id = a.tenant_id and p.sequence = a.before) is not true
            end
    ) then
        raise exception 'a transaction follows the one before it in the tenant''s chain'
            using errcode = 'check_violation', constraint = 'transaction_chained',
                  table = 'ledger_transaction';
    end if;
    return null;
end $$;
