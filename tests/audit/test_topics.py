"""Reading the topics: everything once, from the beginning, whatever the records hold."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from audit.topics import COMPACTED, Reader, TopicMissing, TopicRecord, read, truncated_topics
from chassis import topics
from invoiceos_contracts import Envelope, to_headers
from invoiceos_contracts.cloudevents import schema_uri
from invoiceos_contracts.notification_v1 import NotificationSent
from messaging import KafkaAccess

TOPIC = "invoiceos.notification.v1"
"""Nobody subscribes to it: what is written here disturbs no test that runs beside this one."""


def a_fact() -> NotificationSent:
    return NotificationSent(
        tenant_id=uuid4(),
        notification_id=uuid4(),
        invoice_id=None,
        channel="email",
        template="receipt",
        attempt=1,
    )


def headers_of(fact: NotificationSent, version: int = 1) -> Any:
    envelope = Envelope(
        id=uuid4(),
        type=fact.TYPE,
        source="/invoiceos/notification",
        subject=fact.subject,
        time=datetime.now(UTC),
        tenant_id=fact.tenant_id,
        aggregate_version=version,
        correlation_id=fact.correlation,
    )
    return to_headers(envelope, schema_uri(type(fact)))


def record(**more: Any) -> ConsumerRecord:
    values: dict[str, Any] = {
        "topic": TOPIC,
        "partition": 3,
        "offset": 17,
        "timestamp": 1_700_000_000_123,
        "timestamp_type": 0,
        "key": None,
        "value": b"",
        "checksum": None,
        "serialized_key_size": 0,
        "serialized_value_size": 0,
        "headers": (),
    }
    return ConsumerRecord(**(values | more))


def test_a_fact_is_known_by_its_envelope() -> None:
    fact = a_fact()
    found = TopicRecord.of(
        record(key=fact.subject.encode(), value=fact.write(), headers=headers_of(fact, 4))
    )
    assert (found.topic, found.partition, found.offset) == (TOPIC, 3, 17)
    assert found.recorded_at == datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC)
    assert (found.key, found.version, found.tenant_id) == (fact.subject, 4, fact.tenant_id)
    assert (found.type, found.error, found.letter_of) == (fact.TYPE, "", None)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"headers": ()}, "envelope"),
        ({"value": b"{}"}, "contract"),
        ({"value": b"\xff"}, "contract"),
        ({"value": None}, "contract"),
        ({"key": b"ntf_other"}, "the key is not the subject"),
        ({"key": b"\xff\xfe"}, "the key is not the subject"),
    ],
)
def test_a_record_that_breaks_the_contract_says_how(change: dict[str, Any], error: str) -> None:
    fact = a_fact()
    right = {"key": fact.subject.encode(), "value": fact.write(), "headers": headers_of(fact)}
    assert error in TopicRecord.of(record(**(right | change))).error


def test_a_type_without_a_contract_is_noticed() -> None:
    fact = a_fact()
    named = tuple(
        (name, b"invoiceos.nothing.v1" if name == "ce_type" else value)
        for name, value in headers_of(fact)
    )
    found = TopicRecord.of(record(key=b"k", headers=named))
    assert found.error == "of a type that no contract knows"


def test_a_dead_letter_says_what_was_put_aside_and_by_whom() -> None:
    marks = (("dlq_consumer", b"invoice"), ("dlq_source", b"invoiceos.wallet.v1/2/7"))
    found = TopicRecord.of(record(topic="invoiceos.wallet.v1.dlq", headers=marks))
    assert (found.consumer, found.letter_of) == ("invoice", "invoiceos.wallet.v1/2/7")
    assert found.error == ""
    assert TopicRecord.of(record(topic="invoiceos.wallet.v1.dlq")).error


def test_a_partition_that_begins_later_has_lost_its_beginning() -> None:
    records = [TopicRecord.of(record(offset=5)), TopicRecord.of(record(partition=1, offset=0))]
    assert truncated_topics(records) == {TOPIC} | COMPACTED
    assert truncated_topics(records[1:]) == COMPACTED


async def test_every_record_is_read_once(infra) -> None:
    await topics.create(KafkaAccess(infra.kafka_bootstrap))
    producer = AIOKafkaProducer(bootstrap_servers=infra.kafka_bootstrap)
    await producer.start()
    reader = Reader(KafkaAccess(infra.kafka_bootstrap))
    facts = [a_fact() for _ in range(20)]
    keys = {fact.subject for fact in facts}
    try:
        for fact in facts[:15]:
            await producer.send_and_wait(
                TOPIC, fact.write(), key=fact.subject.encode(), headers=list(headers_of(fact))
            )
        await reader.open()
        first = [r async for chunk in reader.news() for r in chunk if r.key in keys]
        assert {r.key for r in first} == {fact.subject for fact in facts[:15]}
        assert len(first) == 15
        for fact in facts[15:]:
            await producer.send_and_wait(
                TOPIC, fact.write(), key=fact.subject.encode(), headers=list(headers_of(fact))
            )
        second = [r async for chunk in reader.news() for r in chunk if r.key in keys]
        assert [r.key for r in second] != []
        assert {r.key for r in second} == {fact.subject for fact in facts[15:]}
        everything = await read(KafkaAccess(infra.kafka_bootstrap))
        assert {r.key for r in everything} >= keys
        assert all(r.error == "" for r in first + second)
    finally:
        await reader.close()
        await producer.stop()


async def test_a_topic_that_is_not_there_is_no_empty_topic(infra, monkeypatch) -> None:
    from audit import topics as module
    from invoiceos_contracts.registry import TopicSpec

    await topics.create(KafkaAccess(infra.kafka_bootstrap))
    there = module.topics()
    gone = TopicSpec("invoiceos.nowhere.v1", "nobody", 6, 1)
    monkeypatch.setattr(module, "topics", lambda: [*there, gone])
    reader = Reader(KafkaAccess(infra.kafka_bootstrap))
    with pytest.raises(TopicMissing, match=r"invoiceos\.nowhere\.v1"):
        await reader.open()
    await reader.close()
