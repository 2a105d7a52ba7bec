"""The restore drill: a base backup of a working platform, then each of the two gone back in time."""

import asyncio
import json
import os
import pwd
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from audit.monitor import Monitor
from invoiceos_contracts import encode
from invoiceos_contracts.invoice_v1 import InvoiceClosed, InvoicePaid
from invoiceos_contracts.payment_v1 import PaymentSucceeded
from invoiceos_local import postgres
from messaging import KafkaAccess
from testkit.processes import until

pytestmark = pytest.mark.timeout(400)
REASON = ("--reason", "the drill")


def operate(stack, *arguments):
    done = subprocess.run(
        stack.command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **stack.administration_env()},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stop_services(stack, *names):
    """As a crash does it: nobody has time to finish anything."""
    for name in names or stack.ports:
        stack.kill(name, signal.SIGKILL)


def start_services(stack, *names):
    with ThreadPoolExecutor() as pool:
        list(pool.map(stack.restart, names or stack.ports))


def back_up(stack, folder):
    """A base backup while everything works, whole in itself by the log it streams."""
    tool = postgres._binaries() / "pg_basebackup"
    url = stack.infrastructure.postgres_url
    subprocess.run(
        [tool, "-d", url, "-D", folder, "-X", "stream", "-c", "fast", "--no-sync"],
        check=True,
        capture_output=True,
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
    )


def put_back(stack, backup):
    """The database as the backup has it."""
    server = stack._running.backend("postgres")
    server.stop()
    data = stack.folder / "postgres" / "data"
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    if os.geteuid() == 0:
        owner = pwd.getpwnam("nobody")
        for path in (data, *data.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    data.chmod(0o700)
    server.start()


async def lose(kafka, topic):
    """The broker forgets a topic: made anew, it is empty and counts from 0."""
    admin = AIOKafkaAdminClient(**kafka.options())
    await admin.start()
    try:
        await admin.delete_topics([topic])

        async def gone():
            return topic not in await admin.list_topics()

        await until(gone)
    finally:
        await admin.close()


async def mails_of(platform, invoice_id):
    rows = await platform.sql(
        "select template from notification.notification where invoice_id = $1"
        " and state = 'sent' order by id",
        invoice_id,
    )
    return [row["template"] for row in rows]


async def pay_and_see(platform, invoice_id, issued):
    await platform.transfer(issued, 11_900)
    await platform.feed.until(InvoicePaid, invoice_id, seconds=90)


async def state_of(platform, invoice_id):
    rows = await platform.sql(
        "select settlement, document from invoice.invoice where id = $1", invoice_id
    )
    return tuple(rows[0]) if rows else None


async def findings(stack):
    """What the auditor finds once all is quiet; it may take the loops a moment."""
    url = stack.administration_env()["INVOICEOS_AUDIT_DATABASE_URL"]
    monitor = Monitor(url, KafkaAccess(stack.infrastructure.kafka_bootstrap), grace_s=0)
    found = ["not looked"]
    try:
        async with asyncio.timeout(90):
            while found:
                report = await monitor.look()
                found = [(finding.invariant.name, finding.rows[:3]) for finding in report.findings]
                if found:
                    await asyncio.sleep(2)
    except TimeoutError:
        return found
    finally:
        await monitor.close()
    return found


async def test_what_the_database_forgot_is_told_and_what_it_lost_of_effects_happens_again(
    platform, stack, tmp_path
):
    paid_before, issued_before = await platform.issue()
    await pay_and_see(platform, paid_before, issued_before)
    # A paid invoice has more to say, when its wallet is gone: its history ends before the backup.
    await platform.feed.until(InvoiceClosed, paid_before, seconds=90)
    paid_after, issued_after = await platform.issue()
    stop_services(stack, "notification")
    unheard, _ = await platform.issue()
    await platform.quiet()
    working = asyncio.create_task(load(platform))
    await asyncio.to_thread(back_up, stack, tmp_path / "backup")
    working.cancel()
    start_services(stack, "notification")
    await pay_and_see(platform, paid_after, issued_after)
    made_after, _ = await platform.issue()

    async def the_mail_is_out():
        return await mails_of(platform, unheard) == ["invoice_issued"]

    await until(the_mail_is_out)
    stop_services(stack)
    await asyncio.to_thread(put_back, stack, tmp_path / "backup")
    assert await state_of(platform, made_after) is None
    assert await mails_of(platform, unheard) == []

    plan = json.loads(operate(stack, "restore", "plan", "--json"))
    assert forgotten_of(plan, made_after) != []
    assert forgotten_of(plan, paid_before) == []
    assert plan["lost"] == []
    assert plan["to_handle"]["notification"] > 0
    told = operate(stack, "restore", "apply", *REASON)
    assert "FORGOTTEN" in told
    again = json.loads(operate(stack, "restore", "plan", "--json"))
    assert (again["forgotten"], again["offsets"]) == ([], {})
    start_services(stack)
    await until(the_mail_is_out)

    async def is_settled():
        found = await state_of(platform, paid_after)
        return found is not None and found[0] == "paid"

    await until(is_settled)
    assert len(await platform.transactions(paid_after)) == 1
    assert len(await platform.transactions(paid_before)) == 1
    fresh, issued = await platform.issue()
    await pay_and_see(platform, fresh, issued)
    addresses = [f["value"] for f in plan["forgotten"] if f["type"].endswith("wallet.ready.v1")]
    assert not any(issued.address in value for value in addresses)
    await platform.books_are_right()
    assert await findings(stack) == []


def forgotten_of(plan, invoice_id):
    key = encode("inv", invoice_id)
    return [fact["type"] for fact in plan["forgotten"] if fact["key"] == key]


async def load(platform):
    """Invoices without end."""
    while True:
        await platform.issue()


async def test_what_the_broker_lost_is_named_and_everything_goes_on(platform, stack):
    before, issued = await platform.issue()
    await pay_and_see(platform, before, issued)
    await platform.quiet()
    stop_services(stack)
    kafka = KafkaAccess(stack.infrastructure.kafka_bootstrap)
    await lose(kafka, PaymentSucceeded.TOPIC)
    operate(stack, "topics")
    plan = json.loads(operate(stack, "restore", "plan", "--json"))
    assert {fact["topic"] for fact in plan["lost"]} == {PaymentSucceeded.TOPIC}
    assert plan["forgotten"] == []
    assert plan["offsets"] == {}, "the broker forgets the groups' places together with a topic"
    assert "LOST" in operate(stack, "restore", "apply", *REASON)
    assert json.loads(operate(stack, "restore", "plan", "--json"))["lost"] == []
    start_services(stack)
    after, issued = await platform.issue()
    await pay_and_see(platform, after, issued)
    assert len(await platform.transactions(before)) == 1
    await platform.books_are_right()
    assert await findings(stack) == []


async def test_nothing_is_repaired_while_a_service_runs(stack):
    done = await asyncio.to_thread(
        subprocess.run,
        stack.command("restore", "apply", *REASON),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **stack.administration_env()},
    )
    assert done.returncode == 1
    assert "stop every service first" in done.stderr
