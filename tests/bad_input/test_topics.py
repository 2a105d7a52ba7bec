"""Poison and forged records on the real broker: each ends as a dead letter, and life goes on."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from tests.bad_input.catalogue import cases
from tests.bad_input.state import rows_of
from tests.bad_input.topic import Poison, concerned, poison_of, produce, put_aside, readers
from uuid_utils.compat import uuid7

from invoiceos_contracts.invoice_v1 import InvoicePaid
from invoiceos_local.demo.client import an_invoice

TOPICS = ("invoiceos.payment.v1", "invoiceos.invoice.v1")
SECONDS = 90


async def until(platform, wanted):
    """All dead letters, once these records are among them."""
    everyone = readers()
    async with asyncio.timeout(SECONDS):
        while True:
            found = await put_aside(platform, everyone)
            if wanted <= found.keys():
                return found
            await asyncio.sleep(0.3)


async def markers(platform):
    """A record nobody can read at the end of each partition: whoever put it aside saw all before."""
    poisons = [Poison(topic, f"last {n}".encode(), b"", ()) for topic in TOPICS for n in range(60)]
    places = await produce(platform.stack.infrastructure.kafka_bootstrap, poisons)
    assert len({place[:2] for place in places}) == 12, "each partition has its marker"
    last = {place[:2]: place for place in places}
    everyone = readers()
    return {
        (name, place)
        for (topic, _), place in last.items()
        for name, reader in everyone.items()
        if topic in reader.topics
    }


async def test_each_bad_record_is_put_aside_for_its_reason_and_what_follows_goes_on(
    platform, world
):
    forged_tenant, everyone = uuid7(), readers()
    bad = cases("topic")
    poisons = [poison_of(case, forged_tenant) for case in bad]
    bootstrap = platform.stack.infrastructure.kafka_bootstrap
    places = await produce(bootstrap, poisons)
    invoice_id, issued = await platform.issue(an_invoice("Behind poison", 10_000))
    await platform.transfer(issued, 11_900)
    await platform.feed.until(InvoicePaid, invoice_id, seconds=SECONDS)
    found = await until(platform, await markers(platform))
    failed = []
    for case, poison, place in zip(bad, poisons, places, strict=True):
        disposition, _, reason = case.expected.partition(" ")
        who = concerned(poison, everyone) if disposition == "dead" else set()
        got = {name: found[name, place] for name in everyone if (name, place) in found}
        if got != dict.fromkeys(who, ("dead", reason)):
            failed.append(f"{case.name}: wanted {case.expected} by {sorted(who)}, got {got}")
    assert not failed, "\n".join([f"{len(failed)} of {len(bad)}", *failed])
    await platform.quiet()
    kept = {table: n for table, n in (await rows_of(platform, forged_tenant)).items() if n}
    assert all(table.endswith(".dead_letter") for table in kept), kept
    await platform.books_are_right()


async def test_a_record_of_ten_megabytes_is_put_aside_where_a_broker_takes_it(platform, world):
    topic, bootstrap = TOPICS[0], platform.stack.infrastructure.kafka_bootstrap
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wish = {"max.message.bytes": str(12 * 1024 * 1024)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wish)])
    finally:
        await admin.close()
    case = next(case for case in cases("topic") if case.table == "json")
    good = poison_of(case, uuid7())
    huge = Poison(good.topic, good.key, b'{"a": "' + b"x" * 10_000_000 + b'"}', good.headers)
    places = await produce(bootstrap, [huge])
    who = concerned(huge, readers())
    found = await until(platform, {(name, places[0]) for name in who})
    assert {found[name, places[0]] for name in who} == {("dead", "contract")}
    assert await platform.issue(an_invoice("Behind ten megabytes", 10_000))
