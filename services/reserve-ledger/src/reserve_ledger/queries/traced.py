"""What operators see of an invoice when they trace it."""

from messaging.operations import Traced

TRACED = (
    Traced(
        "ledger transaction",
        """
        select t.tenant_id, t.invoice_id, t.posted_at as at,
               t.template || '.v' || t.template_version as title, t.cause_event_id as cause,
               null as subject,
               jsonb_build_object('sequence', t.sequence, 'reverses', t.reverses, 'postings', (
                   select jsonb_agg(p.account || ' ' || p.amount_minor || ' ' || p.asset
                                    order by p.line)
                   from posting p where p.tenant_id = t.tenant_id and p.sequence = t.sequence))
                   as details
        from ledger_transaction t
        """,
    ),
)
