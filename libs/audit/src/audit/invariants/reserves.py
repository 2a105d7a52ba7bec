"""The reserve by source, and the work on what does not agree."""

from typing import Final

from audit.invariant import Invariant

RESERVES: Final = (
    Invariant(
        "reserve.no_breach_open",
        "What is held is what the book says, to the unit, at every source that can say so.",
        """
        select kind, asset, difference_minor, sequence, breached_at
        from reserve_ledger.reserve_breach
        """,
        "I3",
    ),
    Invariant(
        "reserve.booked_is_the_sum",
        "What payments put into the books of chains is the sum of those payments.",
        """
        with summed as (
            select asset, sum(amount_minor) as minor from reserve_ledger.payment_booking
            where state = 'suspense' or state = 'booked' and held_at <> 'clearing'
            group by asset
        )
        select asset, s.minor as summed_minor, b.booked_minor
        from summed s full join reserve_ledger.reserve_booked b using (asset)
        where coalesce(s.minor, 0) <> coalesce(b.booked_minor, 0)
        """,
        "I4",
    ),
    Invariant(
        "reserve.adjustments_are_posted",
        "A break that was closed by an adjustment names the one transaction that made it.",
        """
        select b.id, b.transaction_id, t.id as posted
        from reserve_ledger.reconciliation_break b
        left join reserve_ledger.ledger_transaction t on t.cause_event_id = b.id
        where (b.closed_because = 'adjusted') is distinct from (t.id is not null)
              and (b.closed_because is not null or t.id is not null)
           or b.transaction_id is distinct from t.id
        """,
        "I13",
    ),
    Invariant(
        "reserve.bank_statements_add_up",
        "A bank's statement is kept as it came: opening and entries are its closing, but where an "
        "earlier one listed some of them.",
        """
        with listed as (
            select tenant_id, statement_id, count(*) as lines, sum(amount_minor) as minor
            from reserve_ledger.external_line group by tenant_id, statement_id
        )
        select s.tenant_id, s.id, s.name, s.line_count, l.lines, s.opening_minor, l.minor,
               s.closing_minor
        from reserve_ledger.external_statement s
        left join listed l on l.tenant_id = s.tenant_id and l.statement_id = s.id
        where s.kind = 'bank' and s.format <> 'event'
          and (coalesce(l.lines, 0) > s.line_count
               or coalesce(l.lines, 0) = s.line_count
                  and s.opening_minor + coalesce(l.minor, 0) <> s.closing_minor)
        """,
        "I4",
    ),
)
