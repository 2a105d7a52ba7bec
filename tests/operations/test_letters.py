"""What operators do with dead letters, on the real database: found, replayed, set aside for good."""

from datetime import timedelta

import asyncpg
import pytest

from invoiceos_contracts.identity_v1 import TenantCreated
from messaging import Processor, Subscriptions, consumes, operations
from messaging.operations import Act, LetterFilter
from testkit.service import a_tenant, record, record_of
from toy_service import app

ACT = Act("ada", "the fault is mended")


def fact(name, tenant=None):
    return TenantCreated(tenant_id=tenant or a_tenant(), name=name)


def garbage(key):
    return record(TenantCreated.TOPIC, key, b"not json", ())


async def effects(toy):
    return [row["name"] for row in await toy.worker.fetch("select name from effect order by place")]


async def found(toy, **wanted):
    async with toy.worker.transaction() as tx:
        return await operations.find(tx, LetterFilter(**wanted))


async def states(toy):
    rows = await toy.worker.fetch("select state from dead_letter order by record_offset")
    return [row["state"] for row in rows]


async def discard(toy, letter, *, whole_key=False):
    async with toy.worker.transaction() as tx:
        return await operations.discard(tx, letter["id"], ACT, whole_key=whole_key)


async def journal(toy):
    return [
        (row["actor"], row["action"], row["reason"], row["count"])
        for row in await toy.worker.fetch("select * from operation order by id")
    ]


def mended(toy):
    @consumes(TenantCreated)
    async def handler(tx, events):
        await app.record(tx, [e for e in events if not e.fact.name.startswith("poison")])

    return Processor(toy.worker, Subscriptions(app.service.name, [handler]))


async def test_filters_choose_letters(toy):
    tenant = a_tenant()
    await toy.receives(fact("poison", tenant), fact("second", tenant), garbage(b"k"))
    by = {
        "tenant": await found(toy, tenant_id=tenant),
        "cause": await found(toy, cause="envelope"),
        "type": await found(toy, type=TenantCreated.TYPE),
        "state": await found(toy, states=("parked",)),
        "key": await found(toy, key="k"),
        "consumer": await found(toy, consumer="somebody else"),
        "age": await found(toy, age=timedelta(hours=1)),
    }
    assert {name: len(rows) for name, rows in by.items()} == {
        "tenant": 2,
        "cause": 1,
        "type": 2,
        "state": 1,
        "key": 1,
        "consumer": 0,
        "age": 0,
    }
    assert len(await found(toy)) == 3


async def test_a_letter_is_shown_with_its_payload_and_what_waits_behind_it(toy):
    tenant = a_tenant()
    await toy.receives(fact("poison", tenant), fact("second", tenant), fact("third", tenant))
    first = (await found(toy))[0]
    async with toy.worker.transaction() as tx:
        shown = await operations.show(tx, first["id"])
        assert await operations.show(tx, tx.new_id()) is None
    assert '"name":"poison"' in shown["payload"]
    assert ["ce_type", TenantCreated.TYPE] in shown["headers"]
    assert shown["behind_count"] == 2
    assert [letter["state"] for letter in shown["behind"]] == ["parked", "parked"]


async def test_a_replay_by_filter_takes_whole_keys_and_leaves_others_and_is_in_the_journal(toy):
    tenant, other = a_tenant(), a_tenant()
    await toy.receives(fact("poison", tenant), fact("second", tenant), fact("poison", other))
    async with toy.worker.transaction() as tx:
        assert await operations.replay(tx, LetterFilter(tenant_id=tenant), ACT) == 2
    assert await states(toy) == ["replaying", "replaying", "dead"]
    assert await journal(toy) == [("ada", "dead_letters.replay", "the fault is mended", 2)]


async def test_a_replay_keeps_event_ids_and_order(toy):
    tenant = a_tenant()
    sent = [record_of(fact(name, tenant)) for name in ("poison", "second", "third")]
    await toy.receives(*sent)
    async with toy.worker.transaction() as tx:
        await operations.replay(tx, LetterFilter(tenant_id=tenant), ACT)
    while await mended(toy).replay():
        pass
    rows = await toy.worker.fetch("select name, event_id::text from effect order by place")
    ids = [dict(item.headers)["ce_id"].decode() for item in sent]
    assert [tuple(row) for row in rows] == [("second", ids[1]), ("third", ids[2])]
    assert await toy.worker.fetchval("select count(*) from inbox") == 3


