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
)
