"""The event backbone in each service's schema: outbox, histories, inbox, timers, dead letters."""

from typing import Final

from audit.invariant import Invariant
from audit.services import everywhere

_OUTBOX: Final = (
    Invariant(
        "outbox.drains",
        "What is stated leaves the outbox.",
        everywhere("""
        select '{service}' as service, topic, key, version, event_id, staged_at
        from {schema}.outbox where staged_at < %(before)s and not parked
        """),
        "I11",
        settled=True,
    ),
    Invariant(
        "outbox.nothing_parked",
        "The broker takes everything that is stated: no key waits behind a record it refused.",
        everywhere("""
        select '{service}' as service, topic, key, version, event_id
        from {schema}.outbox where parked
        """),
        "I11",
    ),
    Invariant(
        "outbox.ends_at_the_head",
        "The unsent facts of an aggregate are the last of its history: in order, without a gap, "
        "the newest of them at the head.",
        everywhere("""
        select '{service}' as service, o.topic, o.key, o.first, o.last, o.facts, h.version as head
        from (
            select topic, key, min(version) as first, max(version) as last, count(*) as facts,
                   bool_and(ordered) as ordered
            from (select topic, key, version,
                         version > coalesce(lag(version) over (
                             partition by topic, key order by seq), 0) as ordered
                  from {schema}.outbox where headers is null) s
            group by topic, key) o
        left join {schema}.stream_head h using (topic, key)
        where not o.ordered or o.last - o.first + 1 <> o.facts or o.last is distinct from h.version
        """),
        "I15",
    ),
    Invariant(
        "outbox.states_its_own_facts",
        "A service states facts that the contracts give to it, each on its own topic.",
        everywhere("""
        select '{service}' as service, o.topic, o.key, o.type, o.event_id
        from {schema}.outbox o
        where o.headers is null and not exists (
            select from unnest(%(event_types)s::text[], %(event_topics)s::text[],
                               %(event_owners)s::text[]) as e(type, topic, owner)
            where e.type = o.type and e.topic = o.topic and e.owner = '{service}')
        union all
        select '{service}', h.topic, h.key, null, null
        from {schema}.stream_head h
        where not exists (
            select from unnest(%(event_topics)s::text[], %(event_owners)s::text[])
                as e(topic, owner)
            where e.topic = h.topic and e.owner = '{service}')
        """),
    ),
)

_INBOX: Final = (
    Invariant(
        "inbox.handled_once",
        "An event is handled once in a service, by its one consumer group; raw records by theirs.",
        everywhere("""
        select '{service}' as service, event_id, consumer
        from {schema}.inbox where consumer <> all(%(groups_{schema})s::text[])
        """),
        "I13",
    ),
)

_TIMERS: Final = (
    Invariant(
        "timers.fire",
        "A timer that is due fires.",
        everywhere("""
        select '{service}' as service, kind, ref, due_at, attempts
        from {schema}.timer where due_at < %(due)s
        """),
        "I24",
        settled=True,
    ),
    Invariant(
        "timers.have_handlers",
        "Each timer is of a kind that its service handles.",
        everywhere("""
        select '{service}' as service, kind, ref, due_at
        from {schema}.timer where kind <> all(%(timers_{schema})s::text[])
        """),
        "I24",
    ),
    Invariant(
        "timers.succeed",
        "No timer fails again and again.",
        everywhere("""
        select '{service}' as service, kind, ref, due_at, attempts
        from {schema}.timer where attempts >= 5
        """),
        "I24",
    ),
)

_DEAD_LETTERS: Final = (
    Invariant(
        "dead_letters.none_open",
        "Every record was handled or set aside for good: no dead letter waits for somebody.",
        everywhere("""
        select '{service}' as service, id, state, topic, partition, record_offset, type, reason,
               left(error, 200) as error
        from {schema}.dead_letter where state <> 'resolved' and state <> 'discarded'
        """),
        "I14",
    ),
    Invariant(
        "dead_letters.parked_behind_one",
        "A parked record waits behind a dead letter of the same key that was put aside before it.",
        everywhere("""
        select '{service}' as service, id, consumer, topic, partition, record_offset
        from {schema}.dead_letter p
        where p.state = 'parked' and not exists (
            select from {schema}.dead_letter d
            where d.consumer = p.consumer and d.topic = p.topic and d.record_key = p.record_key
              and d.record_offset < p.record_offset
              and d.state <> 'resolved' and d.state <> 'discarded')
        """),
        "I14",
    ),
)

_REQUESTS: Final = (
    Invariant(
        "requests.answered",
        "A request that was taken under an idempotency key has its answer: "
        "key, effect and answer are committed together.",
        everywhere("""
        select '{service}' as service, tenant_id, route, key, created_at
        from {schema}.idempotency where status_code is null
        """),
        "I22",
    ),
)

# Without what a restored database knows only by its topic (runbook restore-from-backup), and
# without the one history of the reserve statements, which belongs to the platform, and without
# refusals of rows, which are about an invoice that never was.
_STATED: Final = everywhere(
    """
    select tenant_id, topic, count(*) as n from {schema}.stream_head h
    where h.version > (
            select count(*) from {schema}.restored_history f
            where f.topic = h.topic and f.key = h.key and f.kind = 'forgotten')
      and (tenant_id <> '00000000-0000-0000-0000-000000000000' or '{schema}' <> 'reserve_ledger')
      and topic <> 'invoiceos.bulk-answer.v1'
    group by 1, 2
    """,
    ("gateway", "invoice", "wallet_factory", "ephemeral_manager", "reserve_ledger"),
)
_HISTORIES: Final = (
    Invariant(
        "histories.complete",
        "Each aggregate has a history and each history its aggregate: "
        "nothing came to be without a fact that says so.",
        f"""
        with kept as (
            select tenant_id, 'invoiceos.identity.v1' as topic, count(*) as n
            from gateway.tenant group by tenant_id
            union all
            select tenant_id, 'invoiceos.partner.v1', count(*)
            from gateway.partner_request group by tenant_id
            union all
            select tenant_id, 'invoiceos.invoice-request.v1', count(*)
            from invoice.invoice_request group by tenant_id
            union all
            select tenant_id, 'invoiceos.invoice.v1', count(*)
            from invoice.invoice group by tenant_id
            union all
            select tenant_id, 'invoiceos.wallet.v1', count(*)
            from wallet_factory.decision group by tenant_id
            union all
            select tenant_id, 'invoiceos.ephemeral.v1', count(*)
            from ephemeral_manager.ephemeral_wallet group by tenant_id
            union all
            select tenant_id, 'invoiceos.ledger.v1', count(*)
            from (select tenant_id from reserve_ledger.ledger_transaction
                  union all select tenant_id from reserve_ledger.reservation
                  union all select tenant_id from reserve_ledger.hold) t
            group by tenant_id
            union all
            select tenant_id, 'invoiceos.ledger_head.v1', count(distinct tenant_id)
            from reserve_ledger.published_head group by tenant_id
            union all
            select tenant_id, 'invoiceos.bulk.v1', count(*)
            from ephemeral_manager.bulk_row
            where state in ('requested', 'ready', 'failed', 'refused') group by tenant_id
        ), stated as (
            {_STATED}
        )
        select tenant_id, topic, k.n as aggregates, s.n as histories
        from kept k full join stated s using (tenant_id, topic)
        where k.n is distinct from s.n
        """,
        "I15",
    ),
)

BACKBONE: Final = (*_OUTBOX, *_INBOX, *_TIMERS, *_DEAD_LETTERS, *_REQUESTS, *_HISTORIES)
