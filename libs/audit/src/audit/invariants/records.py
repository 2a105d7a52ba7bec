"""The topics against the databases: nothing lost, nothing made up, everything in order, handled.

`topic_log` holds the records that were read, `topic_key` what was folded away of those that an
earlier run of the same process found right (`audit.running`).
"""

from typing import Final

from audit.invariant import Invariant
from audit.services import everywhere

# What a restored database was found not to know, or no longer to find on its topics.
_FORGOTTEN: Final = everywhere(
    "select event_id from {schema}.restored_history where kind = 'forgotten'"
)
_LOST_KNOWN: Final = everywhere(
    "select topic, key, version from {schema}.restored_history where kind = 'lost'"
)
# Facts, in the order in which each version first came; what an earlier run folded is known right.
_FIRST: Final = f"""
select distinct on (l.topic, l.key, l.version)
       l.topic, l.key, l.version, l.partition, l.record_offset, l.event_id, l.type, l.after_snapshot
from pg_temp.topic_log l
left join pg_temp.topic_key k using (topic, key)
where l.letter_of is null and l.event_id is not null and l.version > coalesce(k.version, 0)
  and l.event_id not in ({_FORGOTTEN})
order by l.topic, l.key, l.version, l.partition, l.record_offset
"""
_HEADS: Final = everywhere("select topic, key, tenant_id, version from {schema}.stream_head")
_OUTBOX: Final = everywhere(
    "select topic, key, version, event_id from {schema}.outbox where headers is null"
)

# A history is whole from version 1 on, or, where the broker has deleted the beginning of a topic,
# from the first version that is still there.
_LOST: Final = f"""
with present as materialized (
    select topic, key, version from pg_temp.topic_log
    where letter_of is null and event_id is not null
    union
    select topic, key, version from ({_OUTBOX}) o
    union
    select topic, key, version from ({_LOST_KNOWN}) r
), first as (
    select topic, key, min(version) as version from present group by topic, key
), wanted as (
    select h.topic, h.key, h.version as head,
           coalesce(k.version + 1, case when h.topic <> all(%(truncated)s::text[]) then 1
                                        else coalesce(f.version, h.version + 1) end) as first
    from ({_HEADS}) h
    left join first f using (topic, key)
    left join pg_temp.topic_key k using (topic, key)
)
select w.topic, w.key, w.first, w.head, count(p.version) as found
from wanted w
left join present p on p.topic = w.topic and p.key = w.key and p.version between w.first and w.head
group by w.topic, w.key, w.first, w.head having count(p.version) < w.head - w.first + 1
"""

_DISCARDED: Final = everywhere(
    "select topic, partition, record_offset from {schema}.dead_letter where state = 'discarded'"
)

_RECORDS: Final = (
    Invariant(
        "topics.readable",
        "Every record on a topic keeps the contract of its type, or an operator has discarded it.",
        f"""
        with discarded as materialized ({_DISCARDED})
        select topic, partition, record_offset, key, type, error
        from pg_temp.topic_log where error <> ''
        except
        select l.topic, l.partition, l.record_offset, l.key, l.type, l.error
        from pg_temp.topic_log l join discarded d using (topic, partition, record_offset)
        """,
        topics=True,
    ),
    Invariant(
        "topics.nothing_lost",
        "Each version of each aggregate is on its topic or still in the outbox: "
        "up to the head, without a gap.",
        _LOST,
        "I11, I15",
        topics=True,
    ),
    Invariant(
        "topics.nothing_made_up",
        "Each record on a topic is of an aggregate and a version that its owner has stated.",
        f"""
        with head as materialized ({_HEADS})
        select l.topic, l.partition, l.record_offset, l.key, l.version, h.version as head
        from pg_temp.topic_log l left join head h using (topic, key)
        where l.letter_of is null and not l.after_snapshot and l.event_id is not null
          and (h.version is null or l.version not between 1 and h.version)
        """,
        "I12",
        topics=True,
    ),
    Invariant(
        "topics.in_order",
        "On the wire the versions of an aggregate come one after the other; "
        "a record that is sent twice comes after it was sent first.",
        f"""
        select topic, key, version, previous, partition, record_offset from (
            select f.topic, f.key, f.version, f.partition, f.record_offset,
                   lag(f.version, 1, k.version) over w as previous
            from ({_FIRST}) f left join pg_temp.topic_key k using (topic, key)
            window w as (partition by f.topic, f.key order by f.partition, f.record_offset)) s
        where version < previous
        """,
        "I16",
        topics=True,
    ),
    Invariant(
        "topics.key_keeps_its_partition",
        "All records of a key are in one partition of its topic.",
        """
        select topic, key, array_agg(distinct partition) as partitions from (
            select topic, key, partition from pg_temp.topic_log
            where letter_of is null and key is not null
            union all
            select topic, key, partition from pg_temp.topic_key) s
        group by topic, key having count(distinct partition) > 1
        """,
        "I16",
        topics=True,
    ),
    Invariant(
        "topics.one_event_a_version",
        "A version of an aggregate is one event, and an event is one version: "
        "a record that is sent again is the same.",
        """
        select topic, key, version, array_agg(distinct event_id) as events
        from pg_temp.topic_log where letter_of is null and event_id is not null
        group by topic, key, version having count(distinct (event_id, type)) > 1
        union all
        select min(topic), min(key), min(version), array[event_id]
        from pg_temp.topic_log where letter_of is null and event_id is not null
        group by event_id having count(distinct (topic, key, version)) > 1
        """,
        "I15",
        topics=True,
    ),
    Invariant(
        "topics.tenant_of_the_aggregate",
        "A record is of the tenant to whom its aggregate belongs.",
        f"""
        with head as materialized ({_HEADS})
        select l.topic, l.partition, l.record_offset, l.key, l.tenant_id,
               h.tenant_id as tenant_of_aggregate
        from pg_temp.topic_log l join head h using (topic, key)
        where l.letter_of is null and l.event_id is not null
          and l.tenant_id is distinct from h.tenant_id
        """,
        "I20",
        topics=True,
    ),
    Invariant(
        "topics.owners_speak",
        "A fact is on the topic that its contract names.",
        """
        select l.topic, l.partition, l.record_offset, l.key, l.type
        from pg_temp.topic_log l
        join unnest(%(event_types)s::text[], %(event_topics)s::text[]) as e(type, topic)
            on e.type = l.type
        where l.letter_of is null and e.topic <> l.topic
        """,
        topics=True,
    ),
)

