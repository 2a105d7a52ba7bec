"""What must be true when the platform has come to rest, whatever was done to it.

The client's journal and the chain are believed; the platform is what is judged.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.torture.arena import Arena
from tests.torture.journal import Journal
from tests.torture.load import UNITS_PER_CENT, Load
from tests.torture.topics import every_record

import audit

READ_AT_ONCE = 8
AUDIT_GRACE_SECONDS = 2.0
"""Everything has come to rest by then."""
BOOKED = """
    select encode(p.transaction_hash, 'hex') as transaction_hash, p.state as payment,
           b.state as booking,
           (select coalesce(sum(l.amount_minor), 0)::bigint
            from reserve_ledger.ledger_transaction t
            join reserve_ledger.posting l
              on l.tenant_id = t.tenant_id and l.transaction_id = t.id and l.account like '1%'
            where t.tenant_id = p.tenant_id and t.payment_id = p.id) as units,
           (select coalesce(sum(case when t.template like '%\\_reverted' then -1 else 1 end), 0)::int
            from reserve_ledger.ledger_transaction t
            where t.tenant_id = p.tenant_id and t.payment_id = p.id) as times
    from provider_orchestrator.payment p
    left join reserve_ledger.payment_booking b on b.tenant_id = p.tenant_id and b.payment_id = p.id
"""
"""Each payment the platform knows: how much of it is in the books, and how often."""
DELIVERIES = {"webhooks": "notification.webhook_delivery", "mails": "notification.notification"}
RULES: Mapping[str, str] = {
    "a key makes one invoice": """
        select tenant_id, reference, count(*) from invoice.invoice where reference is not null
        group by 1, 2 having count(*) > 1""",
    "no webhook was given up": """
        select id, reason from notification.webhook_delivery where state = 'failed'""",
}
"""Beside what the auditor looks at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong."""

    rule: str
    what: str


def of_promises(journal: Journal, views: Mapping[str, Any]) -> list[Finding]:
    """What was acknowledged is there, with its amounts; what was paid counts, and once.

    `views` holds each invoice as the API shows it, None where it did not.
    """
    found = []
    for promise in journal.promises.values():
        view = views.get(promise.invoice_id)
        if view is None:
            found.append(Finding("acknowledged = present", f"{promise.invoice_id} is lost"))
            continue
        paid, due = journal.paid_minor(promise.invoice_id), promise.total_minor
        expected = {
            "total": due,
            "reference": promise.key,
            "received": paid,
            "settlement": "unpaid" if not paid else "overpaid" if paid > due else "paid",
            "document": "closed" if paid >= due else "open",
        }
        if 0 < paid < due:
            expected["settlement"] = "partial"
        shown = {
            "total": view["total"]["amount_minor"],
            "reference": view["reference"],
            "received": view["received"]["amount_minor"],
            "settlement": view["status"]["settlement"],
            "document": view["status"]["document"],
        }
        for name, value in expected.items():
            if shown[name] != value:
                what = f"{promise.invoice_id}: {name} is {shown[name]}, not {value}"
                found.append(Finding("acknowledged = present", what))
    return found


def of_bookings(journal: Journal, rows: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Each mined payment is in the books once, with its amount, and nothing else is."""
    rule = "a payment is booked exactly once"
    known: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        known.setdefault("0x" + row["transaction_hash"], []).append(row)
    found = []
    for payment in journal.payments.values():
        mine = known.pop(payment.transaction_hash, [])
        units = sum(row["units"] for row in mine)
        times = sum(row["times"] for row in mine)
        wanted = (payment.amount_minor * UNITS_PER_CENT, 1) if payment.mined else (0, 0)
        if (units, times) != wanted:
            what = (
                f"{payment.transaction_hash} of {payment.invoice_id} is booked {times} times with"
                f" {units} units, not {wanted[1]} times with {wanted[0]}"
            )
            found.append(Finding(rule, what))
    found += [Finding(rule, f"{name} was booked, nobody made it") for name in known]
    return found


def of_webhooks(journal: Journal, succeeded: Iterable[str]) -> list[Finding]:
    """What is marked as delivered was received, and its content never changed."""
    found = [
        Finding("a delivered webhook was received", event)
        for event in succeeded
        if event not in journal.webhooks
    ]
    for event, bodies in journal.webhooks.items():
        if len(bodies) > 1:
            found.append(Finding("a webhook repeated is the same", event))
    return found


