"""Letters that were released are handled in the order of their key, all of them, and none before."""

from invoiceos_contracts.identity_v1 import TenantCreated
from messaging.consuming import Subscriptions, consumes
from messaging.dead_letters import release
from messaging.processing import Processor
from testkit.service import a_tenant
from toy_service import app


def facts(tenant, *names):
    return [TenantCreated(tenant_id=tenant, name=name) for name in names]


async def states(toy):
    rows = await toy.worker.fetch("select state from dead_letter order by record_offset")
    return [row["state"] for row in rows]


async def release_all(toy):
    first = await toy.worker.fetchval("select id from dead_letter order by record_offset limit 1")
    async with toy.worker.transaction() as tx:
        await release(tx, [first])


def mended(toy, handled):
    @consumes(TenantCreated)
    async def handler(tx, events):
        del tx
        handled.extend(event.fact.name for event in events)

    return Processor(toy.worker, Subscriptions(app.service.name, [handler]))


async def test_what_came_between_the_release_and_the_replay_is_handled_too(toy):
    tenant = a_tenant()
    await toy.receives(*facts(tenant, "poison", "second"))
    await release_all(toy)
    await toy.receives(*facts(tenant, "third"))
    handled = []
    processor = mended(toy, handled)
    while await processor.replay():
        pass
    assert handled == ["poison", "second", "third"]
    assert set(await states(toy)) == {"resolved"}


async def test_what_waits_behind_a_letter_that_was_set_aside_for_good_is_handled(toy):
    tenant = a_tenant()
    await toy.receives(*facts(tenant, "poison", "second", "third"))
    await toy.worker.pool.execute("update dead_letter set state = 'resolved' where state = 'dead'")
    handled = []
    assert await mended(toy, handled).replay() == 2
    assert handled == ["second", "third"]


async def test_a_key_of_many_letters_stays_behind_its_culprit_when_that_fails_again(toy):
    tenant = a_tenant()
    await toy.receives(*facts(tenant, "poison", "a", "b", "c", "d"))
    await release_all(toy)
    assert await toy.processor.replay(limit=2) == 2
    assert await toy.processor.replay(limit=2) == 0
    assert await states(toy) == ["dead", "parked", "parked", "parked", "parked"]
    assert await toy.worker.fetchval("select count(*) from effect") == 0
