"""What the tables promise, whoever writes to them."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from invoice import store
from testkit.service import ServiceUnderTest, record_of

LARGE = 500
WAITS = """
select exists (select from pg_stat_activity
               where datname = current_database() and wait_event_type = 'Lock')
"""


async def test_five_hundred_invoices_issued_at_once_get_consecutive_numbers(
    unit: ServiceUnderTest, shop: Any
) -> None:
    drafts = await shop.drafts(LARGE, issue=True)
    records = [record_of(shop.news.ready(shop.tenant, draft.id)) for draft in drafts]
    batches = [records[at : at + 21] for at in range(0, LARGE, 21)]

    class Undone(Exception):
        pass

    async def lost(batch: list[Any]) -> None:
        """A transaction that took its numbers and is then rolled back."""
        with pytest.raises(Undone):
            async with unit.worker.transaction() as tx:
                await store.take_numbers(tx, {shop.tenant: len(batch)}, "INV")
                raise Undone

    work = [unit.receives(*batch) for batch in batches] + [lost(b) for b in batches[::3]]
    await asyncio.gather(*work, *(unit.receives(*batch) for batch in batches[::4]))
    rows = await unit.worker.fetch(
        "select number from invoice where tenant_id = $1 order by number", shop.tenant
    )
    assert [row["number"] for row in rows] == [f"INV-{n:06d}" for n in range(1, LARGE + 1)]
    issued = Counter(await shop.kinds())["InvoiceIssued"]
    assert issued == LARGE


async def test_an_invoice_that_is_being_changed_is_waited_for(
    unit: ServiceUnderTest, shop: Any
) -> None:
    invoice = await shop.open()
    booked = shop.news.booked(shop.tenant, invoice, uuid4(), uuid4(), 5)
    async with unit.worker.transaction() as tx:
        await store.lock_invoices(tx, [(shop.tenant, invoice)])
        booking = asyncio.create_task(unit.receives(booked))
        while not (booking.done() or await unit.worker.fetchval(WAITS)):
            await asyncio.sleep(0.005)
        assert not booking.done()
    await booking


async def test_each_tenant_counts_for_itself(unit: ServiceUnderTest, shop: Any) -> None:
    other = type(shop)(unit, shop.news)
    mine, theirs = await shop.drafts(3, issue=True), await other.drafts(2, issue=True)
    facts = [shop.news.ready(shop.tenant, draft.id) for draft in mine]
    facts += [shop.news.ready(other.tenant, draft.id) for draft in theirs]
    await unit.receives(*facts)
    for tenant, count in ((shop.tenant, 3), (other.tenant, 2)):
        rows = await unit.worker.fetch(
            "select number from invoice where tenant_id = $1 order by 1", tenant
        )
        assert [row["number"] for row in rows] == [f"INV-{n:06d}" for n in range(1, count + 1)]


TABLES = (
    "customer",
    "issuer_profile",
    "invoice",
    "invoice_line",
    "invoice_payment",
    "invoice_booking",
)


async def test_a_tenant_sees_and_changes_only_its_own_rows(
    unit: ServiceUnderTest, shop: Any
) -> None:
    invoice = await shop.open()
    await unit.receives(
        shop.news.booked(shop.tenant, invoice, uuid4(), uuid4(), 5),
        shop.news.seen(shop.tenant, invoice, uuid4(), 5),
    )
    stranger = uuid4()
    async with unit.api.transaction([stranger]) as tx:
        for table in TABLES:
            assert await tx.fetchval(f"select count(*) from {table}") == 0
        assert await tx.execute("update invoice set reason = 'mine'") == "UPDATE 0"
    async with unit.api.transaction() as tx:
        assert await tx.fetchval("select count(*) from invoice") == 0
    async with unit.api.transaction([shop.tenant]) as tx:
        assert await tx.fetchval("select count(*) from invoice") == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with unit.api.transaction([stranger]) as tx:
            await tx.execute(
                "insert into issuer_profile (tenant_id, name, updated_at) values ($1, 'x', now())",
                shop.tenant,
            )


async def test_requests_may_not_touch_numbers_or_bookings(
    unit: ServiceUnderTest, shop: Any
) -> None:
    for statement in (
        "update number_sequence set next = 1",
        "insert into invoice_booking select * from invoice_booking",
        "delete from invoice",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with unit.api.transaction([shop.tenant]) as tx:
                await tx.execute(statement)


@pytest.mark.parametrize(
    "change",
    [
        "settlement = 'paid', timeliness = 'overdue'",
        "received_micros = -1",
        "total_minor = total_minor + 1",
        "document = 'closed'",
        "document = 'draft'",
        "number = null",
        "tolerance_minor = total_minor",
        "version = 0",
    ],
)
async def test_a_row_that_breaks_a_rule_is_refused(
    unit: ServiceUnderTest, shop: Any, change: str
) -> None:
    invoice = await shop.open()
    with pytest.raises(asyncpg.CheckViolationError):
        await unit.worker.pool.execute(f"update invoice set {change} where id = $1", invoice)
