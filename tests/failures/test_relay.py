"""Whatever kills the relay, and wherever: every fact arrives, first occurrences in order."""

import asyncio
import signal

import pytest

from invoiceos_contracts.cloudevents import from_headers
from invoiceos_contracts.identity_v1 import TenantCreated
from messaging import KafkaAccess, Relay
from testkit.processes import read_topic, until
from testkit.service import a_tenant


def facts(tenants, count):
    return [
        TenantCreated(tenant_id=tenants[number % len(tenants)], name=f"{number}")
        for number in range(count)
    ]


async def stage(database, batch):
    async with database.transaction() as tx:
        tx.stage(batch)


async def outbox_is_empty(database):
    return not await database.fetchval("select exists (select from outbox)")


def versions(records):
    """Versions by key, in the order in which each came first."""
    seen: dict[bytes, list[int]] = {}
    for record in records:
        version = from_headers(record.headers).aggregate_version
        known = seen.setdefault(record.key, [])
        if version not in known:
            known.append(version)
    return seen


@pytest.mark.parametrize(
    "failpoint", ["relay.read", "relay.sent:37", "relay.acked", "relay.deleted"]
)
async def test_a_relay_killed_anywhere_loses_and_reorders_nothing(
    database, toy_process, broker, failpoint
):
    tenants = [a_tenant() for _ in range(10)]
    batch = facts(tenants, 100)
    await stage(database, batch)
    dying = toy_process()
    dying.start(failpoint=failpoint, roles="relay")
    await dying.died()
    heir = toy_process()
    heir.start(roles="relay")
    await until(lambda: outbox_is_empty(database))
    keys = {fact.subject.encode() for fact in batch}
    records = await read_topic(broker, TenantCreated.TOPIC, keys, 100)
    assert versions(records) == {key: list(range(1, 11)) for key in keys}


async def test_a_relay_that_was_paused_past_its_lease_does_no_harm_when_it_comes_back(
    database, toy_process, broker
):
    tenants = [a_tenant() for _ in range(5)]
    zombie = toy_process()
    zombie.start(roles="relay")
    await zombie.ready()
    batches = [facts(tenants, 50) for _ in range(4)]
    await stage(database, batches[0])
    zombie.signal(signal.SIGSTOP)
    await stage(database, batches[1])
    heir = toy_process()
    heir.start(roles="relay")
    # PostgreSQL ends the silent session after the lease of 10 s; only then the shards are free.
    await until(lambda: outbox_is_empty(database), seconds=120)
    zombie.signal(signal.SIGCONT)
    await stage(database, batches[2])
    await asyncio.sleep(0.5)
    await stage(database, batches[3])
    await until(lambda: outbox_is_empty(database))
    keys = {fact.subject.encode() for fact in batches[0]}
    records = await read_topic(broker, TenantCreated.TOPIC, keys, 200)
    assert versions(records) == {key: list(range(1, 41)) for key in keys}


async def test_a_transaction_that_commits_late_is_not_passed_over(database, place, broker):
    relay = Relay(
        place.url("worker"), place.schema, service="toy_service", kafka=KafkaAccess(broker)
    )
    task = asyncio.create_task(relay.run())
    slow, fast = a_tenant(), a_tenant()
    try:
        async with database.transaction() as tx:
            tx.stage(facts([slow], 1))
            await tx.flush()
            await stage(database, facts([fast], 1))
            relay.wake()
            await until(lambda: _sent(database, fast))
        relay.wake()
        await until(lambda: outbox_is_empty(database))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    keys = {fact.subject.encode() for fact in facts([slow, fast], 2)}
    records = await read_topic(broker, TenantCreated.TOPIC, keys, 2)
    assert {record.key for record in records} == keys


async def _sent(database, tenant):
    return not await database.fetchval(
        "select exists (select from outbox where tenant_id = $1)", tenant
    )


async def test_two_relays_share_no_shard(place, broker):
    relays = [
        Relay(place.url("worker"), place.schema, service="toy_service", kafka=KafkaAccess(broker))
        for _ in range(2)
    ]
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        await until(lambda: _owned(relays))
        assert not relays[0].owned & relays[1].owned
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _owned(relays):
    return sum(len(relay.owned) for relay in relays) == 16


async def test_the_relay_works_on_after_its_database_session_was_cut(database, place, broker):
    relay = Relay(
        place.url("worker"), place.schema, service="toy_service", kafka=KafkaAccess(broker)
    )
    task = asyncio.create_task(relay.run())
    tenant = a_tenant()
    try:
        for number in range(3):
            await stage(database, [TenantCreated(tenant_id=tenant, name=f"{number}")])
            await until(lambda: outbox_is_empty(database))
            await database.fetch(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'toy_service.relay' and datname = current_database()"
            )
        await stage(database, [TenantCreated(tenant_id=tenant, name="3")])
        await until(lambda: outbox_is_empty(database))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    key = facts([tenant], 1)[0].subject.encode()
    records = await read_topic(broker, TenantCreated.TOPIC, {key}, 4)
    assert versions(records) == {key: [1, 2, 3, 4]}
