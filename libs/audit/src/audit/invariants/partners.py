"""Partners' requests: each answered once, by one invoice at most; nobody reads another's facts."""

from typing import Final

from audit.invariant import Invariant

PARTNERS: Final = (
    Invariant(
        "partners.requests_answered",
        "Each record that a partner wrote, let in or turned away, has its outcome on its way.",
        """
        select tenant_id, id, partner, request_id, state, received_at
        from gateway.partner_request where answered_at is null and received_at < %(before)s
        """,
        settled=True,
    ),
    Invariant(
        "partners.one_answer_a_request",
        "What a partner is told of a request is what the invoice service decided: "
        "an invoice, or why there is none.",
        """
        select tenant_id, id, r.partner, r.request_id, r.state, i.invoice_id, i.code
        from gateway.partner_request r full join invoice.invoice_request i using (tenant_id, id)
        where case
            when r.id is null or r.state = 'rejected' then i.id is not null
            when r.state = 'requested' then false
            else (i.partner, i.request_id, i.code, i.invoice_id is not null)
                 is distinct from (r.partner, r.request_id, r.code, r.state = 'accepted') end
        """,
    ),
    Invariant(
        "partners.told_of_their_own",
        "What is on its way to a partner's topics is of the partner's own tenant.",
        """
        select o.topic, o.key, o.type, o.tenant_id, p.tenant_id as tenant_of_partner
        from gateway.outbox o left join gateway.partner p on p.name = split_part(o.topic, '.', 2)
        where o.topic like 'partner.%%' and o.tenant_id is distinct from p.tenant_id
        """,
        "I20",
    ),
)
