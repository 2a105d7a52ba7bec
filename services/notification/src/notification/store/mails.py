"""SQL of e-mails: whom an invoice is for, and what waits to be sent."""

import json
from collections.abc import Sequence
from uuid import UUID

from messaging import Tx
from notification.domain.mails import Contact, Mail, MailClaim, MailOutcome, MailVerdict


async def save_contacts(tx: Tx, contacts: Sequence[Contact]) -> None:
    """Keep whom invoices are for; the last one wins."""
    unique = {(contact.tenant_id, contact.invoice_id): contact for contact in contacts}
    ordered = [unique[name] for name in sorted(unique)]
    await tx.execute(
        """
        insert into invoice_contact
            (tenant_id, invoice_id, subject, recipient, issuer_name, payment_link)
        select tenant_id, invoice_id, subject, recipient::jsonb, issuer_name, payment_link
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
            as c(tenant_id, invoice_id, subject, recipient, issuer_name, payment_link)
        on conflict (tenant_id, invoice_id) do update
        set subject = excluded.subject, recipient = excluded.recipient,
            issuer_name = excluded.issuer_name, payment_link = excluded.payment_link
        """,
        [contact.tenant_id for contact in ordered],
        [contact.invoice_id for contact in ordered],
        [contact.subject for contact in ordered],
        [json.dumps(contact.recipient) for contact in ordered],
        [contact.issuer_name for contact in ordered],
        [contact.payment_link for contact in ordered],
    )


async def insert_mails(tx: Tx, mails: Sequence[Mail]) -> None:
    """Queue mails of invoices that have a recipient; one a cause."""
    await tx.execute(
        """
        insert into notification
            (tenant_id, id, cause_event_id, invoice_id, channel, template, content)
        select m.tenant_id, m.id, m.cause_event_id, m.invoice_id, 'email', m.template,
               m.content::jsonb
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
            as m(tenant_id, id, cause_event_id, invoice_id, template, content)
        join invoice_contact c on c.tenant_id = m.tenant_id and c.invoice_id = m.invoice_id
        order by m.tenant_id, m.cause_event_id
        on conflict (tenant_id, cause_event_id, channel, template) do nothing
        """,
        [mail.tenant_id for mail in mails],
        [tx.new_id() for _ in mails],
        [mail.cause_id for mail in mails],
        [mail.invoice_id for mail in mails],
        [mail.template for mail in mails],
        [json.dumps(mail.content) for mail in mails],
    )


_CLAIM = """
with recursive place as (
    (select tenant_id from notification where state = 'pending' order by tenant_id limit 1)
    union all
    select n.tenant_id from place p cross join lateral (
        select d.tenant_id from notification d
        where d.state = 'pending' and d.tenant_id > p.tenant_id order by d.tenant_id limit 1) n
), due as materialized (
    select d.tenant_id, d.id, d.next_at from place p cross join lateral (
        select n.tenant_id, n.id, n.next_at from notification n
        where n.tenant_id = p.tenant_id and n.state = 'pending' and n.next_at <= now()
        order by n.next_at limit $2 for update skip locked) d
), turn as (
    select tenant_id, id, next_at,
           row_number() over (partition by tenant_id order by next_at, id) as place from due
), chosen as (
    select tenant_id, id from turn order by place, next_at, id limit $1
), claimed as (
    update notification n
    set state = 'sending', attempt = n.attempt + 1,
        lease_until = clock_timestamp() + make_interval(secs => $3)
    from chosen c where n.tenant_id = c.tenant_id and n.id = c.id
    returning n.tenant_id, n.id, n.invoice_id, n.template, n.attempt, n.content, n.created_at
)
select m.tenant_id, m.id, m.invoice_id, m.template, m.attempt, m.content, m.created_at,
       c.subject, c.recipient, c.issuer_name, c.payment_link
from claimed m
left join invoice_contact c on c.tenant_id = m.tenant_id and c.invoice_id = m.invoice_id
order by m.created_at, m.id
"""


async def claim_mails(tx: Tx, limit: int, per_tenant: int, lease_s: int) -> list[MailClaim]:
    """Take what is due, tenants in turns."""
    rows = await tx.fetch(_CLAIM, limit, per_tenant, lease_s)
    return [
        MailClaim(
            tenant_id=row["tenant_id"],
            notification_id=row["id"],
            invoice_id=row["invoice_id"],
            template=row["template"],
            attempt=row["attempt"],
            content=row["content"],
            created_at=row["created_at"],
            contact=None
            if row["recipient"] is None
            else Contact(
                tenant_id=row["tenant_id"],
                invoice_id=row["invoice_id"],
                subject=row["subject"],
                recipient=row["recipient"],
                issuer_name=row["issuer_name"],
                payment_link=row["payment_link"],
            ),
        )
        for row in rows
    ]


async def release_expired(tx: Tx, limit: int) -> None:
    """Give back what a process that died had taken: it may have been sent, and is sent again."""
    await tx.execute(
        """
        with expired as materialized (
            select tenant_id, id from notification
            where state = 'sending' and lease_until < now()
            order by lease_until limit $1 for update skip locked
        )
        update notification n set state = 'pending', lease_until = null, reason = 'lost'
        from expired x where n.tenant_id = x.tenant_id and n.id = x.id
        """,
        limit,
    )


async def update_mails(tx: Tx, verdicts: Sequence[tuple[MailOutcome, MailVerdict]]) -> set[UUID]:
    """Move mails on; those that moved. A later try is not undone."""
    rows = await tx.fetch(
        """
        update notification n
        set state = v.state, attempt = v.next_attempt, lease_until = null,
            reason = nullif(v.reason, ''),
            next_at = clock_timestamp() + make_interval(secs => v.delay_s),
            finished_at = case when v.state = 'pending' then null else clock_timestamp() end
        from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::int[], $6::text[], $7::int[])
            as v(tenant_id, id, attempt, state, delay_s, reason, next_attempt)
        where n.tenant_id = v.tenant_id and n.id = v.id and n.attempt = v.attempt
          and n.state in ('sending', 'pending')
        returning n.id
        """,
        [outcome.claim.tenant_id for outcome, _ in verdicts],
        [outcome.claim.notification_id for outcome, _ in verdicts],
        [outcome.claim.attempt for outcome, _ in verdicts],
        [verdict.state for _, verdict in verdicts],
        [verdict.delay_s for _, verdict in verdicts],
        [outcome.reason for outcome, _ in verdicts],
        [verdict.attempt for _, verdict in verdicts],
    )
    return {row["id"] for row in rows}
