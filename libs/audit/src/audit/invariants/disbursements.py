"""Money that leaves: refunds, payouts and batches of them."""

from typing import Final

from audit.invariant import Invariant

DISBURSEMENTS: Final = (
    Invariant(
        "disbursements.refunds_are_counted",
        "What a payment has given back is its refunds not given up and its disputes not won.",
        """
        select p.tenant_id, p.id, p.given_back_minor, r.refunds, d.disputed
        from provider_orchestrator.payment p
        left join (
            select tenant_id, payment_id as id, sum(amount_minor) as refunds
            from provider_orchestrator.disbursement
            where kind = 'refund' and state not in ('failed', 'canceled')
            group by tenant_id, payment_id) r using (tenant_id, id)
        left join (
            select tenant_id, payment_id as id, sum(counted_minor) as disputed
            from provider_orchestrator.dispute where state <> 'won'
            group by tenant_id, payment_id) d using (tenant_id, id)
        where p.given_back_minor <> coalesce(r.refunds, 0) + coalesce(d.disputed, 0)
           or p.given_back_minor > p.amount_minor
        """,
    ),
    Invariant(
        "disbursements.agreed_to_by_others",
        "Whatever went out was agreed to by as many people as had to, none of whom asked for it.",
        """
        select d.tenant_id, d.id, d.approvals_needed, a.people
        from provider_orchestrator.disbursement d
        cross join lateral (
            select count(distinct a.approver) as people
            from provider_orchestrator.approval a
            where a.tenant_id = d.tenant_id and a.verdict = 'approved'
              and a.approver <> d.requested_by
              and (a.disbursement_id = d.id or a.batch_id = d.batch_id)) a
        where d.approved_at is not null and a.people < d.approvals_needed
        """,
    ),
    Invariant(
        "disbursements.batches_count_their_lines",
        "A batch has the lines it was made with, and knows how each of them ended.",
        """
        select b.tenant_id, b.id, b.lines, l.lines as found, l.ended
        from provider_orchestrator.payout_batch b
        cross join lateral (
            select count(*) as lines,
                   count(*) filter (where state = 'succeeded') as succeeded,
                   count(*) filter (where state = 'failed') as failed,
                   count(*) filter (where state = 'canceled') as canceled,
                   count(*) filter (where state in ('succeeded', 'failed', 'canceled')) as ended
            from provider_orchestrator.disbursement d
            where d.tenant_id = b.tenant_id and d.batch_id = b.id) l
        where (b.lines, b.succeeded, b.failed, b.canceled)
              is distinct from (l.lines, l.succeeded, l.failed, l.canceled)
        """,
    ),
    Invariant(
        "disbursements.provider_payouts_are_divided",
        "A payout of a provider to our bank is the parts of the tenants and what is nobody's.",
        """
        select '00000000-0000-0000-0000-000000000000'::uuid as tenant_id, p.reference as id,
               p.amount_minor, p.unassigned_minor, s.minor
        from provider_orchestrator.provider_payout p
        cross join lateral (
            select coalesce(sum(amount_minor), 0) as minor
            from provider_orchestrator.provider_payout_share s
            where s.provider = p.provider and s.reference = p.reference) s
        where p.amount_minor <> p.unassigned_minor + s.minor
        """,
    ),
)
