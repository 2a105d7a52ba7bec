"""The books: they balance, nothing in them was changed, and the reserve covers what circulates.

Positive is a debit. Accounts that begin with 1 are what is held, with 2 what is owed to others,
with 4 and 5 the platform's own; 6000 is the bridge between assets.
"""

from typing import Final

from audit.invariant import Invariant
from audit.invariants.booked import BOOKED
from audit.invariants.ledger_explained import EXPLAINED

# The canonical form of a transaction, as reserve_ledger.domain.chain makes it, made again in SQL:
# keys sorted, no spaces; each part of a hash is preceded by its length in eight bytes.
_RECOMPUTED: Final = """
select tenant_id, sequence, t.id
from reserve_ledger.ledger_transaction t
left join (
    select tenant_id, sequence,
           string_agg('["' || account || '","' || asset || '",' || amount_minor
                      || coalesce(',"' || address || '"', '') || ']', ','
                      order by line) as legs
    from reserve_ledger.posting group by tenant_id, sequence) p using (tenant_id, sequence)
cross join lateral (
    select convert_to(
        '{' || coalesce('"actor":' || to_json(t.actor) || ',', '')
        || '"cause_event_id":"' || t.cause_event_id || '",'
        || coalesce('"effective_at":"'
                    || to_char(t.effective_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
                    || '+00:00",', '')
        || '"id":"' || t.id
        || '","invoice_id":' || coalesce('"' || t.invoice_id || '"', 'null')
        || coalesce(',"metadata":' || t.metadata, '')
        || ',"payment_id":' || coalesce('"' || t.payment_id || '"', 'null')
        || ',"posted_at":"'
        || to_char(t.posted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00"'
        || ',"postings":[' || coalesce(p.legs, '') || ']'
        || coalesce(',"reference":"' || t.reference || '"', '')
        || ',"reverses":' || coalesce('"' || t.reverses || '"', 'null')
        || ',"sequence":' || t.sequence
        || ',"template":"' || t.template || '.v' || t.template_version
        || '","tenant_id":"' || t.tenant_id || '"}', 'UTF8') as body) b
where t.hash <> sha256(int8send(32) || t.previous_hash
                       || int8send(octet_length(b.body)) || b.body)
"""

_ENTRIES: Final = (
    Invariant(
        "ledger.entries_balanced",
        "The postings of a transaction sum to zero for each asset.",
        """
        select tenant_id, transaction_id, asset, sum(amount_minor) as sum_minor
        from reserve_ledger.posting
        group by tenant_id, transaction_id, asset having sum(amount_minor) <> 0
        """,
        "I1",
    ),
    Invariant(
        "ledger.money_conserved",
        "All postings of a tenant sum to zero for each asset: money is moved, never made.",
        """
        select tenant_id, asset, sum(amount_minor) as sum_minor
        from reserve_ledger.posting group by tenant_id, asset having sum(amount_minor) <> 0
        """,
        "I2",
    ),
    Invariant(
        "ledger.reserve_covers_at_every_step",
        "After every transaction, what is held is what is owed and what is the platform's own.",
        """
        select tenant_id, asset, sequence, uncovered_minor from (
            select tenant_id, asset, sequence, sum(amount_minor) filter (where account <> '6000')
                over (partition by tenant_id, asset order by sequence
                      range unbounded preceding) as uncovered_minor
            from reserve_ledger.posting) s
        where uncovered_minor <> 0
        """,
        "I3",
    ),
    Invariant(
        "ledger.balances_are_sums",
        "The balance kept of an account is the sum of its postings, debits and credits apart.",
        """
        with summed as (
            select tenant_id, account, asset,
                   coalesce(sum(amount_minor) filter (where amount_minor > 0), 0) as debit,
                   coalesce(-sum(amount_minor) filter (where amount_minor < 0), 0) as credit
            from reserve_ledger.posting group by tenant_id, account, asset
        )
        select tenant_id, account, asset, s.debit, b.debit_minor, s.credit, b.credit_minor
        from summed s full join reserve_ledger.account_balance b using (tenant_id, account, asset)
        where (s.debit, s.credit) is distinct from (b.debit_minor, b.credit_minor)
        """,
        "I4",
    ),
    Invariant(
        "ledger.running_balances",
        "The balance written beside a posting is the sum of the account's postings up to it.",
        """
        select tenant_id, sequence, line, account, asset, balance_minor, summed_minor from (
            select tenant_id, sequence, line, account, asset, balance_minor,
                   sum(amount_minor) over (partition by tenant_id, account, asset
                                           order by sequence, line) as summed_minor
            from reserve_ledger.posting) s
        where balance_minor <> summed_minor
        """,
        "I4",
    ),
    Invariant(
        "ledger.no_overdraft",
        "At no step are more funds gone than came: what is held is never negative, "
        "and what is owed is never in debit.",
        """
        select tenant_id, account, asset, sequence, summed_minor from (
            select tenant_id, account, asset, sequence,
                   sum(amount_minor) over (partition by tenant_id, account, asset
                                           order by sequence range unbounded preceding)
                       as summed_minor
            from reserve_ledger.posting
            where left(account, 1) in ('1', '2') and account not in ('1220', '1300')) s
        where case left(account, 1) when '1' then summed_minor < 0 else summed_minor > 0 end
        """,
        "I5",
    ),
    Invariant(
        "ledger.entries_complete",
        "Each transaction has all its lines, from 1 on, and each posting its transaction.",
        """
        select tenant_id, sequence, t.id, p.transaction_id, p.lines
        from reserve_ledger.ledger_transaction t
        full join (
            select tenant_id, sequence, transaction_id, count(*) as lines, max(line) as last
            from reserve_ledger.posting group by tenant_id, sequence, transaction_id) p
            using (tenant_id, sequence)
        where t.id is distinct from p.transaction_id or p.lines < 2 or p.last <> p.lines
        """,
    ),
)

