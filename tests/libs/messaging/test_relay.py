"""What the relay does step by step, with a broker that answers when it is told to."""

import asyncio

from aiokafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError

from invoiceos_contracts.identity_v1 import TenantCreated
from messaging import KafkaAccess, Relay
from messaging.outbox import SHARDS
from messaging.records import read
from testkit.service import a_tenant, record_of


class Broker:
    """Takes records; acknowledges them at once, or when asked to, or finds one too large."""

    def __init__(self, *, prompt=True, too_large=b""):
        self.taken = []
        self.acknowledgements = []
        self.made_later = set()
        self._prompt = prompt
        self._too_large = too_large

    async def send(self, topic, value, *, key, headers):
        del topic, headers
        if self._too_large and self._too_large in value:
            raise MessageSizeTooLargeError
        self.taken.append((key.decode(), TenantCreated.read(value).name))
        acknowledged = asyncio.get_running_loop().create_future()
        if self._prompt:
            acknowledged.set_result(None)
        self.acknowledgements.append(acknowledged)
        return acknowledged

    async def partitions_for(self, topic):
        if topic not in self.made_later:
            raise UnknownTopicOrPartitionError
        return {0}

    async def stop(self):
        """Nothing was opened."""


async def relay_of(toy, broker):
    relay = Relay(toy.place.url("worker"), toy.place.schema, service="toy", kafka=KafkaAccess("-"))
    relay._producer = broker
    await relay._connect()
    await relay._claim()
    return relay


async def stage(toy, tenant, *names):
    async with toy.worker.transaction() as tx:
        tx.stage(TenantCreated(tenant_id=tenant, name=name) for name in names)


async def waiting(toy):
    return await toy.worker.fetchval("select count(*) from outbox")


async def test_a_row_stays_until_the_broker_has_acknowledged_it(toy):
    await stage(toy, a_tenant(), "a", "b")
    broker = Broker(prompt=False)
    relay = await relay_of(toy, broker)
    publishing = asyncio.create_task(relay.publish())
    while len(broker.taken) < 2:
        await asyncio.sleep(0.005)
    broker.acknowledgements[0].set_result(None)
    finished, _ = await asyncio.wait([publishing], timeout=0.5)
    assert (await waiting(toy), finished) == (2, set())
    broker.acknowledgements[1].set_result(None)
    assert await publishing == 2
    assert await waiting(toy) == 0
    await relay._disconnect()


async def test_rows_are_sent_in_order_wherever_they_lie(toy):
    names = [f"{number}" for number in range(20)]
    await stage(toy, a_tenant(), *names)
    # A row that is written again lies behind the others.
    rewritten = "update outbox set parked = false where seq <= (select min(seq) + 9 from outbox)"
    await toy.worker.pool.execute(rewritten)
    broker = Broker()
    relay = await relay_of(toy, broker)
    await relay.publish()
    assert [name for _, name in broker.taken] == names
    await relay._disconnect()


async def test_a_row_that_can_never_be_sent_holds_up_its_key_alone(toy):
    stuck, free = a_tenant(), a_tenant()
    await stage(toy, stuck, "enormous", "behind")
    await stage(toy, free, "other")
    broker = Broker(too_large=b"enormous")
    relay = await relay_of(toy, broker)
    for _ in range(2):
        await asyncio.gather(relay.publish(), return_exceptions=True)
    assert [name for _, name in broker.taken] == ["other"]
    assert await waiting(toy) == 2
    await relay._disconnect()


async def test_a_shard_belongs_to_one_relay_until_its_session_ends(toy):
    first, second = await relay_of(toy, Broker()), await relay_of(toy, Broker())
    assert (len(first.owned), len(second.owned)) == (SHARDS, 0)
    await first._disconnect()
    while len(second.owned) < SHARDS:
        second._claimed_at = 0.0
        await second._claim()
        await asyncio.sleep(0.01)
    await second._disconnect()


async def test_what_is_for_a_topic_that_is_not_there_waits_in_order_and_holds_up_no_other(toy):
    topic = "partner.acme.events.v1"
    copies = [TenantCreated(tenant_id=a_tenant(), name=f"copy {n}") for n in range(3)]
    async with toy.worker.transaction() as tx:
        tx.forward((topic, read(record_of(fact), {fact.TYPE})) for fact in copies)
    await stage(toy, a_tenant(), "own")
    broker = Broker()
    relay = await relay_of(toy, broker)
    assert await relay.publish() == 1
    assert await relay.publish() == 0
    assert [name for _, name in broker.taken] == ["own"]
    broker.made_later.add(topic)
    relay._missing.clear()  # as after a quarter of a minute
    assert await relay.publish() == 3
    assert [name for _, name in broker.taken[1:]] == ["copy 0", "copy 1", "copy 2"]
    assert await waiting(toy) == 0
    await relay._disconnect()