_HANDLED: Final = (
    Invariant(
        "topics.handled",
        "Each event that a service subscribed to is in its inbox, or a dead letter of it.",
        everywhere("""
        select '{service}' as service, l.topic, l.partition, l.record_offset, l.key, l.type,
               l.event_id
        from pg_temp.topic_log l
        where l.letter_of is null and l.event_id is not null and not l.after_snapshot
          and l.recorded_at < %(before)s and l.type = any(%(types_{schema})s::text[])
          and not exists (
            select from {schema}.inbox i
            where i.event_id = l.event_id and i.consumer = %(group_{schema})s)
          and not exists (
            select from {schema}.dead_letter d
            where d.consumer = %(group_{schema})s and d.topic = l.topic
              and d.partition = l.partition and d.record_offset = l.record_offset)
        """),
        "I14",
        settled=True,
        topics=True,
    ),
    Invariant(
        "topics.dead_letters_published",
        "A record of a topic of ours that was put aside as dead is on its topic of dead letters.",
        everywhere("""
        select '{service}' as service, d.id, d.topic, d.partition, d.record_offset, d.reason
        from {schema}.dead_letter d
        where d.created_at < %(before)s and d.reason <> 'behind' and d.state <> 'parked'
          and coalesce(octet_length(d.payload), 0) < 900000
          and d.topic = any(%(event_topics)s::text[])
          and d.topic || '.dlq' <> all(%(truncated)s::text[])
          and not exists (
            select from pg_temp.topic_log l
            where l.letter_of = d.topic || '/' || d.partition || '/' || d.record_offset
              and l.consumer = d.consumer)
          and not exists (
            select from pg_temp.topic_key k
            where k.topic = d.topic || '.dlq' and k.key = d.consumer || ' ' || d.topic || '/'
                                                       || d.partition || '/' || d.record_offset)
        """),
        "I14",
        settled=True,
        topics=True,
    ),
    Invariant(
        "topics.dead_letters_kept",
        "Each record on a topic of dead letters is kept as one by the service that put it aside.",
        f"""
        with letter as materialized ({
            everywhere(
                "select consumer, topic || '/' || partition || '/' || record_offset as place"
                " from {schema}.dead_letter"
            )
        })
        select l.topic, l.partition, l.record_offset, l.consumer, l.letter_of
        from pg_temp.topic_log l
        where l.letter_of is not null and not l.after_snapshot and not exists (
            select from letter d where d.consumer = l.consumer and d.place = l.letter_of)
        """,
        "I12",
        topics=True,
    ),
)

