"""Accounts by address make up their codes, and what is set apart has its transaction."""

from typing import Final

from audit.invariant import Invariant

LEDGER_ACCOUNTS: Final = (
    Invariant(
        "ledger.addresses_make_up_codes",
        "The balances of a code's addresses sum to the balance of the code, debits and credits "
        "apart.",
        """
        with summed as (
            select tenant_id, code as account, asset, sum(debit_minor) as debit,
                   sum(credit_minor) as credit
            from reserve_ledger.account group by tenant_id, code, asset
        )
        select tenant_id, account, asset, s.debit, b.debit_minor, s.credit, b.credit_minor
        from summed s full join reserve_ledger.account_balance b using (tenant_id, account, asset)
        where (coalesce(s.debit, 0), coalesce(s.credit, 0))
              is distinct from (coalesce(b.debit_minor, 0), coalesce(b.credit_minor, 0))
        """,
        "I4",
    ),
    Invariant(
        "ledger.reservations_follow_entries",
        "What is set apart, set free or sent has the transaction that did it.",
        """
        select r.tenant_id, r.id, r.state from reserve_ledger.reservation r
        left join reserve_ledger.ledger_transaction t
            on t.tenant_id = r.tenant_id and t.id = r.transaction_id
        left join reserve_ledger.ledger_transaction e
            on e.tenant_id = r.tenant_id and e.id = r.ended_by
        where (r.state <> 'refused' and t.template is distinct from r.purpose || '_requested')
           or (r.state = 'released' and e.reverses is distinct from r.transaction_id)
           or (r.state = 'settled' and coalesce(e.template, '') not like r.purpose || '_paid%%')
        """,
        "I13",
    ),
    Invariant(
        "ledger.settlements_follow_entries",
        "A payment that is cleared was said to be, what was taken of its pending part is what "
        "refunds and chargebacks took, and a chargeback has its transaction.",
        """
        with taken as (
            select tenant_id, payment_id, sum(minor) as minor from (
                select tenant_id, payment_id, amount_minor as minor from reserve_ledger.reservation
                where taken_from = '2110' and state in ('reserved', 'settled')
                union all
                select tenant_id, payment_id, pending_minor from reserve_ledger.dispute
                where transaction_id is not null and ended_by is null) t
            group by tenant_id, payment_id
        )
        select b.tenant_id, b.payment_id, b.taken_minor, t.minor
        from reserve_ledger.payment_booking b left join taken t using (tenant_id, payment_id)
        where b.state = 'booked' and b.taken_minor <> coalesce(t.minor, 0)
           or b.cleared and not exists (
                select from reserve_ledger.payment_cleared c
                where c.tenant_id = b.tenant_id and c.payment_id = b.payment_id)
        union all
        select d.tenant_id, d.id, d.amount_minor, null from reserve_ledger.dispute d
        left join reserve_ledger.ledger_transaction t
            on t.tenant_id = d.tenant_id and t.id = d.transaction_id
        left join reserve_ledger.ledger_transaction e
            on e.tenant_id = d.tenant_id and e.id = d.ended_by
        where d.transaction_id is not null and t.template is distinct from 'chargeback_opened'
           or d.ended_by is not null and e.reverses is distinct from d.transaction_id
        """,
        "I13",
    ),
    Invariant(
        "ledger.holds_are_kept",
        "What an account holds back is the sum of its open holds, and what was captured has its "
        "transaction.",
        """
        with held as (
            select tenant_id, address, asset, sum(amount_minor) as minor
            from reserve_ledger.hold where state = 'held' group by tenant_id, address, asset
        )
        select tenant_id, address, asset, a.held_minor, h.minor
        from reserve_ledger.account a full join held h using (tenant_id, address, asset)
        where coalesce(a.held_minor, 0) <> coalesce(h.minor, 0)
        union all
        select h.tenant_id, h.address, h.asset, h.captured_minor, null
        from reserve_ledger.hold h
        left join reserve_ledger.ledger_transaction t
            on t.tenant_id = h.tenant_id and t.id = h.transaction_id
        where h.state = 'captured' and t.template is distinct from 'hold_captured'
        """,
        "I4",
    ),
)
