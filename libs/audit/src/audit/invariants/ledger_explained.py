"""What every balance is made of: payments, and what became of them."""

from typing import Final

# What each account holds if bookings and what became of them are all there is: payments are the one
# source of money; refunds, payouts, chargebacks and fees the ways out. What a person posted stands
# for itself.
EXPLAINED: Final = """
with split as (
    select tenant_id, asset, state, held_at, amount_minor, applied_minor, taken_minor, kept_minor,
           reclassed,
           cleared or held_at = 'treasury' as available,
           applied_minor - taken_minor as left_minor,
           least(fee_minor, applied_minor - taken_minor) as fee_minor,
           case when held_at = 'clearing' then '1300'
                when held_at = 'deposit' and not cleared then '1210' else '1200' end as place
    from reserve_ledger.payment_booking
), expected as (
    select b.tenant_id, b.asset, v.account, sum(v.minor) as minor
    from split b
    cross join lateral (values
        (b.place, case b.state when 'booked' then b.amount_minor else 0 end),
        ('1900', case b.state when 'suspense' then b.amount_minor else 0 end),
        ('2100', case when b.state <> 'booked' then 0
                      when b.reclassed
                      then b.fee_minor - b.kept_minor
                           - least(b.fee_minor, b.left_minor - b.kept_minor)
                      when b.available then b.fee_minor - b.left_minor else 0 end),
        ('2110', case when b.state <> 'booked' then 0
                      when b.available or b.reclassed then -b.taken_minor
                      else -b.applied_minor end),
        ('2500', case when b.state <> 'booked' then 0
                      when b.reclassed then b.taken_minor + b.kept_minor - b.amount_minor
                      else b.applied_minor - b.amount_minor end),
        ('2900', case b.state when 'suspense' then -b.amount_minor else 0 end),
        ('4100', case when b.state <> 'booked' then 0
                      when b.reclassed
                      then least(b.fee_minor, b.left_minor - b.kept_minor) - b.fee_minor
                      when b.available then -b.fee_minor else 0 end)) as v(account, minor)
    group by b.tenant_id, b.asset, v.account
    union all
    select r.tenant_id, r.asset, v.account, sum(v.minor)
    from reserve_ledger.reservation r
    cross join lateral (values
        (r.taken_from::text,
         case when r.state in ('reserved', 'settled') then r.amount_minor else 0 end),
        (case r.purpose when 'refund' then '2400' else '2300' end,
         case r.state when 'reserved' then -r.amount_minor else 0 end),
        (coalesce(r.paid_from::text, '1200'),
         case r.state when 'settled' then -r.amount_minor else 0 end)) as v(account, minor)
    group by r.tenant_id, r.asset, v.account
    union all
    select d.tenant_id, d.asset, v.account, sum(v.minor)
    from reserve_ledger.dispute d
    cross join lateral (values
        ('2500', d.credit_minor), ('2110', d.pending_minor), ('2100', d.available_minor),
        ('5300', d.short_minor), ('1300', -d.amount_minor)) as v(account, minor)
    where d.transaction_id is not null and d.ended_by is null
    group by d.tenant_id, d.asset, v.account
    union all
    select f.tenant_id, f.asset, v.account, sum(v.minor)
    from (select tenant_id, asset, amount_minor from reserve_ledger.provider_fee
          union all
          select tenant_id, fee_asset, fee_minor from reserve_ledger.dispute
          where fee_asset is not null) f
    cross join lateral (values ('5100', f.amount_minor), ('1300', -f.amount_minor))
        as v(account, minor)
    group by f.tenant_id, f.asset, v.account
    union all
    select m.tenant_id, m.asset, v.account, sum(v.minor)
    from reserve_ledger.provider_movement m
    cross join lateral (values
        (case m.state when 'announced' then '1310' when 'arrived' then '1100'
                      when 'paid' then '5200' else '1300' end, m.amount_minor),
        (case m.state when 'paid' then '1220' else '1300' end, -m.amount_minor))
        as v(account, minor)
    group by m.tenant_id, m.asset, v.account
    union all
    select p.tenant_id, p.asset, p.account, sum(p.amount_minor)
    from reserve_ledger.ledger_transaction t
    join reserve_ledger.posting p using (tenant_id, sequence)
    where t.template in ('reconciliation_adjusted', 'posted', 'posted_reversed', 'hold_captured',
                         'payment_return_covered', 'return_recovered')
    group by p.tenant_id, p.asset, p.account
), explained as (
    select tenant_id, asset, account, sum(minor) as minor
    from expected group by tenant_id, asset, account
)
select tenant_id, account, asset, e.minor as expected_minor,
       a.debit_minor - a.credit_minor as kept_minor
from explained e full join reserve_ledger.account_balance a using (tenant_id, account, asset)
where coalesce(e.minor, 0) <> coalesce(a.debit_minor - a.credit_minor, 0)
"""