# What must have been said of an aggregate before; what may be said once; what is the last word.
_GRAMMAR: Final = """
(values
    ('invoiceos.api_key.created.v1', array['invoiceos.tenant.created.v1']),
    ('invoiceos.api_key.revoked.v1', array['invoiceos.api_key.created.v1']),
    ('invoiceos.partner.registered.v1', array['invoiceos.tenant.created.v1']),
    ('invoiceos.partner.revoked.v1', array['invoiceos.partner.registered.v1']),
    ('invoiceos.invoice.updated.v1', array['invoiceos.invoice.created.v1']),
    ('invoiceos.invoice.deleted.v1', array['invoiceos.invoice.created.v1']),
    ('invoiceos.invoice.issuing.v1', array['invoiceos.invoice.created.v1']),
    ('invoiceos.invoice.issued.v1', array['invoiceos.invoice.issuing.v1']),
    ('invoiceos.invoice.issue_failed.v1', array['invoiceos.invoice.issuing.v1']),
    ('invoiceos.invoice.voided.v1', array['invoiceos.invoice.issued.v1']),
    ('invoiceos.invoice.processing.v1', array['invoiceos.invoice.issued.v1']),
    ('invoiceos.invoice.partially_paid.v1', array['invoiceos.invoice.issued.v1']),
    ('invoiceos.invoice.paid.v1', array['invoiceos.invoice.issued.v1']),
    ('invoiceos.invoice.overpaid.v1', array['invoiceos.invoice.issued.v1']),
    ('invoiceos.invoice.overdue.v1', array['invoiceos.invoice.issued.v1']),
    ('invoiceos.invoice.expired.v1', array['invoiceos.invoice.issued.v1']),
    ('invoiceos.invoice.settled_late.v1', array['invoiceos.invoice.overdue.v1']),
    ('invoiceos.invoice.payment_failed.v1', array['invoiceos.invoice.issued.v1']),
    ('invoiceos.invoice.closed.v1',
        array['invoiceos.invoice.paid.v1', 'invoiceos.invoice.overpaid.v1']),
    ('invoiceos.invoice.reopened.v1', array['invoiceos.invoice.closed.v1']),
    ('invoiceos.wallet.ready.v1', array['invoiceos.wallet.mode_selected.v1']),
    ('invoiceos.wallet.secrets_destroyed.v1', array['invoiceos.wallet.ready.v1']),
    ('invoiceos.ephemeral.extended.v1', array['invoiceos.ephemeral.activated.v1']),
    ('invoiceos.ephemeral.expired.v1', array['invoiceos.ephemeral.activated.v1']),
    ('invoiceos.ephemeral.draining.v1', array['invoiceos.ephemeral.activated.v1']),
    ('invoiceos.ephemeral.drained.v1', array['invoiceos.ephemeral.draining.v1']),
    ('invoiceos.ephemeral.watching.v1', array['invoiceos.ephemeral.drained.v1']),
    ('invoiceos.ephemeral.late_funds_resolved.v1',
        array['invoiceos.ephemeral.late_funds_detected.v1']),
    ('invoiceos.ephemeral.destroying.v1', array['invoiceos.ephemeral.watching.v1']),
    ('invoiceos.ephemeral.destroyed.v1', array['invoiceos.ephemeral.destroying.v1']),
    ('invoiceos.payment.succeeded.v1', array['invoiceos.payment.seen.v1']),
    ('invoiceos.payment.reverted.v1',
        array['invoiceos.payment.seen.v1', 'invoiceos.payment.conflicted.v1'])
) as g(type, after)
"""
_HISTORY: Final = (
    Invariant(
        "topics.histories_legal",
        "No fact is stated of an aggregate before the facts it follows from.",
        f"""
        with first as materialized ({_FIRST}), whole as (
            select topic, key from first group by topic, key having min(version) = 1
            union select topic, key from pg_temp.topic_key where 'whole' = any(types)
        )
        select f.topic, f.key, f.version, f.type, g.after as only_after
        from first f join whole using (topic, key) join {_GRAMMAR} on g.type = f.type
        left join pg_temp.topic_key k using (topic, key)
        where not coalesce(k.types && g.after, false) and not exists (
            select from first b where b.topic = f.topic and b.key = f.key
                                  and b.version < f.version and b.type = any(g.after))
        """,
        "I23",
        topics=True,
    ),
    Invariant(
        "topics.said_once",
        "What can happen to an aggregate once is stated once, and nothing follows its last word.",
        f"""
        with first as materialized ({_FIRST}), said as (
            select topic, key, type, version from first
            union all
            select topic, key, unnest(types), 0 from pg_temp.topic_key k
            where exists (select from first f where f.topic = k.topic and f.key = k.key)
        )
        select topic, key, type, count(*) as times from said
        where type in ('invoiceos.tenant.created.v1', 'invoiceos.invoice.created.v1',
                       'invoiceos.invoice_request.requested.v1',
                       'invoiceos.invoice_request.rejected.v1',
                       'invoiceos.invoice_request.accepted.v1',
                       'invoiceos.invoice_request.refused.v1',
                       'invoiceos.invoice.issued.v1', 'invoiceos.invoice.voided.v1',
                       'invoiceos.invoice.deleted.v1', 'invoiceos.wallet.ready.v1',
                       'invoiceos.wallet.failed.v1', 'invoiceos.wallet.secrets_destroyed.v1',
                       'invoiceos.ephemeral.destroyed.v1', 'invoiceos.ledger.funds_booked.v1',
                       'invoiceos.ledger.funds_reversed.v1',
                       'invoiceos.ledger.transaction_posted.v1')
        group by topic, key, type having count(*) > 1
        union all
        select s.topic, s.key, s.type, 1 from said s
        where s.type in ('invoiceos.invoice.deleted.v1', 'invoiceos.wallet.failed.v1',
                         'invoiceos.wallet.secrets_destroyed.v1',
                         'invoiceos.invoice_request.requested.v1',
                         'invoiceos.invoice_request.rejected.v1',
                         'invoiceos.invoice_request.accepted.v1',
                         'invoiceos.invoice_request.refused.v1')
          and exists (select from first f where f.topic = s.topic and f.key = s.key
                                            and f.version > s.version)
        """,
        "I23",
        topics=True,
    ),
)

TOPICS: Final = (*_RECORDS, *_HANDLED, *_HISTORY)
