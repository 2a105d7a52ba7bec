"""Invoices: what they ask for, what was received, and that the axes follow from it."""

from typing import Final

from audit.invariant import Invariant
from audit.invariants.booked import BOOKED

# An invoice with its money in millionths of its currency.
_MONEY: Final = """
select i.tenant_id, i.id, i.document, i.settlement, i.timeliness, i.received_micros,
       i.wallet_destroyed_at, i.total_minor * s.micros as asked_micros,
       greatest(div(i.total_minor::numeric * s.micros * i.tolerance_ppm, 1000000),
                i.tolerance_minor * s.micros) as tolerance_micros
from invoice.invoice i
join unnest(%(asset_codes)s::text[], %(asset_scales)s::bigint[]) as s(asset, micros)
    on s.asset = i.asset
where i.document in ('open', 'closed')
"""
# On its way: seen, and not booked since it was last final.
_PENDING: Final = """
select p.tenant_id, p.invoice_id from invoice.invoice_payment p
where p.sighting = 'seen' and p.final_reverts >= (
    select count(*) from invoice.invoice_booking b
    where b.tenant_id = p.tenant_id and b.invoice_id = p.invoice_id
      and b.payment_id = p.payment_id)
"""

_DOCUMENT: Final = (
    Invariant(
        "invoices.numbers_without_gap",
        "A tenant's invoice numbers are INV-000001, INV-000002 ... without a gap, "
        "and the next one to be given is the one after the last.",
        """
        with placed as (
            select tenant_id, number, ltrim(split_part(number, '-', 2), '0') as position,
                   row_number() over (partition by tenant_id
                                      order by length(number), number) as place
            from invoice.invoice where number is not null
        )
        select tenant_id, number, place from placed
        where split_part(number, '-', 1) <> 'INV' or position <> place::text
           or length(number) < 10
        union all
        select tenant_id, 'next ' || n.next, coalesce(l.last, 0)
        from (select tenant_id, next from invoice.number_sequence where series = 'INV') n
        full join (select tenant_id, max(place) as last from placed group by tenant_id) l
            using (tenant_id)
        where n.next is distinct from coalesce(l.last, 0) + 1
        """,
    ),
    Invariant(
        "invoices.lines_add_up",
        "Net and tax of an invoice are the sums of its lines, each in its place.",
        """
        select tenant_id, i.id, i.net_minor, l.net, i.tax_minor, l.tax
        from invoice.invoice i
        left join (
            select tenant_id, invoice_id as id, sum(net_minor) as net, sum(tax_minor) as tax,
                   count(*) as lines, max(position) as last
            from invoice.invoice_line group by tenant_id, invoice_id) l using (tenant_id, id)
        where (i.net_minor, i.tax_minor) is distinct from (l.net, l.tax) or l.lines <> l.last
        """,
    ),
    Invariant(
        "invoices.issue_ends",
        "An invoice that is being issued gets its wallet, or is told that there is none.",
        """
        select tenant_id, id, attempt, updated_at from invoice.invoice
        where document = 'issuing' and updated_at < %(before)s
        """,
        "I24",
        settled=True,
    ),
    Invariant(
        "invoices.dates_have_alarms",
        "An invoice that waits for its due date or its end has a timer for it.",
        """
        select i.tenant_id, i.id, w.kind, w.at
        from invoice.invoice i
        cross join lateral (values
            ('invoice.due', i.due_at, i.timeliness = 'on_time'),
            ('invoice.expiry', i.expires_at, i.expired_since is null)) as w(kind, at, waits)
        where i.document = 'open' and w.waits and i.settlement not in
              ('paid', 'overpaid', 'partially_refunded', 'refunded', 'charged_back')
          and not exists (
            select from invoice.timer t where t.kind = w.kind and t.ref = i.id::text)
        """,
        "I24",
    ),
)

