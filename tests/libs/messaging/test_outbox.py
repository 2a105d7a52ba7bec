"""Facts commit with what made them true, numbered without a gap, in the order of their making."""

import asyncio
import random

import pytest

from invoiceos_contracts.identity_v1 import TenantCreated
from testkit.service import ServiceUnderTest, a_tenant


def fact(tenant, name="n"):
    return TenantCreated(tenant_id=tenant, name=name)


async def rows(toy: ServiceUnderTest):
    return await toy.worker.fetch("select seq, key, version, payload from outbox order by seq")


async def test_a_rolled_back_transaction_states_nothing(toy):
    with pytest.raises(RuntimeError):
        async with toy.worker.transaction() as tx:
            tx.stage([fact(a_tenant())])
            await tx.flush()
            raise RuntimeError
    assert await toy.facts() == []
    assert await toy.worker.fetchval("select count(*) from stream_head") == 0


async def test_versions_of_an_aggregate_have_no_gap_across_batches_and_transactions(toy):
    one, two = a_tenant(), a_tenant()
    for batch in ([one, two, one], [two], [one, one, two]):
        async with toy.worker.transaction() as tx:
            tx.stage([fact(tenant) for tenant in batch])
    found = await rows(toy)
    for tenant, count in ((one, 4), (two, 3)):
        key = fact(tenant).subject
        assert [row["version"] for row in found if row["key"] == key] == list(range(1, count + 1))


async def test_facts_keep_the_order_in_which_they_were_staged(toy):
    tenant = a_tenant()
    async with toy.worker.transaction() as tx:
        tx.stage(fact(tenant, f"{number}") for number in range(300))
    assert [staged.name for staged in await toy.facts()] == [str(number) for number in range(300)]


async def test_order_of_sending_agrees_with_versions_when_writers_race_for_the_same_aggregates(toy):
    tenants = [a_tenant() for _ in range(5)]

    async def write(seed: int) -> None:
        chooser = random.Random(seed)
        for _ in range(15):
            async with toy.worker.transaction() as tx:
                tx.stage(fact(tenant) for tenant in chooser.sample(tenants, 3))
                await asyncio.sleep(chooser.random() / 500)

    await asyncio.gather(*(write(seed) for seed in range(4)))
    found = await rows(toy)
    assert len(found) == 4 * 15 * 3
    for tenant in tenants:
        versions = [row["version"] for row in found if row["key"] == fact(tenant).subject]
        assert versions == list(range(1, len(versions) + 1))


async def test_a_savepoint_takes_its_facts_and_timers_with_it(toy):
    kept, dropped = a_tenant(), a_tenant()
    async with toy.worker.transaction() as tx:
        tx.stage([fact(kept)])
        with pytest.raises(RuntimeError):
            async with tx.savepoint():
                tx.stage([fact(dropped)])
                raise RuntimeError
    assert [staged.tenant_id for staged in await toy.facts()] == [kept]


async def test_a_fact_larger_than_a_record_may_be_fails_its_transaction_not_the_relay(toy):
    with pytest.raises(Exception, match="outbox_payload_check"):
        async with toy.worker.transaction() as tx:
            tx.stage([fact(a_tenant(), "x" * 1_100_000)])
    assert await toy.facts() == []
