"""A consumer that dies, joins, leaves or is given rubbish: each effect once, in order."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from invoiceos_contracts.cloudevents import from_headers
from invoiceos_contracts.identity_v1 import ApiKeyRevoked, TenantCreated
from testkit.processes import read_topic, until
from testkit.service import a_tenant, record_of


async def publish(broker, facts, *, rubbish=()):
    """Send facts as another service's relay would; a rubbish record goes before those named."""
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True)
    await producer.start()
    try:
        for number, fact in enumerate(facts):
            if number in rubbish:
                await producer.send(
                    TenantCreated.TOPIC,
                    b"{}",
                    key=fact.subject.encode() + b"x",
                    headers=[("ce_id", b"\xff\xfe\xfd")],
                )
            record = record_of(fact, version=number + 1)
            await producer.send(
                record.topic, record.value, key=record.key, headers=list(record.headers)
            )
        await producer.flush()
    finally:
        await producer.stop()


def facts(tenants, count, prefix=""):
    return [
        TenantCreated(tenant_id=tenants[number % len(tenants)], name=f"{prefix}{number:04}")
        for number in range(count)
    ]


async def effects(database, tenants):
    rows = await database.fetch(
        "select tenant_id, name from effect where tenant_id = any($1) order by place", tenants
    )
    return [(row["tenant_id"], row["name"]) for row in rows]


def in_order(found, sent):
    """Each effect once, and in order per tenant."""
    assert len(found) == len(set(found)) == len(sent)
    for tenant in {fact.tenant_id for fact in sent}:
        assert [name for owner, name in found if owner == tenant] == [
            fact.name for fact in sent if fact.tenant_id == tenant
        ]


@pytest.mark.parametrize(
    "failpoint",
    [
        "consumer.marked",
        "consumer.handled",
        "transaction.flushed",
        "consumer.committed",
        "offsets.committing",
    ],
)
async def test_a_consumer_killed_anywhere_has_each_effect_once(
    database, toy_process, broker, failpoint
):
    tenants = [a_tenant() for _ in range(8)]
    sent = facts(tenants, 160)
    await publish(broker, sent)
    dying = toy_process()
    dying.start(failpoint=failpoint)
    await dying.died()
    heir = toy_process()
    heir.start()

    async def done():
        return len(await effects(database, tenants)) >= len(sent)

    await until(done)
    in_order(await effects(database, tenants), sent)
    keys = {fact.subject.encode() for fact in sent}
    answers = await read_topic(broker, ApiKeyRevoked.TOPIC, keys, len(sent) * 2)
    stated = {
        from_headers(record.headers).id
        for record in answers
        if from_headers(record.headers).type == ApiKeyRevoked.TYPE
    }
    assert len(stated) == len(sent)


async def test_members_that_join_in_mid_batch_cause_no_second_effect(database, toy_process, broker):
    tenants = [a_tenant() for _ in range(12)]
    sent = facts(tenants, 240, prefix="slow")
    first, second = toy_process(), toy_process()
    first.start()
    await first.ready()
    await publish(broker, sent[:120])
    second.start(instance="toy-1")
    await publish(broker, sent[120:])

    async def done():
        return len(await effects(database, tenants)) >= len(sent)

    await until(done)
    second.stop()
    in_order(await effects(database, tenants), sent)


async def test_a_record_with_a_broken_header_loses_no_other_record(database, toy_process, broker):
    tenants = [a_tenant() for _ in range(6)]
    sent = facts(tenants, 60)
    process = toy_process()
    process.start()
    await process.ready()
    await publish(broker, sent, rubbish={0, 20, 59})

    async def letters():
        return await database.fetchval(
            "select count(*) from dead_letter where record_key = any($1)",
            [sent[number].subject.encode() + b"x" for number in (0, 20, 59)],
        )

    async def done():
        # Of other keys than the facts, so in partitions that may be read last.
        return len(await effects(database, tenants)) >= len(sent) and await letters() >= 3

    await until(done)
    in_order(await effects(database, tenants), sent)
    assert await letters() == 3


async def test_a_stopped_service_leaves_nothing_undone(database, toy_process, broker):
    tenants = [a_tenant() for _ in range(4)]
    sent = facts(tenants, 80)
    process = toy_process()
    process.start()
    await process.ready()
    await publish(broker, sent)
    await until(lambda: _some(database, tenants))
    await asyncio.to_thread(process.stop)
    assert "service.stopped" in process.log
    assert "drain_timed_out" not in process.log
    handled = len(await effects(database, tenants))
    waiting = await database.fetchval("select count(*) from outbox")
    assert waiting == 0
    heir = toy_process()
    heir.start()

    async def done():
        return len(await effects(database, tenants)) >= len(sent)

    await until(done)
    in_order(await effects(database, tenants), sent)
    assert handled > 0


async def _some(database, tenants):
    return bool(await effects(database, tenants))