_CHAIN: Final = (
    Invariant(
        "ledger.chain_unbroken",
        "A tenant's transactions are numbered without a gap, each carries the hash of the one "
        "before, and time never goes back.",
        """
        select tenant_id, sequence, id from (
            select tenant_id, sequence, id, previous_hash, posted_at,
                   row_number() over w as place, lag(hash) over w as hash_before,
                   lag(posted_at) over w as posted_before
            from reserve_ledger.ledger_transaction
            window w as (partition by tenant_id order by sequence)) c
        where sequence <> place or posted_at < posted_before
           or previous_hash <> coalesce(hash_before, decode(repeat('00', 32), 'hex'))
        """,
        "I27",
    ),
    Invariant(
        "ledger.chain_recomputed",
        "The hash of each transaction is the hash of what it says.",
        _RECOMPUTED,
        "I27",
    ),
    Invariant(
        "ledger.heads_agree",
        "The head kept of a tenant's chain is its last transaction.",
        """
        select tenant_id, h.sequence as kept, l.sequence as last
        from reserve_ledger.ledger_head h
        full join (
            select distinct on (tenant_id) tenant_id, sequence, hash, posted_at
            from reserve_ledger.ledger_transaction
            order by tenant_id, sequence desc) l using (tenant_id)
        where case when l.sequence is null then h.sequence <> 0
                   else (h.sequence, h.hash::bytea, h.posted_at)
                        is distinct from (l.sequence, l.hash::bytea, l.posted_at) end
        """,
        "I27",
    ),
)

