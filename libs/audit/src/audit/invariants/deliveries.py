"""Who is told: each event for each endpoint that asked for it, and each mail, to the end."""

from typing import Final

from audit.invariant import Invariant

_WEBHOOKS: Final = (
    Invariant(
        "deliveries.event_for_each_endpoint",
        "An event that is kept for webhooks has a delivery for each endpoint that asks for it.",
        """
        select v.tenant_id, v.id as event_id, v.type, e.id as endpoint_id
        from notification.webhook_event v
        join notification.webhook_endpoint e
            on e.tenant_id = v.tenant_id and e.state = 'enabled'
           -- What an endpoint asked for before it was last changed is not known any more.
           and e.updated_at < v.created_at - interval '10 s'
        where v.type <> 'invoiceos.webhook.test'
          and exists (
            select from unnest(e.event_types) as p(pattern)
            where pattern = '*' or pattern = v.type
               or (right(pattern, 2) = '.*' and starts_with(v.type, left(pattern, -1))))
          and not exists (
            select from notification.webhook_delivery d
            where d.tenant_id = v.tenant_id and d.endpoint_id = e.id and d.event_id = v.id)
        union all
        select v.tenant_id, v.id, v.type, null
        from notification.webhook_event v
        where not exists (
            select from notification.webhook_delivery d
            where d.tenant_id = v.tenant_id and d.event_id = v.id)
        """,
        "I26",
    ),
    Invariant(
        "deliveries.one_at_a_time",
        "Generations of a delivery follow one another: only the newest is not ended.",
        """
        select tenant_id, endpoint_id, event_id, count(*) as generations,
               max(generation) as newest
        from (select tenant_id, endpoint_id, event_id, generation,
                     state in ('pending', 'delivering') and generation < max(generation) over (
                         partition by tenant_id, endpoint_id, event_id) as overtaken
              from notification.webhook_delivery) d
        group by tenant_id, endpoint_id, event_id
        having count(*) <> max(generation) or bool_or(overtaken)
        """,
        "I26",
    ),
    Invariant(
        "deliveries.attempted",
        "A delivery that is due to a working endpoint is attempted, an attempt whose time is over "
        "is given back, and what waits for an endpoint that is switched off is cancelled.",
        """
        select d.tenant_id, d.id, d.state, d.next_at, d.lease_until, e.state as endpoint
        from notification.webhook_delivery d
        join notification.webhook_endpoint e on e.tenant_id = d.tenant_id and e.id = d.endpoint_id
        where (d.state = 'pending' and d.next_at < %(due)s and e.state = 'enabled'
               and e.failing_since is null)
           or (d.state = 'delivering' and d.lease_until < %(due)s)
           or (d.state = 'pending' and e.state <> 'enabled' and e.updated_at < %(due)s
               and d.created_at < %(due)s)
        """,
        "I26",
        settled=True,
    ),
    Invariant(
        "deliveries.success_was_answered",
        "A delivery has succeeded when, and only when, its receiver took it; "
        "each attempt is one of its delivery's.",
        """
        select d.tenant_id, d.id, d.state, d.attempt, a.status_code
        from notification.webhook_delivery d
        left join notification.webhook_attempt a
            on a.tenant_id = d.tenant_id and a.delivery_id = d.id and a.attempt = d.attempt
        where d.state = 'succeeded' and not coalesce(a.status_code between 200 and 299, false)
        union all
        select a.tenant_id, a.delivery_id, 'attempt ' || a.attempt, d.attempt, a.status_code
        from notification.webhook_attempt a
        left join notification.webhook_delivery d
            on d.tenant_id = a.tenant_id and d.id = a.delivery_id
        where a.attempt > coalesce(d.attempt, 0)
        """,
        "I26",
    ),
    Invariant(
        "deliveries.attempts_differ_in_time",
        "No two attempts of a delivery are of the same moment: each is signed anew.",
        """
        select tenant_id, delivery_id, at, count(*) as attempts
        from notification.webhook_attempt
        group by tenant_id, delivery_id, at having count(*) > 1
        """,
        "I26",
    ),
)

_MAILS: Final = (
    Invariant(
        "mails.end",
        "A mail that is due is sent, or it is said why not.",
        """
        select tenant_id, id, invoice_id, template, state, attempt, next_at, lease_until
        from notification.notification
        where (state = 'pending' and next_at < %(due)s)
           or (state = 'sending' and lease_until < %(due)s)
        """,
        "I26",
        settled=True,
    ),
    Invariant(
        "mails.told_once",
        "An event is told once by mail.",
        """
        select cause_event_id, template, count(*) as mails
        from notification.notification
        group by cause_event_id, channel, template having count(*) > 1
        """,
        "I13",
    ),
    Invariant(
        "mails.tell_of_the_issue",
        "Each invoice that has a recipient was sent to him by mail, or will be.",
        """
        select c.tenant_id, c.invoice_id
        from notification.invoice_contact c
        where not exists (
            select from notification.notification n
            where n.tenant_id = c.tenant_id and n.invoice_id = c.invoice_id
              and n.template = 'invoice_issued')
        """,
        "I26",
    ),
)

DELIVERIES: Final = (*_WEBHOOKS, *_MAILS)
