"""A poll becomes one committed transaction, whatever it holds and however often it comes."""

import random

import asyncpg
import pytest

from invoiceos_contracts.identity_v1 import ApiKeyRevoked, TenantCreated
from messaging import processing
from messaging.consuming import Subscriptions, consumes
from messaging.dead_letters import release
from messaging.processing import GaveUp, Processor
from testkit.service import a_tenant, record, record_of
from toy_service import app


def fact(name="n", tenant=None):
    return TenantCreated(tenant_id=tenant or a_tenant(), name=name)


async def effects(toy):
    rows = await toy.worker.fetch("select name from effect order by place")
    return [row["name"] for row in rows]


async def letters(toy):
    return await toy.worker.fetch(
        "select id, state, reason, type, record_key, error from dead_letter order by record_offset"
    )


async def test_an_event_has_its_effect_once_however_often_it_comes(toy):
    same = record_of(fact("once"))
    await toy.receives(same, same)
    await toy.receives(same)
    assert await effects(toy) == ["once"]
    assert len(await toy.facts(ApiKeyRevoked)) == 1


async def test_doubled_and_shuffled_streams_have_each_effect_once(toy):
    records = [record_of(fact(f"{number}")) for number in range(200)]
    stream = records * 3
    random.Random(7).shuffle(stream)
    for start in range(0, len(stream), 37):
        await toy.receives(*stream[start : start + 37])
    assert sorted(await effects(toy)) == sorted(str(number) for number in range(200))


@pytest.mark.parametrize("place", [0, 7, 14])
async def test_a_poisonous_event_is_put_aside_and_its_neighbours_are_handled(toy, place):
    facts = [fact(f"good{number}") for number in range(15)]
    facts[place] = fact("poison")
    await toy.receives(*facts)
    assert len(await effects(toy)) == 14
    (letter,) = await letters(toy)
    assert (letter["state"], letter["reason"]) == ("dead", "handler")
    assert "Poison" in letter["error"]


async def test_two_poisonous_events_in_one_batch_are_both_found(toy):
    await toy.receives(*[fact(n) for n in ("a", "poison1", "b", "c", "poison2", "d")])
    assert await effects(toy) == ["a", "b", "c", "d"]
    assert len(await letters(toy)) == 2


async def test_a_handler_that_breaks_on_nearly_everything_puts_nothing_aside(toy, monkeypatch):
    monkeypatch.setattr(processing, "TRIES_MAX", 3)
    facts = [fact(f"poison{number}") for number in range(30)]
    with pytest.raises(GaveUp):
        await toy.receives(*facts)
    assert toy.processor.failing_since is not None
    assert await letters(toy) == []
    assert await toy.worker.fetchval("select count(*) from inbox") == 0
    await toy.receives(fact("good"))
    assert toy.processor.failing_since is None


async def test_later_events_of_a_dead_key_park_behind_it_in_the_same_and_in_later_polls(toy):
    tenant = a_tenant()
    await toy.receives(fact("poison", tenant), fact("second", tenant), fact("other"))
    await toy.receives(fact("third", tenant))
    assert await effects(toy) == ["other"]
    assert [letter["state"] for letter in await letters(toy)] == ["dead", "parked", "parked"]


async def test_a_replay_handles_a_key_in_its_order_once_the_fault_is_mended(toy, monkeypatch):
    tenant = a_tenant()
    await toy.receives(fact("poison", tenant), fact("second", tenant))
    (first, _) = await letters(toy)
    handled = []

    @consumes(TenantCreated)
    async def mended(tx, events):
        del tx
        handled.extend(event.fact.name for event in events)

    async with toy.worker.transaction() as tx:
        assert await release(tx, [first["id"]]) == 2
    assert await Processor(toy.worker, Subscriptions(app.service.name, [mended])).replay() == 2
    assert handled == ["poison", "second"]
    assert {letter["state"] for letter in await letters(toy)} == {"resolved"}


async def test_a_replay_that_fails_again_is_dead_again_and_blocks_its_key(toy):
    tenant = a_tenant()
    await toy.receives(fact("poison", tenant), fact("second", tenant))
    async with toy.worker.transaction() as tx:
        await release(tx, [(await letters(toy))[0]["id"]])
    await toy.processor.replay()
    assert [letter["state"] for letter in await letters(toy)] == ["dead", "parked"]
    assert await effects(toy) == []