_BOOKINGS: Final = (
    Invariant(
        "ledger.one_effect_per_event",
        "An event is booked once with one template, whichever tenant it is booked for.",
        """
        select cause_event_id, template, count(*) as times
        from reserve_ledger.ledger_transaction
        group by cause_event_id, template having count(*) > 1
        """,
        "I13",
    ),
    Invariant(
        "ledger.bookings_follow_entries",
        "Whether a payment is in the books, and how often it came in, is what its entries say.",
        f"""
        with entered as (
            select tenant_id, payment_id,
                   count(*) filter (where template in {BOOKED}) as booked,
                   count(*) filter (where template = 'payment_conflicted') as held,
                   count(*) filter (where template = 'suspense_released') as released,
                   count(*) filter (where template in ('payment_reverted',
                                                       'voided_payment_reverted',
                                                       'voided_deposit_reverted',
                                                       'voided_capture_reverted')) as reversed
            from reserve_ledger.ledger_transaction
            where payment_id is not null
              and (template in {BOOKED}
                   or template in ('payment_conflicted', 'suspense_released', 'payment_reverted',
                                   'voided_payment_reverted', 'voided_deposit_reverted',
                                   'voided_capture_reverted'))
            group by tenant_id, payment_id
        )
        select tenant_id, payment_id, b.state, b.generation, e.booked, e.held, e.released,
               e.reversed
        from reserve_ledger.payment_booking b full join entered e using (tenant_id, payment_id)
        where (e.booked - e.reversed, e.held - e.released, e.booked + e.held)
              is distinct from ((b.state = 'booked')::int::bigint,
                                (b.state = 'suspense')::int::bigint, b.generation::bigint)
        """,
        "I13",
    ),
    Invariant(
        "ledger.reversed_once",
        "A transaction is reversed at most once, by one of the same tenant and payment after it.",
        """
        select r.tenant_id, r.reverses, count(*) as times
        from reserve_ledger.ledger_transaction r
        left join reserve_ledger.ledger_transaction t
            on t.tenant_id = r.tenant_id and t.id = r.reverses
        where r.reverses is not null
        group by r.tenant_id, r.reverses
        having count(*) > 1
            or not coalesce(bool_and(t.sequence < r.sequence
                                     and t.payment_id is not distinct from r.payment_id), false)
        """,
        "I13",
    ),
    Invariant(
        "ledger.reversals_are_exact",
        "A reversal takes back to the unit what the entry it reverses had brought in.",
        """
        select r.tenant_id, r.id, r.reverses, p.account, p.asset, sum(p.amount_minor) as left_minor
        from reserve_ledger.ledger_transaction r
        join reserve_ledger.ledger_transaction t
            on t.tenant_id = r.tenant_id and t.id = r.reverses
        join reserve_ledger.posting p
            on p.tenant_id = r.tenant_id and p.sequence in (t.sequence, r.sequence)
        -- What a void had made the payer's own leaves from there: only what is held is compared.
        where r.template not like 'voided%%' or p.account like '1%%'
        group by r.tenant_id, r.id, r.reverses, p.account, p.asset
        having sum(p.amount_minor) <> 0
        """,
    ),
    Invariant(
        "ledger.balances_explained",
        "Every balance is explained by the payments that are booked, by what became of them and by "
        "what was set apart of them, to the unit.",
        EXPLAINED,
        "I25",
    ),
    Invariant(
        "ledger.obligations_follow_bookings",
        "What is applied to an invoice is the sum of what its booked payments applied, "
        "and never more than was asked for.",
        """
        with scale as (
            select * from unnest(%(asset_codes)s::text[], %(asset_scales)s::bigint[],
                                 %(asset_currencies)s::text[]) as s(asset, micros, currency)
        ), applied as (
            select b.tenant_id, b.invoice_id, sum(b.applied_minor * s.micros) as micros,
                   bool_or(s.currency <> o.currency) as foreign_currency, max(s.micros) as unit
            from reserve_ledger.payment_booking b
            join scale s on s.asset = b.asset
            left join reserve_ledger.obligation o using (tenant_id, invoice_id)
            where b.state = 'booked' and not b.reclassed
            group by b.tenant_id, b.invoice_id
        )
        select tenant_id, invoice_id, o.applied_micros, a.micros as booked_micros, o.due_micros
        from reserve_ledger.obligation o full join applied a using (tenant_id, invoice_id)
        where coalesce(o.applied_micros, 0) <> coalesce(a.micros, 0)
           or o.applied_micros >= o.due_micros + coalesce(a.unit, 1)
           or a.foreign_currency
        """,
        "I25",
    ),
)

_RESERVE: Final = (
    Invariant(
        "reserve.totals_are_sums",
        "The platform's total of an account is the sum of the tenants' balances.",
        """
        with summed as (
            select account, asset, sum(debit_minor - credit_minor) as minor
            from reserve_ledger.account_balance group by account, asset
        )
        select account, asset, r.balance_minor, s.minor as summed_minor
        from summed s full join reserve_ledger.reserve_total r using (account, asset)
        where coalesce(s.minor, 0) <> coalesce(r.balance_minor, 0)
        """,
        "I3",
    ),
    Invariant(
        "reserve.covered",
        "Every reserve statement says that the reserve covers what circulates, with no difference.",
        """
        select s.sequence, s.covered, p.position
        from reserve_ledger.reserve_statement s
        left join lateral jsonb_array_elements(s.positions) as p(position)
            on (p.position ->> 'difference_minor')::numeric <> 0
        where not s.covered or p.position is not null
        """,
        "I3",
    ),
    Invariant(
        "reserve.statements_chained",
        "Reserve statements are numbered without a gap, each is chained to the one before, "
        "its hash is that of the ledgers it covers, and the head kept is the last of them.",
        """
        select sequence from (
            select sequence, previous_hash, ledger_head, heads,
                   row_number() over w as place, lag(ledger_head) over w as head_before,
                   convert_to(replace(heads::text, ', ', ','), 'UTF8') as body
            from reserve_ledger.reserve_statement window w as (order by sequence)) s
        where sequence <> place
           or previous_hash <> coalesce(head_before, decode(repeat('00', 32), 'hex'))
           or ledger_head <> sha256(int8send(32) || previous_hash
                                    || int8send(octet_length(body)) || body)
        union all
        select h.sequence from reserve_ledger.reserve_head h
        left join reserve_ledger.reserve_statement s
            on s.sequence = (select max(sequence) from reserve_ledger.reserve_statement)
        where (h.sequence, h.hash::bytea) is distinct from
              (coalesce(s.sequence, 0), coalesce(s.ledger_head, decode(repeat('00', 32), 'hex')))
        """,
        "I27",
    ),
)

LEDGER: Final = (*_ENTRIES, *_CHAIN, *_BOOKINGS, *_RESERVE)
