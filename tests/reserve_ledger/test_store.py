"""What the database itself refuses, and what holds when two processes post at once."""

import asyncio
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import psycopg
import pytest

from messaging import Database, Processor, Subscriptions, Tx
from messaging.processing import GaveUp
from messaging.records import read
from reserve_ledger.app import service
from reserve_ledger.commands.book_payments import book_payments
from reserve_ledger.store.chain import lock_heads
from testkit.service import ServiceUnderTest, record_of

TEN = 10_000_000
HASH = b"\x07" * 32
ZERO = bytes(32)
WAITS = """
select exists (select from pg_stat_activity
               where datname = current_database() and wait_event_type = 'Lock')
"""


async def enter(connection: Any, tenant: UUID, legs: list[tuple[str, int]], **change: Any) -> None:
    """Enter one transaction as the code does, in one statement, by hand."""
    values = {"sequence": 1, "previous": ZERO, "first_line": 1, "cause": Tx.new_id()} | change
    await connection.execute(
        """
        with entered as (
            insert into ledger_transaction (tenant_id, id, sequence, template, template_version,
                cause_event_id, posted_at, previous_hash, hash)
            values ($1, $2, $3, 'by_hand', 1, $4, now(), $5, $6))
        insert into posting (tenant_id, transaction_id, sequence, line, account, asset,
            amount_minor, balance_minor)
        select $1, $2, $3, place + $9 - 1, account, 'USDC', amount, 0
        from unnest($7::text[], $8::bigint[]) with ordinality as l(account, amount, place)
        """,
        tenant,
        Tx.new_id(),
        values["sequence"],
        values["cause"],
        values["previous"],
        HASH,
        [account for account, _ in legs],
        [amount for _, amount in legs],
        values["first_line"],
    )


async def test_the_worker_itself_cannot_enter_what_does_not_balance(
    ledger: ServiceUnderTest,
) -> None:
    tenant = Tx.new_id()
    cases: list[tuple[str, list[tuple[str, int]], dict[str, Any]]] = [
        ("posting_balanced", [("1200", 5), ("2100", -4)], {}),
        ("posting_balanced", [("1200", 5)], {}),
        ("transaction_posted", [], {}),
        ("posting_complete", [("1200", 5), ("2100", -5)], {"first_line": 2}),
        ("transaction_chained", [("1200", 5), ("2100", -5)], {"sequence": 2}),
        ("transaction_chained", [("1200", 5), ("2100", -5)], {"previous": HASH}),
    ]
    for constraint, legs, change in cases:
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await enter(ledger.worker.pool, tenant, legs, **change)
        assert refused.value.constraint_name in (constraint, "transaction_posted"), constraint
    await enter(ledger.worker.pool, tenant, [("1200", 5), ("2100", -5)])
    with pytest.raises(asyncpg.CheckViolationError, match="follows"):
        await enter(
            ledger.worker.pool, tenant, [("1200", 5), ("2100", -5)], sequence=2, previous=ZERO
        )
    await enter(ledger.worker.pool, tenant, [("1200", 5), ("2100", -5)], sequence=2, previous=HASH)


async def test_a_cause_is_entered_once_by_each_template(ledger: ServiceUnderTest) -> None:
    tenant, cause = Tx.new_id(), Tx.new_id()
    legs = [("1200", 5), ("2100", -5)]
    await enter(ledger.worker.pool, tenant, legs, cause=cause)
    with pytest.raises(asyncpg.UniqueViolationError, match="cause_event_id"):
        await enter(ledger.worker.pool, tenant, legs, cause=cause, sequence=2, previous=HASH)


