"""One invoice across services: what each knows of it, and the tree that makes of it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from invoiceos_contracts import decode, encode
from messaging.transaction import Tx

Entry = dict[str, Any]
"""What happened or waits: `kind`, `at`, `service`, `title`, `id` and `cause` (event ids or None),
`subject` (public id of an aggregate or None), `details`."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A table of a service whose rows are effects in the life of an invoice.

    `sql` selects `tenant_id`, `invoice_id`, `at`, `title`, `cause` (id of the event it follows
    from, or null), `subject` (prefix and uuid of an aggregate, as `pay:0194...`, or null) and
    `details` (jsonb).
    """

    kind: str
    sql: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The invoice that is traced, and what the topics say of it."""

    invoice_id: UUID
    tenant_id: UUID
    events: Sequence[UUID] = ()
    keys: Sequence[str] = ()
    """Public ids of the aggregates that took part."""
    times: Sequence[datetime] = ()
    """When events were stated: times of the transactions that did."""

    @property
    def correlation(self) -> str:
        """What runs through all its events."""
        return encode("inv", self.invoice_id)

    @classmethod
    def of(cls, invoice_id: UUID, tenant_id: UUID, events: Collection[Entry]) -> "Subject":
        """From the events that are known of an invoice."""
        return cls(
            invoice_id,
            tenant_id,
            [event["id"] for event in events],
            sorted({event["subject"] for event in events}),
            sorted({event["at"] for event in events}),
        )

    @property
    def references(self) -> list[str]:
        """Ids of the aggregates as timers name them."""
        found = {str(self.invoice_id)}
        for key in self.keys:
            found.add(str(decode(key.rpartition("_")[0], key)))
        return sorted(found)


_UNSENT = """
select 'unsent' as kind, staged_at as at, type as title, event_id as id, causation_id as cause,
       key as subject, jsonb_build_object('version', version, 'parked', parked) as details
from outbox where correlation_id = $1 and headers is null
"""
_HANDLED = """
select 'handled' as kind, received_at as at, consumer as title, null::uuid as id,
       event_id as cause, null as subject, '{}'::jsonb as details
from inbox where event_id = any($2::uuid[])
"""
_LETTERS = """
select 'dead letter' as kind, created_at as at, state || ', ' || reason as title,
       null::uuid as id, event_id as cause, null as subject,
       jsonb_build_object('letter', id, 'consumer', consumer, 'error', left(error, 200),
                          'attempts', attempts) as details
from dead_letter
where event_id = any($2::uuid[])
   or headers @> jsonb_build_array(jsonb_build_array('ce_correlationid', $1::text))
"""
_TIMERS = """
select 'timer' as kind, due_at as at, kind as title, null::uuid as id, null::uuid as cause,
       null as subject, jsonb_build_object('attempts', attempts, 'error', error) as details
from timer where tenant_id = $3 and ref = any($4::text[])
"""
_REQUESTS = """
select 'request' as kind, created_at as at, route as title, null::uuid as id, null::uuid as cause,
       null as subject, jsonb_build_object('key', key, 'status', status_code) as details
from idempotency
where tenant_id = $3 and (created_at = any($5::timestamptz[]) or position($1 in route) > 0)
"""
_COLUMNS = "kind, at, title, id, cause, subject, details"
# Named parameters would read better; every part uses every one, so that one list serves them all.
_BACKBONE = "\nunion all\n".join(
    f"select {_COLUMNS} from ({part}) p"
    for part in (_UNSENT, _HANDLED, _LETTERS, _TIMERS, _REQUESTS)
)


async def part(tx: Tx, service: str, traced: Sequence[Traced], subject: Subject) -> list[Entry]:
    """What one service knows of an invoice beside the events on the topics."""
    rows = await tx.fetch(
        _BACKBONE,
        subject.correlation,
        list(subject.events),
        subject.tenant_id,
        subject.references,
        list(subject.times),
    )
    found = [{**dict(row), "service": service} for row in rows]
    for table in traced:
        rows = await tx.fetch(
            f"""
            select '{table.kind}' as kind, at, title, null::uuid as id, cause, subject, details
            from ({table.sql}) t where t.tenant_id = $1 and t.invoice_id = $2 order by at
            """,
            subject.tenant_id,
            subject.invoice_id,
        )
        found += [_entry(row, service) for row in rows]
    return found


def _entry(row: Any, service: str) -> Entry:
    entry = {**dict(row), "service": service}
    if entry["subject"] is not None:
        prefix, _, item = entry["subject"].partition(":")
        entry["subject"] = encode(prefix, UUID(item))
    return entry


async def effects(
    tx: Tx, service: str, traced: Sequence[Traced], tenant_id: UUID, event_id: UUID
) -> list[Entry]:
    """What one event brought about in a service, as far as the transaction's role may see."""
    found: list[Entry] = []
    for table in traced:
        rows = await tx.fetch(
            f"""
            select '{table.kind}' as kind, at, title, null::uuid as id, cause, subject, details
            from ({table.sql}) t where t.tenant_id = $1 and t.cause = $2 order by at
            """,
            tenant_id,
            event_id,
        )
        found += [_entry(row, service) for row in rows]
    return found


async def invoices_numbered(tx: Tx, number: str, tenant_id: UUID | None) -> list[tuple[UUID, UUID]]:
    """Id and tenant of the invoices with a number; tx is in the invoice service's schema."""
    rows = await tx.fetch(
        "select id, tenant_id from invoice"
        " where number = $1 and ($2::uuid is null or tenant_id = $2)",
        number,
        tenant_id,
    )
    return [(row["id"], row["tenant_id"]) for row in rows]


def _without_marks_of_the_dead(entries: Iterable[Entry]) -> list[Entry]:
    """A culprit is marked in the inbox so that no copy of it is handled: it was not handled."""
    given = list(entries)
    dead = {
        (e["details"]["consumer"], e["cause"])
        for e in given
        if e["kind"] == "dead letter" and not e["title"].startswith("resolved")
    }
    return [e for e in given if e["kind"] != "handled" or (e["title"], e["cause"]) not in dead]


def tree(entries: Iterable[Entry]) -> list[Entry]:
    """Entries under what caused them (`children`), in order of time; the roots.

    An event twice (on its topic and still in the outbox) is once in it: on its topic.
    """
    entries = _without_marks_of_the_dead(entries)
    ordered = sorted(entries, key=lambda e: (e["at"], e["kind"] not in ("event", "unsent")))
    sent = {e["id"] for e in ordered if e["kind"] == "event"}
    nodes = [{**e, "children": []} for e in ordered if e["kind"] != "unsent" or e["id"] not in sent]
    by_id = {node["id"]: node for node in nodes if node["id"] is not None}
    first: dict[str, Entry] = {}
    for node in nodes:
        if node["id"] is not None:
            first.setdefault(node["subject"], node)
    roots: list[Entry] = []
    for node in nodes:
        parent = by_id.get(node["cause"])
        if parent is None and node["id"] is None and node["subject"] is not None:
            parent = first.get(node["subject"])
        (roots if parent is None or parent is node else parent["children"]).append(node)
    return roots