@pytest.mark.parametrize(
    ("headers", "value", "reason"),
    [
        ((("ce_id", b"\xff\xfe"),), b"{}", "envelope"),
        ((), b"{}", "envelope"),
        (record_of(fact()).headers, b"not json", "contract"),
        (record_of(fact()).headers, b'{"tenant_id":"ten_x"}', "contract"),
        (record_of(fact()).headers, b"[" * 5000, "contract"),
        (record_of(fact()).headers, None, "contract"),
    ],
    ids=["bad header", "no headers", "not JSON", "bad id", "deep", "no value"],
)
async def test_a_record_that_cannot_be_read_is_put_aside_and_loses_no_neighbour(
    toy, headers, value, reason
):
    bad = record(TenantCreated.TOPIC, b"somebody", value, headers)
    await toy.receives(fact("before"), bad, fact("after"))
    assert await effects(toy) == ["before", "after"]
    (letter,) = await letters(toy)
    assert (letter["state"], letter["reason"]) == ("dead", reason)


async def test_a_body_of_another_tenant_than_its_header_is_put_aside_whatever_its_key(toy):
    ours, theirs = record_of(fact("ours")), record_of(fact("theirs"))
    await toy.receives(
        record(ours.topic, theirs.key, theirs.value, ours.headers),
        record(ours.topic, ours.key, theirs.value, ours.headers),
    )
    assert await effects(toy) == []
    assert [letter["reason"] for letter in await letters(toy)] == ["envelope", "envelope"]


async def test_a_dead_letter_is_published_with_its_cause_and_origin(toy):
    await toy.receives(fact("poison"))
    row = (await toy.worker.fetch("select topic, headers from outbox where headers is not null"))[0]
    headers = dict(row["headers"])
    assert row["topic"] == "invoiceos.identity.v1.dlq"
    assert headers["dlq_reason"] == "handler"
    assert headers["dlq_source"].startswith("invoiceos.identity.v1/0/")
    assert headers["ce_type"] == TenantCreated.TYPE


async def test_events_nobody_asked_for_are_passed_over(toy):
    await toy.receives(ApiKeyRevoked(tenant_id=a_tenant(), api_key_id=a_tenant(), prefix="p"))
    assert await effects(toy) == []
    assert await toy.worker.fetchval("select count(*) from inbox") == 0


async def test_a_passing_fault_is_tried_again_until_it_passes(toy):
    tries = []

    @consumes(TenantCreated)
    async def flaky(tx, events):
        tries.append(len(events))
        if len(tries) < 4:
            raise asyncpg.DeadlockDetectedError("again")
        await app.record(tx, events)

    processor = Processor(toy.worker, Subscriptions("flaky", [flaky]))
    await processor.process([record_of(fact("a")), record_of(fact("b"))])
    assert tries == [2, 2, 2, 2]
    assert await effects(toy) == ["a", "b"]
    assert await letters(toy) == []


async def test_the_order_of_a_key_holds_when_handlers_alternate(toy):
    del toy
    seen = []

    @consumes(TenantCreated)
    async def created(tx, events):
        seen.append(("created", [event.fact.name for event in events]))

    @consumes(ApiKeyRevoked)
    async def revoked(tx, events):
        seen.append(("revoked", [event.fact.prefix for event in events]))

    one, two = a_tenant(), a_tenant()
    batch = []
    for tenant in (one, two):
        batch.append(fact("1", tenant))
        batch.append(ApiKeyRevoked(tenant_id=tenant, api_key_id=tenant, prefix="2"))
        batch.append(fact("3", tenant))
    subscriptions = Subscriptions("waves", [created, revoked])
    from messaging.records import read

    events = [read(record_of(item), subscriptions.types) for item in batch]
    for handler, wave in subscriptions.waves(events):
        await handler(None, wave)
    assert seen == [("created", ["1", "1"]), ("revoked", ["2", "2"]), ("created", ["3", "3"])]


def test_two_handlers_for_one_event_are_refused():
    with pytest.raises(ValueError, match="two handlers"):
        Subscriptions("twice", [app.on_tenant_created, app.on_tenant_created])