async def test_nothing_can_be_added_to_a_transaction_or_posted_without_one(
    ledger: ServiceUnderTest, payer: Any
) -> None:
    await ledger.receives(payer.succeeded(Tx.new_id(), TEN))
    row = await ledger.worker.pool.fetchrow("select tenant_id, id from ledger_transaction")
    add = """insert into posting (tenant_id, transaction_id, sequence, line, account, asset,
        amount_minor, balance_minor) select $1, $2, $3, line, account, 'USDC', amount, 0
        from unnest($4::int[], '{1200,2100}'::text[], '{5,-5}'::bigint[]) l(line, account, amount)"""
    for transaction, sequence, lines in (
        (row["id"], 1, [4, 5]),
        (row["id"], 1, [1, 2]),
        (row["id"], 2, [1, 2]),
        (Tx.new_id(), 1, [1, 2]),
        (Tx.new_id(), 2, [1, 2]),
    ):
        with pytest.raises((asyncpg.CheckViolationError, asyncpg.UniqueViolationError)):
            await ledger.worker.pool.execute(add, row["tenant_id"], transaction, sequence, lines)


@pytest.mark.parametrize("role", ["worker", "api"])
@pytest.mark.parametrize("table", ["ledger_transaction", "posting", "reserve_statement"])
async def test_entries_cannot_be_changed_or_removed(
    ledger: ServiceUnderTest, payer: Any, role: str, table: str
) -> None:
    await ledger.receives(payer.succeeded(Tx.new_id(), TEN))
    pool = getattr(ledger, role).pool
    for statement in (
        f"update {table} set sequence = sequence + 1",
        f"delete from {table}",
        f"truncate {table}",
        f"alter table {table} disable trigger all",
        f"drop table {table}",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)


async def test_the_api_role_books_no_payment_and_changes_no_entry(
    ledger: ServiceUnderTest,
) -> None:
    """It appends what tenants post (ADR 0031); payments and reservations are the worker's."""
    statements = [
        f"insert into {table} default values"
        for table in ("obligation", "payment_booking", "reservation", "reserve_head")
    ]
    for table in ("ledger_transaction", "posting", "reserve_statement"):
        statements += [f"update {table} set sequence = sequence", f"delete from {table}"]
    statements += [f"delete from {table}" for table in ("ledger_head", "account", "reserve_total")]
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ledger.api.pool.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ledger.api.pool.fetch("select heads from reserve_statement")


async def test_the_database_refuses_a_debit_on_a_liability_and_amounts_out_of_range(
    ledger: ServiceUnderTest,
) -> None:
    add = """insert into posting (tenant_id, transaction_id, sequence, line, account, asset,
        amount_minor, balance_minor) values ($1, $1, 1, 1, $2, $3, $4, $5)"""
    for constraint, account, asset, amount, balance in (
        ("posting_check", "2100", "USDC", 5, 5),
        ("posting_amount_minor_check", "1200", "USDC", 0, 0),
        ("posting_amount_minor_check", "1200", "USDC", 10**18 + 1, 0),
        ("account_code_check", "1234", "USDC", 5, 5),
        ("asset_code_check", "1200", "usdc", 5, 5),
    ):
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await ledger.worker.pool.execute(add, Tx.new_id(), account, asset, amount, balance)
        assert refused.value.constraint_name == constraint


async def test_a_tenant_sees_its_own_books_only(
    ledger: ServiceUnderTest, new_payer: Callable[[], Any]
) -> None:
    one, other = new_payer(), new_payer()
    await ledger.receives(
        one.succeeded(Tx.new_id(), TEN),
        other.succeeded(Tx.new_id(), TEN),
        other.voided(Tx.new_id()),
    )
    for table in (
        *("ledger_head", "ledger_transaction", "posting", "account_balance"),
        *("obligation", "payment_booking"),
    ):
        async with ledger.api.transaction([one.tenant_id]) as tx:
            seen = await tx.fetch(f"select distinct tenant_id from {table}")
        assert [row["tenant_id"] for row in seen] == [one.tenant_id], table
        async with ledger.api.transaction() as tx:
            assert await tx.fetch(f"select 1 from {table}") == []


async def test_every_table_of_a_tenant_is_bound_by_row_security(ledger: ServiceUnderTest) -> None:
    loose = await ledger.worker.fetch(
        """
        select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'reserve_ledger'::regnamespace and c.relkind = 'r'
          and a.attname = 'tenant_id' and not (c.relrowsecurity and c.relforcerowsecurity)
        """
    )
    assert loose == []