_MONEY_OF: Final = (
    Invariant(
        "invoices.received_is_counted",
        "What an invoice has received is the sum of the bookings that count.",
        """
        select tenant_id, id, i.received_micros, b.counted
        from invoice.invoice i
        left join (
            select tenant_id, invoice_id as id, sum(micros) as counted
            from invoice.invoice_booking where state = 'counted'
            group by tenant_id, invoice_id) b using (tenant_id, id)
        where i.received_micros <> coalesce(b.counted, 0)
        """,
        "I25",
    ),
    Invariant(
        "invoices.settlement_follows_money",
        "Whether an invoice is unpaid, partly paid, paid or overpaid is what was received, "
        "compared with what was asked for; refunded or charged back only if money went back.",
        f"""
        select tenant_id, id, settlement, received_micros, asked_micros, tolerance_micros
        from ({_MONEY}) m
        where case when exists (select from invoice.invoice_return r
                                where r.tenant_id = m.tenant_id and r.invoice_id = m.id
                                  and r.is_gone)
                        then false
                   when settlement in ('partially_refunded', 'refunded', 'charged_back') then true
                   when received_micros > asked_micros then settlement <> 'overpaid'
                   when received_micros = 0 then settlement not in ('unpaid', 'processing')
                   when asked_micros - received_micros <= tolerance_micros
                        then settlement <> 'paid'
                   else settlement <> 'partial' end
        """,
        "I25",
    ),
    Invariant(
        "invoices.processing_while_on_its_way",
        "An invoice that has received nothing is processing while, and only while, "
        "a payment is on its way.",
        f"""
        select m.tenant_id, m.id, m.settlement
        from ({_MONEY}) m
        left join (select distinct * from ({_PENDING}) p) p
            on p.tenant_id = m.tenant_id and p.invoice_id = m.id
        where m.settlement in ('unpaid', 'processing')
          and (m.settlement = 'processing') <> (p.invoice_id is not null)
        """,
        "I25",
    ),
    Invariant(
        "invoices.axes_agree",
        "An invoice is closed when it is settled and its wallet is gone, and late when it was "
        "settled after its dates: the axes never contradict each other.",
        """
        select tenant_id, id, document, settlement, timeliness, wallet_destroyed_at
        from invoice.invoice
        where document in ('open', 'closed')
          -- Of these it depends on what had come before it went back.
          and settlement not in ('partially_refunded', 'refunded', 'charged_back')
          and ((document = 'closed') <> (settlement in ('paid', 'overpaid')
                                         and wallet_destroyed_at is not null)
            or timeliness <> case
                when expired_since is not null
                    then case when settlement in ('paid', 'overpaid') then 'paid_late'
                              else 'expired' end
                when overdue_since is not null
                    then case when settlement in ('paid', 'overpaid') then 'settled_late'
                              else 'overdue' end
                else 'on_time' end)
        """,
        "I23",
    ),
    Invariant(
        "invoices.nothing_held_back",
        "Money is held back only while an invoice is not open yet.",
        """
        select b.tenant_id, b.invoice_id, b.transaction_id, i.document
        from invoice.invoice_booking b
        join invoice.invoice i on i.tenant_id = b.tenant_id and i.id = b.invoice_id
        where b.state = 'held' and i.document in ('open', 'closed', 'void')
        """,
    ),
)

_LEDGER: Final = (
    Invariant(
        "invoices.bookings_are_the_ledgers",
        "What an invoice was told of a booking is what the ledger booked.",
        f"""
        select b.tenant_id, b.invoice_id, b.transaction_id, b.state, b.amount_minor, b.asset,
               p.amount_minor as booked_minor
        from invoice.invoice_booking b
        left join reserve_ledger.ledger_transaction t
            on t.tenant_id = b.tenant_id and t.id = b.transaction_id
           and t.template in {BOOKED}
        left join reserve_ledger.posting p
            on p.tenant_id = t.tenant_id and p.sequence = t.sequence and p.line = 1
        where (b.invoice_id, b.payment_id, b.amount_minor, b.asset)
              is distinct from (t.invoice_id, t.payment_id, p.amount_minor, p.asset::text)
        """,
        "I25",
    ),
    Invariant(
        "invoices.bookings_arrive",
        "Each booking and each reversal of the ledger reaches the invoice it belongs to.",
        f"""
        select t.tenant_id, t.invoice_id, t.id as transaction_id, t.template, b.state
        from reserve_ledger.ledger_transaction t
        left join reserve_ledger.ledger_transaction r
            on r.tenant_id = t.tenant_id and r.reverses = t.id
        left join invoice.invoice_booking b
            on b.tenant_id = t.tenant_id and b.transaction_id = t.id
        where t.template in {BOOKED}
          and ((b.state is null and t.posted_at < %(before)s)
            or (b.state <> 'reversed' and r.posted_at < %(before)s))
        """,
        "I25",
        settled=True,
    ),
    Invariant(
        "invoices.reversals_are_the_ledgers",
        "A booking counts as reversed only where the ledger reversed it.",
        """
        select b.tenant_id, b.invoice_id, b.transaction_id
        from invoice.invoice_booking b
        where b.state = 'reversed' and not exists (
            select from reserve_ledger.ledger_transaction r
            where r.tenant_id = b.tenant_id and r.reverses = b.transaction_id)
        """,
        "I25",
    ),
    Invariant(
        "invoices.void_reaches_the_ledger",
        "The ledger applies nothing to an invoice that was called off, and only to those.",
        """
        select i.tenant_id, i.id, i.document, o.voided
        from invoice.invoice i
        left join reserve_ledger.obligation o
            on o.tenant_id = i.tenant_id and o.invoice_id = i.id
        where case when i.document = 'void'
                   then i.updated_at < %(before)s and o.voided is not true
                   else o.voided end
        """,
        "I25",
        settled=True,
    ),
)

INVOICES: Final = (*_DOCUMENT, *_MONEY_OF, *_LEDGER)
