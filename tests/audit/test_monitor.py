"""Audits that repeat: what is folded away, what is found again, what a failure leaves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiokafka import AIOKafkaProducer

import audit
from audit import CannotAudit
from audit.monitor import Gauges, Monitor, repeat
from audit.serving import Door
from chassis import topics
from messaging import KafkaAccess

BREACH = "insert into invoice.timer values ('no.such.kind', 'x', gen_random_uuid(), now(), '{}', 0)"
MENDED = "delete from invoice.timer where kind = 'no.such.kind'"


@pytest.fixture
def session(auditor_url):
    with psycopg.connect(auditor_url, autocommit=True) as connection:
        made = audit.Session(connection)
        yield made, connection


def held(connection: psycopg.Connection) -> int:
    return connection.execute("select count(*) from pg_temp.topic_log").fetchone()[0]


def look(session: audit.Session) -> audit.Report:
    with session.snapshot():
        return session.judge(0, topics=True)


def test_what_was_found_right_is_folded_and_stays_right(session, world) -> None:
    made, connection = session
    made.load(world.topic_records)
    made.fold(look(made))
    assert held(connection) == 0
    again = look(made)
    assert again.names == set(), again.as_table()
    assert again.records == 0


def test_what_comes_after_folding_is_compared_with_what_was_folded(session, world) -> None:
    made, _ = session
    made.load(world.topic_records)
    made.fold(look(made))
    sent = next(r for r in world.topic_records if r.type == "invoiceos.invoice.issued.v1")
    made.load([replace(sent, offset=9_001)])
    assert look(made).names == set(), "the same once more, after its first time, is right"
    made.load([replace(sent, offset=9_002, partition=77)])
    assert look(made).names == {"topics.key_keeps_its_partition"}
    made.load([replace(sent, offset=9_003, version=99)])
    assert {"topics.nothing_made_up", "topics.said_once"} <= look(made).names


def test_nothing_is_folded_while_something_is_wrong(session, world) -> None:
    made, connection = session
    lost = next(r for r in world.topic_records if r.type == "invoiceos.invoice.issued.v1")
    made.load(r for r in world.topic_records if r != lost)
    for _ in range(2):
        report = look(made)
        assert "topics.nothing_lost" in report.names
        made.fold(report)
        assert held(connection) == len(world.records) - 1
    made.load([lost])
    assert look(made).names == set()


def test_what_is_too_young_to_be_judged_is_not_folded(session, world) -> None:
    made, connection = session
    made.load(world.topic_records)
    with made.snapshot():
        report = made.judge(3_600, topics=True)
    made.fold(report)
    assert held(connection) == len(world.records)


async def test_a_monitor_goes_on_where_it_stopped_and_anew_after_a_failure(
    auditor_url, place, world
) -> None:
    monitor = Monitor(auditor_url, None, grace_s=0)
    try:
        assert not (await monitor.look()).breached
        assert not (await monitor.look()).breached
        with psycopg.connect(place.admin_url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where usename = 'invoiceos_auditor' and datname = current_database()"
            )
        with pytest.raises(CannotAudit):
            await monitor.look()
        assert not (await monitor.look()).breached
    finally:
        await monitor.close()


async def test_a_broker_that_does_not_answer_is_no_good_news(auditor_url) -> None:
    monitor = Monitor(auditor_url, KafkaAccess("127.0.0.1:1"), grace_s=0)
    with pytest.raises(CannotAudit):
        await monitor.look()


async def test_a_monitor_reads_the_topics_once(auditor_url, infra, world) -> None:
    await topics.create(KafkaAccess(infra.kafka_bootstrap))
    monitor = Monitor(auditor_url, KafkaAccess(infra.kafka_bootstrap), grace_s=0)
    producer = AIOKafkaProducer(bootstrap_servers=infra.kafka_bootstrap)
    await producer.start()
    try:
        # Other tests write to this broker too: what they left is of no world of ours.
        assert (await monitor.look()).records is not None
        before = monitor.records
        await producer.send_and_wait("invoiceos.notification.v1.dlq", b"", key=b"k")
        report = await monitor.look()
        assert monitor.records >= before + 1
        assert monitor.records < 2 * before + 1_000
        assert "topics.readable" in report.names, "a letter that does not say whose it is"
    finally:
        await producer.stop()
        await monitor.close()


@pytest.fixture
async def served(auditor_url, world) -> AsyncIterator[tuple[TestClient, Door]]:
    door = Door(Monitor(auditor_url, None, grace_s=0), every_s=0.05)
    async with TestClient(TestServer(door.application())) as client:
        yield client, door


async def metric(client: TestClient, line: str) -> float:
    text = await (await client.get("/metrics")).text()
    (found,) = [row for row in text.splitlines() if row.startswith(line)]
    return float(found.rpartition(" ")[2])


async def until(client: TestClient, line: str, value: float) -> None:
    async with asyncio.timeout(60):
        while await metric(client, line) != value:
            await asyncio.sleep(0.05)


async def test_a_breach_is_a_metric_until_it_is_mended(served, for_real) -> None:
    client, _ = served
    line = 'invoiceos_audit_breaches{invariant="timers.have_handlers",settled="false"}'
    await until(client, line, 0)
    with for_real(BREACH, MENDED):
        await until(client, line, 1)
    await until(client, line, 0)
    assert await metric(client, "invoiceos_audit_last_run_timestamp_seconds") > 1.7e9
    assert (await client.get("/livez")).status == 200
    assert (await client.get("/readyz")).status == 200


async def test_an_auditor_that_has_not_looked_lately_is_not_ready(served) -> None:
    client, door = served
    door._gauges.last_run = 0
    door._every_s = 0
    assert (await client.get("/readyz")).status == 503
    assert (await client.get("/livez")).status == 200


async def test_a_run_that_fails_is_counted_and_followed_by_the_next() -> None:
    monitor = Monitor("postgresql://nobody@127.0.0.1:1/none", None, grace_s=0)
    gauges, ended = Gauges(), asyncio.Event()
    task = asyncio.create_task(repeat(monitor, gauges, 0.01, ended))
    async with asyncio.timeout(30):
        while gauges.registry.get_sample_value("invoiceos_audit_failures_total") < 2:
            await asyncio.sleep(0.01)
        ended.set()
        await task