async def test_a_poll_of_500_payments_is_a_handful_of_statements(
    ledger: ServiceUnderTest, new_payer: Callable[[], Any], auditor: Any
) -> None:
    payers = [new_payer() for _ in range(20)]
    facts = [payers[n % 20].succeeded(Tx.new_id(), TEN + n) for n in range(500)]
    events: list[Any] = [read(record_of(fact), {fact.TYPE}) for fact in facts]
    statements: list[str] = []
    warm = [read(record_of(payers[0].succeeded(Tx.new_id(), TEN)), {facts[0].TYPE})]
    database = await Database.open(ledger.place.url("worker"), "reserve_ledger", size=1)
    for batch in (warm, events):
        async with database.transaction() as tx:
            with tx.connection.query_logger(lambda query: statements.append(query.query)):
                statements.clear()  # the driver asks for its types once a connection
                await book_payments(tx, batch)
                await tx.flush()
    await database.close()
    assert len(statements) <= 14, "\n".join(statements)
    assert await ledger.worker.fetchval("select count(*) from ledger_transaction") == 501
    writes = [s for s in statements if "account_balance" in s and "insert" in s]
    assert len(writes) == 1
    await auditor.sound()


async def test_books_that_are_being_posted_to_are_waited_for(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    await ledger.receives(payer.succeeded(Tx.new_id(), TEN))
    async with ledger.worker.transaction() as tx:
        await lock_heads(tx, [payer.tenant_id])
        posting = asyncio.create_task(ledger.receives(payer.succeeded(Tx.new_id(), TEN)))
        while not (posting.done() or await ledger.worker.fetchval(WAITS)):
            await asyncio.sleep(0.005)
        assert not posting.done()
    await posting
    await auditor.sound()


async def test_two_processes_that_post_for_the_same_tenants_agree(
    ledger: ServiceUnderTest, new_payer: Callable[[], Any], auditor: Any
) -> None:
    payers = [new_payer() for _ in range(4)]
    invoices = {payer.tenant_id: Tx.new_id() for payer in payers}
    chance = random.Random(5)

    async def process(database: Database) -> None:
        processor = Processor(database, Subscriptions(service.name, service.subscriptions))
        for _ in range(12):
            order = chance.sample(payers, len(payers))
            await processor.process(
                [record_of(p.succeeded(invoices[p.tenant_id], 300_000)) for p in order]
            )

    databases = [
        await Database.open(ledger.place.url("worker"), "reserve_ledger", size=1) for _ in range(3)
    ]
    await asyncio.gather(*(process(database) for database in databases))
    for database in databases:
        await database.close()
    await auditor.sound()
    for payer in payers:
        found = await auditor.balances(payer.tenant_id)
        assert found["1200", "PATHUSD"] == 36 * 300_000
        assert found["2500", "PATHUSD"] == -(36 * 300_000 - TEN)
    heads = await ledger.worker.fetch("select sequence from ledger_head")
    assert [row["sequence"] for row in heads] == [36] * 4
    assert await ledger.worker.fetchval("select count(*) from reserve_statement") == 36
    backwards = """select count(*) from (select posted_at, lag(posted_at) over (partition by
        tenant_id order by sequence) as before from ledger_transaction) x where posted_at < before"""
    assert await ledger.worker.fetchval(backwards) == 0


async def test_a_batch_that_fails_leaves_nothing(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    await ledger.receives(payer.succeeded(Tx.new_id(), TEN))
    with psycopg.connect(ledger.place.admin_url, autocommit=True) as admin:
        admin.execute(
            "alter table reserve_ledger.reserve_statement add constraint no check (false) not valid"
        )
        ledger.processor.abort.set()
        with pytest.raises(GaveUp):
            await ledger.receives(payer.succeeded(Tx.new_id(), TEN))
        ledger.processor.abort.clear()
        admin.execute("alter table reserve_ledger.reserve_statement drop constraint no")
    assert await ledger.worker.fetchval("select count(*) from ledger_transaction") == 1
    await ledger.receives(payer.succeeded(Tx.new_id(), TEN))
    assert await ledger.worker.fetchval("select max(sequence) from reserve_statement") == 2
    await auditor.sound()
