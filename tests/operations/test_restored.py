"""Where consumer groups go on from after a restore, and what is said of histories, case by case."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import CommitFailedError

from invoiceos_contracts.identity_v1 import TenantCreated
from messaging import KafkaAccess, Tx
from messaging.operations import Act, restore
from messaging.operations.restore import Sent
from messaging.operations.restored_topics import (
    commit,
    committed,
    corrected,
    from_the_beginning,
    occupied,
)
from testkit.service import a_tenant, record_of

TOPIC = TenantCreated.TOPIC
FIRST, SECOND = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
ACT = Act("ada", "the drill")


def sent(key="ten_x", version=1, offset=0, event_id=None, partition=0):
    return Sent(
        TOPIC,
        partition,
        offset,
        key,
        version,
        a_tenant(),
        event_id or Tx.new_id(),
        TenantCreated.TYPE,
        datetime.now(UTC),
        "{}",
    )


@pytest.mark.parametrize(
    ("now", "ends", "unhandled", "moved"),
    [
        ({FIRST: 9}, {FIRST: 9}, [], {}),
        ({FIRST: 9}, {FIRST: 9}, [sent(offset=7), sent(offset=4)], {FIRST: 4}),
        ({FIRST: 9}, {FIRST: 20}, [sent(offset=12)], {}),
        ({FIRST: 9}, {FIRST: 3}, [], {FIRST: 3}),
        ({FIRST: 9, SECOND: 5}, {FIRST: 9, SECOND: 5}, [sent(partition=1, offset=2)], {SECOND: 2}),
        ({}, {FIRST: 9}, [sent(offset=1)], {}),
    ],
    ids=["right", "went back", "not read yet", "beyond the end", "one of two", "a new group"],
)
def test_a_group_goes_on_before_what_it_has_not_handled(now, ends, unhandled, moved):
    assert corrected(now, ends, iter(unhandled)) == moved


@pytest.fixture
async def kafka(infra):
    return KafkaAccess(infra.kafka_bootstrap)


@pytest.fixture
async def place(kafka):
    """The one partition of a topic nobody else uses."""
    made = TopicPartition(f"restored.{uuid4()}", 0)
    admin = AIOKafkaAdminClient(**kafka.options())
    await admin.start()
    try:
        await admin.create_topics([NewTopic(made.topic, 1, 1)])
        yield made
        await admin.delete_topics([made.topic])
    finally:
        await admin.close()


async def test_a_group_is_moved_when_its_last_member_is_gone(kafka, place):
    first, second, empty = (f"{name}.{uuid4()}" for name in ("first", "second", "empty"))
    readers = [
        AIOKafkaConsumer(place.topic, group_id=group, enable_auto_commit=False, **kafka.options())
        for group in (first, second)
    ]
    try:
        for reader in readers:
            await reader.start()
        assert await occupied(kafka, [empty, first, second]) == [first, second]
        await readers[0].stop()
        assert await occupied(kafka, [empty, first, second]) == [second]
        with pytest.raises(CommitFailedError):
            await commit(kafka, second, {place: 0})
    finally:
        for reader in readers:
            await reader.stop()
    assert await occupied(kafka, [empty, first, second]) == []
    assert await committed(kafka, second) == {}
    await commit(kafka, second, {place: 0})
    assert await committed(kafka, second) == {place: 0}


async def compared(toy, records, truncated=()):
    async with toy.worker.transaction() as tx:
        return await restore.compare(tx, [TOPIC], records, truncated)


async def stated(toy, key, version):
    await toy.worker.pool.execute(
        "insert into stream_head (topic, key, tenant_id, version) values ($1, $2, $3, $4)",
        TOPIC,
        key,
        a_tenant(),
        version,
    )


async def test_versions_beyond_the_head_are_forgotten_and_missing_ones_lost(toy):
    await stated(toy, "ten_a", 3)
    records = [sent("ten_a", 1), sent("ten_a", 4), sent("ten_b", 1)]
    found = await compared(toy, records)
    assert [(r.key, r.version) for r in found.forgotten] == [("ten_a", 4), ("ten_b", 1)]
    assert [(r.key, r.version) for r in found.lost] == [("ten_a", 2), ("ten_a", 3)]


async def test_what_retention_removed_is_not_called_lost_but_counted_as_unjudged(toy):
    await stated(toy, "ten_a", 3)
    await stated(toy, "ten_b", 2)
    found = await compared(toy, [sent("ten_a", 2)], [TOPIC])
    assert [(r.key, r.version) for r in found.lost] == [("ten_a", 3)]
    assert found.unjudged == 2


async def test_histories_go_on_after_what_was_forgotten_and_a_second_run_finds_nothing(toy):
    await stated(toy, "ten_a", 1)
    records = [sent("ten_a", 1), sent("ten_a", 2), sent("ten_b", 1)]
    async with toy.worker.transaction() as tx:
        await restore.agree(tx, await restore.compare(tx, [TOPIC], records, ()), ACT)
    rows = await toy.worker.fetch("select key, version from stream_head order by key")
    assert [tuple(row) for row in rows] == [("ten_a", 2), ("ten_b", 1)]
    found = await compared(toy, records)
    assert (found.forgotten, found.lost) == ([], [])
    assert await toy.worker.fetchval("select count from operation") == 2


async def test_a_forgotten_fact_is_not_handled_and_others_are(toy):
    fact = TenantCreated(tenant_id=a_tenant(), name="forgotten")
    other = TenantCreated(tenant_id=a_tenant(), name="known")
    event_id = Tx.new_id()
    async with toy.worker.transaction() as tx:
        records = [sent(event_id=event_id), sent(offset=1)]
        await restore.forget(tx, toy.processor.group, records[:1])
        left = await restore.unhandled(tx, toy.processor.group, records)
    assert left == records[1:]
    await toy.receives(record_of(fact, event_id=event_id), other)
    assert [r["name"] for r in await toy.worker.fetch("select name from effect")] == ["known"]


async def test_letters_of_a_topic_that_was_made_anew_are_out_of_the_way(toy):
    bad = record_of(TenantCreated(tenant_id=a_tenant(), name="poison"))
    await toy.receives(bad)
    async with toy.worker.transaction() as tx:
        assert await restore.move_letters_away(tx, {(TOPIC, 0): bad.offset + 1}) == 0
        assert await restore.move_letters_away(tx, {(TOPIC, 0): 0}) == 1
    assert await toy.worker.fetchval("select max(record_offset) from dead_letter") < 0


def test_what_partners_wrote_is_read_once_more_and_then_no_more() -> None:
    place, untouched = TopicPartition("partner.a.requests.v1", 0), TopicPartition("b", 1)
    again = from_the_beginning({place: 7, untouched: 0})
    assert again == {place: 0}
    assert from_the_beginning(again) == {}
