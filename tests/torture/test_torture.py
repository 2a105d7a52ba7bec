"""The judge can fail: whatever may be lost, doubled or forgotten is found, and by its name."""

import os
import random
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import asyncpg
import psycopg
import pytest
from tests.torture import fork_server
from tests.torture.__main__ import SHORT, every_fault
from tests.torture.faults_process import ELSEWHERE, IN_ONE_TRANSACTION, POINTS
from tests.torture.journal import Journal, Payment, Promise
from tests.torture.judge import BOOKED, Finding, of_bookings, of_promises, of_webhooks, rules
from tests.torture.poison import KINDS
from tests.torture.report import Report, Round

from audit.services import SCHEMAS, SERVICES
from chassis.databases import migrate, prepare
from testkit.databases import SEED, ServiceDatabase

PAID, UNPAID = "inv_paid", "inv_unpaid"
UNITS = 1_190 * 10_000


@pytest.fixture
def journal(tmp_path):
    made = Journal.create(tmp_path / "journal")
    made.promise(Promise("key-1", PAID, 1_190))
    made.promise(Promise("key-2", UNPAID, 2_380))
    made.pay(Payment("0xaa", "0x00", PAID, 1_190, mined=True))
    return made


def view(promise, **other):
    paid = promise.invoice_id == PAID
    shown = {
        "total": {"amount_minor": promise.total_minor},
        "received": {"amount_minor": promise.total_minor if paid else 0},
        "reference": promise.key,
        "status": {
            "settlement": "paid" if paid else "unpaid",
            "document": "closed" if paid else "open",
        },
    }
    return shown | other


def views(journal):
    return {name: view(promise) for name, promise in journal.promises.items()}


def row(transaction_hash="aa", units=UNITS, times=1):
    return {"transaction_hash": transaction_hash, "units": units, "times": times}


def test_what_is_right_is_found_right(journal):
    assert of_promises(journal, views(journal)) == []
    assert of_bookings(journal, [row()]) == []


def test_a_lost_acknowledged_id_is_found(journal):
    found = of_promises(journal, views(journal) | {UNPAID: None})
    assert [finding.what for finding in found] == [f"{UNPAID} is lost"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"total": {"amount_minor": 1}}, "total is 1"),
        ({"received": {"amount_minor": 2_380}}, "received is 2380"),
        ({"reference": "key-9"}, "reference is key-9"),
        ({"status": {"settlement": "overpaid", "document": "closed"}}, "settlement is overpaid"),
        ({"status": {"settlement": "paid", "document": "open"}}, "document is open"),
    ],
)
def test_an_invoice_that_is_not_as_promised_is_found(journal, wrong, words):
    shown = views(journal) | {PAID: view(journal.promises[PAID], **wrong)}
    found = of_promises(journal, shown)
    assert len(found) == 1
    assert words in found[0].what


def test_a_part_of_a_payment_leaves_the_invoice_partial(journal):
    journal.pay(Payment("0xbb", "0x00", UNPAID, 1_000, mined=True))
    (received, settlement) = of_promises(journal, views(journal))
    assert "received is 0, not 1000" in received.what
    assert "settlement is unpaid, not partial" in settlement.what


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(times=2, units=2 * UNITS)], "is booked 2 times"),
        ([row(), row()], "is booked 2 times"),
        ([], "is booked 0 times"),
        ([row(times=0, units=0)], "is booked 0 times"),
        ([row(units=UNITS - 1)], f"with {UNITS - 1} units"),
        ([row(), row("bb")], "0xbb was booked, nobody made it"),
    ],
)
def test_a_payment_that_is_not_booked_exactly_once_is_found(journal, rows, words):
    found = of_bookings(journal, rows)
    assert len(found) == 1
    assert words in found[0].what


def test_a_transfer_the_chain_does_not_hold_must_not_be_booked(journal):
    journal.payments["0xaa"].mined = False
    assert len(of_bookings(journal, [row()])) == 1
    assert of_bookings(journal, [row(times=0, units=0)]) == []


def test_a_webhook_that_never_came_and_one_that_changed_are_found(journal):
    journal.webhooks = {"one": {"x"}, "two": {"x", "y"}}
    rules_broken = [finding.rule for finding in of_webhooks(journal, ["one", "lost"])]
    assert rules_broken == ["a delivered webhook was received", "a webhook repeated is the same"]