async def test_what_waited_behind_a_discarded_culprit_is_handled_in_order_and_later_events_too(toy):
    tenant = a_tenant()
    await toy.receives(*[fact(name, tenant) for name in ("poison", "second", "third")])
    assert await discard(toy, (await found(toy))[0]) == (1, 2)
    assert await states(toy) == ["discarded", "replaying", "replaying"]
    await toy.receives(fact("fourth", tenant))
    while await toy.processor.replay():
        pass
    await toy.receives(fact("fifth", tenant))
    assert await effects(toy) == ["second", "third", "fourth", "fifth"]
    assert await states(toy) == ["discarded", "resolved", "resolved", "resolved"]
    assert await journal(toy) == [("ada", "dead_letters.discard", "the fault is mended", 1)]


async def test_an_unreadable_record_on_a_live_key_needs_no_sql(toy):
    tenant = a_tenant()
    before, after = fact("before", tenant), fact("after", tenant)
    await toy.receives(before, garbage(before.subject.encode()), after)
    assert await effects(toy) == ["before"]
    (culprit,) = await found(toy, states=("dead",))
    assert await discard(toy, culprit) == (1, 1)
    await toy.processor.replay()
    assert await effects(toy) == ["before", "after"]


async def test_a_second_copy_of_a_discarded_event_is_not_handled(toy):
    sent = record_of(fact("poison"))
    await toy.receives(sent)
    await discard(toy, (await found(toy))[0])
    again = record(sent.topic, sent.key, sent.value, sent.headers)
    await mended(toy).process([again])
    assert await effects(toy) == []
    assert await states(toy) == ["discarded"]


async def test_behind_a_discarded_culprit_events_are_handled_up_to_the_next_one(toy):
    tenant = a_tenant()
    key = fact("x", tenant).subject.encode()
    await toy.receives(fact("poison", tenant), fact("a", tenant))
    await toy.receives(garbage(key), fact("b", tenant))
    first, _, second, _ = await found(toy)
    assert await discard(toy, first) == (1, 1)
    while await toy.processor.replay():
        pass
    assert await effects(toy) == ["a"]
    assert await states(toy) == ["discarded", "resolved", "dead", "parked"]
    assert await discard(toy, second) == (1, 1)
    await toy.processor.replay()
    assert await effects(toy) == ["a", "b"]


async def test_a_whole_key_is_discarded_and_later_events_of_it_are_handled(toy):
    tenant = a_tenant()
    await toy.receives(*[fact(name, tenant) for name in ("poison", "second")])
    assert await discard(toy, (await found(toy))[0], whole_key=True) == (2, 0)
    await toy.receives(fact("third", tenant))
    assert await effects(toy) == ["third"]


async def test_what_is_closed_is_not_discarded_again_and_leaves_no_trace_in_the_journal(toy):
    await toy.receives(fact("poison"))
    (letter,) = await found(toy)
    assert await discard(toy, letter) == (1, 0)
    assert await discard(toy, letter) == (0, 0)
    assert len(await journal(toy)) == 1


@pytest.mark.parametrize("act", [Act("", "why"), Act("ada", " ")])
async def test_without_a_name_or_a_reason_nothing_happens(toy, act):
    await toy.receives(fact("poison"))
    (letter,) = await found(toy)
    with pytest.raises(asyncpg.CheckViolationError):
        async with toy.worker.transaction() as tx:
            await operations.discard(tx, letter["id"], act)
    assert await states(toy) == ["dead"]


@pytest.mark.parametrize("statement", ["update operation set reason = ''", "delete from operation"])
async def test_the_journal_is_only_added_to(toy, statement):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await toy.worker.pool.execute(statement)


async def test_requests_see_nothing_of_the_journal(toy):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await toy.api.pool.fetch("select 1 from operation")
