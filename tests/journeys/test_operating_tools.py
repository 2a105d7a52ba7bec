"""Operators' tools on the whole platform: one invoice traced, one poisoned key mended."""

import asyncio
import json
import os
import uuid

from aiokafka import AIOKafkaProducer

from invoiceos_contracts import encode
from invoiceos_contracts.invoice_v1 import InvoiceIssued, InvoicePaid, InvoiceVoided
from testkit import warm
from testkit.processes import until


def operate(platform, *arguments):
    """An `invoiceos` command as an administrator runs it."""
    stack = platform.stack
    environment = {**os.environ, **stack.administration_env()}
    log = stack.folder / f"operate-{uuid.uuid4().hex[:8]}.log"
    return warm.run(stack.command(*arguments), environment, log)


async def asked(platform, path):
    """The gateway's answer to an operator."""
    token = platform.stack.administration_env()["INVOICEOS_OPERATOR_TOKEN"]
    url = platform.client.url + path
    headers = {"Authorization": f"Bearer {token}"}
    async with platform.client.http.get(url, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def flat(nodes):
    for node in nodes:
        yield node
        yield from flat(node["children"])


def shape(nodes):
    """What is the same whoever asks: kinds and titles, each under its parent."""
    return sorted((node["kind"], node["title"], str(shape(node["children"]))) for node in nodes)


async def test_the_life_of_an_invoice_is_one_tree_by_command_and_by_rest(platform):
    invoice_id, issued = await platform.issue()
    await platform.transfer(issued, 11_900)
    paid = await platform.feed.until(InvoicePaid, invoice_id, seconds=60)
    public = encode("inv", invoice_id)

    async def mails_are_out():
        rows = await platform.sql(
            "select 1 from notification.notification where invoice_id = $1 and state = 'sent'",
            invoice_id,
        )
        return len(rows) == 2

    await until(mails_are_out)
    await platform.quiet()
    logs = str(platform.stack.folder / "logs")
    trace = json.loads(operate(platform, "trace", public, "--json", "--logs", logs))
    nodes = list(flat(trace["tree"]))
    found = {(node["kind"], node["title"]) for node in nodes}
    for expected in (
        ("event", InvoicePaid.TYPE),
        ("ledger transaction", "invoice_paid.v1"),
        ("mail", "invoice_issued, sent"),
        ("mail", "payment_received, sent"),
        ("payment", "succeeded"),
        ("request", "POST /api/v1/invoices"),
        ("timer", "invoice.due"),
    ):
        assert expected in found, sorted(found)
    (node,) = [n for n in nodes if n["title"] == InvoiceIssued.TYPE]
    assert {child["title"] for child in node["children"] if child["kind"] == "handled"} == {
        "ephemeral-manager",
        "gateway",
        "notification",
        "provider-orchestrator",
    }
    assert ("mail", "invoice_issued, sent") in {
        (child["kind"], child["title"]) for child in node["children"]
    }
    text = operate(platform, "trace", paid.number, "--tenant", encode("ten", paid.tenant_id))
    assert text.startswith(public)
    assert "ledger transaction invoice_paid.v1" in text
    own = json.loads(operate(platform, "trace", public, "--json"))["tree"]
    # Its wallet may be destroyed at any moment from here: who asks later is told at least as much.
    rest = await asked(platform, f"/api/v1/operations/traces/{public}")
    assert rest["unanswered"] == []
    assert {(n["kind"], n["title"]) for n in flat(rest["tree"])} >= {
        (n["kind"], n["title"]) for n in flat(own) if n["kind"] in ("event", "ledger transaction")
    }
    booked = next(n for n in nodes if n["kind"] == "ledger transaction")
    effects = await platform.client.get(f"/api/v1/events/{booked['cause']}/effects")
    # Other tests of this stack may have receivers, which are told too.
    booked_by = [item for item in effects["items"] if item["kind"] == "ledger transaction"]
    assert [item["title"] for item in booked_by] == ["invoice_paid.v1"]


async def test_an_unreadable_record_on_a_live_key_is_discarded_and_the_key_goes_on(platform):
    invoice_id, _ = await platform.issue()
    public = encode("inv", invoice_id)
    producer = AIOKafkaProducer(bootstrap_servers=platform.stack.infrastructure.kafka_bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(
            InvoiceIssued.TOPIC, b"not json", key=public.encode(), headers=[("ce_id", b"x")]
        )
    finally:
        await producer.stop()
    readers = ("ephemeral-manager", "notification", "reserve-ledger", "wallet-factory")

    async def letters(*arguments):
        listed = await asyncio.to_thread(
            operate, platform, "deadletters", "list", "--key", public, "--json", *arguments
        )
        return {letter["service"]: letter for letter in json.loads(listed)}

    async def all_have_one():
        return set(await letters("--state", "dead")) >= set(readers)

    await until(all_have_one)
    await platform.client.post(f"/api/v1/invoices/{public}/void", {"reason": "made in error"})
    await platform.feed.until(InvoiceVoided, invoice_id, seconds=60)

    async def the_end_waits_behind_it():
        return "notification" in await letters("--state", "parked")

    await until(the_end_waits_behind_it)
    for service, letter in (await letters("--state", "dead")).items():
        reason = ("--reason", "nobody can read it, and its owner stated the fact again")
        operate(platform, "deadletters", "discard", service, letter["id"], *reason)

    async def nothing_is_open():
        return await letters() == {}

    await until(nothing_is_open)
    rows = await platform.sql(
        "select state, count(*) as n from notification.dead_letter where record_key = $1"
        " group by state order by state",
        public.encode(),
    )
    assert [row["state"] for row in rows] == ["discarded", "resolved"]
    actors = await platform.sql(
        "select action from notification.operation where subject <> '' order by at desc limit 1"
    )
    assert actors[0]["action"] == "dead_letters.discard"