def test_the_journal_outlives_its_writer_and_a_torn_line(journal):
    with journal.path.open("a") as file:
        file.write('["promise", {"key": "key-3", "invo')
    found = Journal.load(journal.path)
    assert found.promises == journal.promises
    assert found.payments == journal.payments


@pytest.fixture(scope="module")
def place(infra):
    """A database with all schemas, in which a test may plant what it likes."""
    name = f"torture_{uuid.uuid4().hex[:10]}"
    url = f"{infra.postgres_url.rpartition('/')[0]}/{name}"
    with psycopg.connect(infra.postgres_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    made = ServiceDatabase(url, SCHEMAS[0], name)
    prepare(url, list(SCHEMAS), SEED)
    for schema in SCHEMAS:
        migrate(ServiceDatabase(url, schema, name).url("owner"), schema)
    yield made
    made.drop()


@pytest.fixture
async def planted(place):
    """A superuser's transaction without triggers and foreign keys, rolled back."""
    connection = await asyncpg.connect(place.admin_url)
    await connection.execute("set session_replication_role = replica")
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def plant(connection, table, **values):
    """A row; columns that must not be null and are not named get something harmless."""
    columns = await connection.fetch(
        "select column_name, data_type from information_schema.columns"
        " where table_schema || '.' || table_name = $1 and is_nullable = 'NO'"
        " and column_default is null and is_generated = 'NEVER' and is_identity = 'NO'",
        table,
    )
    harmless = {
        "uuid": "gen_random_uuid()",
        "text": "'x'",
        "bytea": r"'\x" + "aa" * 32 + "'",
        "jsonb": "'{}'",
        "ARRAY": "'{}'",
        "timestamp with time zone": "now()",
        "boolean": "false",
    }
    row = {one["column_name"]: harmless.get(one["data_type"], "1") for one in columns} | values
    await connection.execute(
        f"insert into {table} ({', '.join(row)}) values ({', '.join(row.values())})"
    )


HASH = r"'\x" + "aa" * 32 + "'"
TENANT, PAYMENT = f"'{uuid.UUID(int=1)}'", f"'{uuid.UUID(int=2)}'"


async def a_payment(connection):
    await plant(
        connection,
        "provider_orchestrator.payment",
        tenant_id=TENANT,
        id=PAYMENT,
        state="'seen'",
        asset="'PATHUSD'",
        chain_id="1",
        block_number="1",
        block_hash=HASH,
        block_at="now()",
        transaction_hash=HASH,
        log_index="1",
    )


async def a_booking(connection, sequence, template="invoice_paid", amount=UNITS):
    transaction = f"'{uuid.UUID(int=100 + sequence)}'"
    own = {"tenant_id": TENANT, "sequence": str(sequence)}
    await plant(
        connection,
        "reserve_ledger.ledger_transaction",
        **own,
        id=transaction,
        payment_id=PAYMENT,
        template=f"'{template}'",
        hash="sha256('a')",
        previous_hash="sha256('b')",
    )
    for line, (account, value) in enumerate([("1200", amount), ("2100", -amount)], start=1):
        await plant(
            connection,
            "reserve_ledger.posting",
            **own,
            transaction_id=transaction,
            line=str(line),
            account=f"'{account}'",
            asset="'PATHUSD'",
            amount_minor=str(value),
            balance_minor=str(-abs(value)),
        )


async def booked(connection):
    (found,) = await connection.fetch(BOOKED)
    return found["transaction_hash"], found["units"], found["times"]


async def test_the_books_are_read_as_they_are(planted):
    await a_payment(planted)
    assert await booked(planted) == ("aa" * 32, 0, 0)
    await a_booking(planted, 1)
    assert await booked(planted) == ("aa" * 32, UNITS, 1)
    await a_booking(planted, 2)
    assert await booked(planted) == ("aa" * 32, 2 * UNITS, 2)
    await a_booking(planted, 3, "payment_reverted", -UNITS)
    assert await booked(planted) == ("aa" * 32, UNITS, 1)


async def test_a_record_put_aside_a_lost_webhook_and_a_doubled_key_are_found(planted):
    async def broken():
        return [
            rule for rule, statement in rules(SERVICES).items() if await planted.fetch(statement)
        ]

    assert await broken() == []
    await plant(planted, "reserve_ledger.dead_letter", state="'dead'")
    assert await broken() == ["no record was put aside"]
    await plant(planted, "notification.webhook_delivery", state="'failed'", finished_at="now()")
    invoice = {
        "tenant_id": TENANT,
        "document": "'draft'",
        "settlement": "'unpaid'",
        "timeliness": "'on_time'",
        "asset": "'USD'",
        "subtotal_minor": "1",
        "net_minor": "1",
        "tax_minor": "0",
        "discount_minor": "0",
        "total_minor": "1",
        "tolerance_minor": "0",
        "reference": "'twice'",
    }
    await plant(planted, "invoice.invoice", **invoice)
    assert await broken() == ["no webhook was given up", "no record was put aside"]
    await plant(planted, "invoice.invoice", **invoice)
    assert len(await broken()) == 3


def test_a_run_is_clean_only_when_each_fault_struck_and_nothing_broke():
    faults = list(every_fault().values())[:2]
    report = Report(seed=1)
    assert not report.is_clean(faults)
    report.rounds = [Round(n, fault.name, 1, 1.0, 1.0) for n, fault in enumerate(faults)]
    assert not report.is_clean(faults)
    report.judge([], 0)
    assert report.is_clean(faults)
    report.rounds[0].points = 0
    assert report.never_struck(faults) == [faults[0].name]
    report.missing = {faults[0].name: "no such program"}
    assert report.is_clean(faults)
    report.judge([Finding("rule", "what")], 1)
    assert not report.is_clean(faults)
    assert [line["breaches"] for line in report.by_fault(faults)] == [0, 1]


def test_every_fault_has_a_name_of_its_own_and_says_what_it_does():
    known = every_fault()
    assert len(known) > 10
    assert all(fault.sentence and "." in fault.name for fault in known.values())
    assert all(any(name.startswith(short) for name in known) for short in SHORT)


def test_named_points_are_those_of_the_code():
    root = Path(__file__).parents[2]
    sources = [*root.glob("libs/*/src/**/*.py"), *root.glob("services/*/src/**/*.py")]
    code = "".join(path.read_text() for path in sources)
    named = re.findall(r'failpoint\("([^"]+)"\)', code)
    assert len(set(named)) == len(named)
    known = {point for points in POINTS.values() for point in points}
    assert known == set(fork_server.COMMON).union(*fork_server.OWN.values())
    assert set(named) == known | IN_ONE_TRANSACTION | set(ELSEWHERE)
    for point, file in ELSEWHERE.items():
        text, (first, last) = (root / file).read_text(), point.split(".")
        dies = f'"{point}"' in text or (f'f"{first}.' in text and f'"{last}"' in text)
        assert dies, f"{file} does not die at {point}"


def test_each_kind_of_poison_differs_from_the_good_record(planted_record):
    for kind in KINDS:
        poison = kind(planted_record)
        assert (poison.headers, poison.value) != (planted_record.headers, planted_record.value)


@pytest.fixture
def planted_record():
    from invoiceos_contracts.identity_v1 import TenantCreated
    from testkit.service import record_of

    return record_of(TenantCreated(tenant_id=uuid.uuid4(), name="Good"))


def test_the_dice_of_a_fork_server_reach_every_way_to_die():
    dice = random.Random(1)
    chosen = {fork_server.choose("notification", dice).partition(":")[0] for _ in range(2_000)}
    assert chosen == {"await", "", *fork_server.COMMON, *fork_server.OWN["notification"]}


def test_a_forked_child_dies_and_is_forked_again(tmp_path):
    (tmp_path / "storm").touch()
    program = [sys.executable, fork_server.__file__, "serve", "invoice"]
    environment = os.environ | {
        "TORTURE_FOLDER": str(tmp_path),
        "TORTURE_SEED": "1",
        "INVOICEOS_DATABASE_API_URL": "postgresql://nobody@127.0.0.1:1/none",
        "INVOICEOS_DATABASE_WORKER_URL": "postgresql://nobody@127.0.0.1:1/none",
        "INVOICEOS_PERSONAL_DATA_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    }
    deaths = tmp_path / "invoice.deaths"
    with subprocess.Popen(program, env=environment) as server:
        end = time.monotonic() + 120
        while time.monotonic() < end and server.poll() is None:
            if deaths.exists() and len(deaths.read_text().splitlines()) > 1:
                break
            time.sleep(0.05)
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    assert len(deaths.read_text().splitlines()) > 1