async def until_drained(arena: Arena, load: Load, seconds: float) -> list[Finding]:
    """Let the load rest, then wait until nothing moves; what still waits when the time is over."""
    try:
        async with asyncio.timeout(seconds):
            await load.rest()
            await load.remember_the_chain()
    except TimeoutError:
        return [Finding("everything ends", f"the load did not end within {seconds:.0f} s")]
    waiting: dict[str, int] = {}
    calm = 0
    try:
        async with asyncio.timeout(seconds):
            while calm < 3:
                waiting = await waiting_for(arena, load)
                calm = 0 if waiting else calm + 1
                await asyncio.sleep(0.3)
    except TimeoutError:
        return [Finding("everything ends", f"after {seconds:.0f} s there wait: {waiting}")]
    return []


async def waiting_for(arena: Arena, load: Load) -> dict[str, int]:
    """What is still on its way, by kind; empty when all is done."""
    schemas = [name.replace("-", "_") for name in arena.services]
    outboxes = " union all ".join(
        f"select '{schema} outbox', count(*) from {schema}.outbox" for schema in schemas
    )
    found = {name: count for name, count in await arena.sql(outboxes) if count}
    rows = await arena.sql("select reference, document, settlement from invoice.invoice")
    shown = {row["reference"]: (row["document"], row["settlement"]) for row in rows}
    late: Counter[str] = Counter()
    for promise in load.journal.promises.values():
        document, settlement = shown.get(promise.key, ("lost", "lost"))
        paid = load.journal.paid_minor(promise.invoice_id)
        if document == "issuing" or (paid >= promise.total_minor and document == "open"):
            late[f"invoices {document} {settlement}"] += 1
    for what, table in DELIVERIES.items():
        rows = await arena.sql(
            f"select count(*) from {table} where state in ('delivering', 'sending')"
            " or (state = 'pending' and next_at < now() + interval '10 s')"
        )
        if rows[0][0]:
            late[what] = rows[0][0]
    return found | dict(late)


async def judge(arena: Arena, load: Load, seconds: float = 180) -> list[Finding]:
    """Drain, then everything that must hold; the load stands still when this returns."""
    found = await until_drained(arena, load, seconds)
    found += [Finding("the gateway keeps its word", what) for what in load.refused]
    load.refused.clear()
    found += of_promises(load.journal, await _views(load))
    found += of_bookings(load.journal, await arena.sql(BOOKED))
    delivered = await arena.sql(
        "select event_id::text from notification.webhook_delivery where state = 'succeeded'"
    )
    found += of_webhooks(load.journal, [row[0] for row in delivered])
    for rule, statement in rules(arena.services).items():
        rows = await arena.sql(statement)
        found += [Finding(rule, str(dict(row))[:300]) for row in rows[:5]]
    return found + await _audited(arena)


AUDITS_MAX = 3
AUDIT_AGAIN_AFTER_S = 5


async def _audited(arena: Arena) -> list[Finding]:
    """What the auditor says of the databases and the topics; what is lost stays lost.

    A mail that is tried again, say, may still be announced between the two readings.
    """
    found = await _audit(arena)
    for _ in range(AUDITS_MAX - 1):
        if found:
            await asyncio.sleep(AUDIT_AGAIN_AFTER_S)
            found = await _audit(arena)
    return found


async def _audit(arena: Arena) -> list[Finding]:
    records = [
        record
        for record in await every_record(arena.kafka)
        if (record.topic, record.partition, record.offset) not in arena.rubbish
    ]
    report = await asyncio.to_thread(
        audit.run, arena.postgres, records, grace_s=AUDIT_GRACE_SECONDS
    )
    return [
        Finding(f"audit {one.invariant.name}", f"{one.count}: {list(one.rows)[:3]}"[:600])
        for one in report.findings
    ]


def rules(services: Sequence[str]) -> dict[str, str]:
    """Queries that must find nothing."""
    aside = " union all ".join(
        f"select '{name}' as service, topic, reason, left(error, 120) as error"
        f" from {name.replace('-', '_')}.dead_letter where state <> 'resolved'"
        for name in services
    )
    return {**RULES, "no record was put aside": aside}


async def _views(load: Load) -> dict[str, Any]:
    gate = asyncio.Semaphore(READ_AT_ONCE)

    async def view(invoice_id: str) -> tuple[str, Any]:
        async with gate:
            status, found, _ = await load.client.call("GET", f"/api/v1/invoices/{invoice_id}")
        return invoice_id, found if status == 200 else None

    return dict(await asyncio.gather(*map(view, load.journal.promises)))
