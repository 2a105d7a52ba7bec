"""No subscriber runs with one of FastStream's losing defaults (docs/adr/0003-consumers.md).

What is looked at is what really runs: each installed service is composed by `Runtime`, with a
broker that is never started. Reasons and measurements: each default below has lost records.
"""

import dataclasses
import inspect
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any, ClassVar

import pytest
from aiokafka import AIOKafkaProducer
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.subscriber.usecase import BatchSubscriber

from chassis import runtime
from chassis.runtime import Runtime, Service
from chassis.settings import Settings
from messaging import KafkaAccess, relay
from messaging.consumer import Offsets
from messaging.relay import Relay

REBALANCE_MS_MIN = 10_000
NAMES = sorted(point.name for point in entry_points(group="invoiceos.services"))


def losing(broker: KafkaBroker) -> Iterator[str]:
    """What each subscriber of a broker would lose records by; nothing when it is safe."""
    if broker.config.broker_config.allow_auto_create_topics:
        yield "allow_auto_create_topics: a misspelt topic is created, empty: set it to False"
    for subscriber in broker.subscribers:
        yield from losing_of(subscriber)


def losing_of(subscriber: Any) -> Iterator[str]:
    """The same for one subscriber."""
    connection, options = subscriber._connection_args, subscriber._call_options
    safe = {
        f"ack policy {subscriber.ack_policy} commits what was not handled: use MANUAL": (
            subscriber.ack_policy is AckPolicy.MANUAL
        ),
        "enable_auto_commit: a crash loses what was polled: set it to False": (
            connection["enable_auto_commit"] is False
        ),
        "auto_offset_reset: a new group skips what is there: use earliest": (
            connection["auto_offset_reset"] == "earliest"
        ),
        "rebalance_timeout_ms: a slow batch is given to two consumers: give it a minute": (
            (connection["rebalance_timeout_ms"] or 0) > REBALANCE_MS_MIN
        ),
        "one record at a time: a unit of work is a batch: set batch=True": (
            isinstance(subscriber, BatchSubscriber)
        ),
        "no rebalance barrier: partitions go while a batch runs: pass listener=Offsets(...)": (
            isinstance(subscriber._listener, Offsets)
        ),
        "no group: nothing is ever committed: name one": bool(subscriber.group_id),
        "parser: FastStream's own raises on a bad header and loses the poll: pass ours": (
            _takes_one_argument(options.parser)
        ),
        "decoder: FastStream's own raises on a bad body and loses the poll: pass ours": (
            _takes_one_argument(options.decoder)
        ),
        "a parser at the handler overrides the safe one: leave it out": (
            not any(call.item_parser or call.item_decoder for call in subscriber.calls)
        ),
        "get_msg: FastStream sleeps after each empty poll: replace it by a long poll": (
            "get_msg" in getattr(subscriber, "__dict__", {})
        ),
    }
    yield from (reason for reason, holds in safe.items() if not holds)


def _takes_one_argument(function: Any) -> bool:
    """The two-argument form is handed FastStream's own, which raises."""
    return function is not None and len(inspect.signature(function).parameters) == 1


class Unstarted(KafkaBroker):
    """A broker that is composed like any other and stays on the ground."""

    made: ClassVar["list[Unstarted]"] = []

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.made.append(self)

    async def start(self) -> None:
        """Stay."""


async def composed(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[Unstarted]:
    """The brokers a service's runtime makes."""
    monkeypatch.setattr(runtime, "KafkaBroker", Unstarted)
    monkeypatch.setattr(Unstarted, "made", [])
    settings = Settings(
        environment="test",
        database_api_url="postgresql://-",
        database_worker_url="postgresql://-",
    )
    running = Runtime(dataclasses.replace(service, timers={}, workers=()), settings)
    running.worker = None  # type: ignore[assignment] # nothing is opened here
    await running._start_consumers(None)  # type: ignore[arg-type]
    for task in running._tasks.values():
        task.cancel()
    return Unstarted.made


@pytest.mark.parametrize("name", NAMES)
async def test_no_service_runs_with_a_losing_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (point,) = entry_points(group="invoiceos.services", name=name)
    service: Service = point.load()
    brokers = await composed(service, monkeypatch)
    assert len(brokers) == bool(service.subscriptions)
    for broker in brokers:
        groups = [subscriber.group_id for subscriber in broker.subscribers]
        wanted = [found.group for found in service.groups()]
        assert sorted(groups) == sorted(wanted), "one subscriber a group"
        assert len(set(groups)) == len(groups)
        assert list(losing(broker)) == []


async def test_the_subscriber_reads_every_topic_the_service_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from toy_service.app import service

    (broker,) = await composed(service, monkeypatch)
    (subscriber,) = broker.subscribers
    assert subscriber.topic_names == ["invoiceos.identity.v1"]
    assert list(losing(broker)) == []


def test_faststreams_own_defaults_fail_the_check() -> None:
    broker = KafkaBroker("127.0.0.1:9")

    @broker.subscriber("invoiceos.invoice.v1", group_id="careless")
    async def handle(body: dict[str, Any]) -> None: ...

    found = " ".join(losing(broker))
    for part in (
        *("allow_auto_create_topics", "ack policy", "enable_auto_commit", "auto_offset_reset"),
        *("rebalance_timeout_ms", "one record", "barrier", "parser", "decoder", "get_msg"),
    ):
        assert part in found, f"the check no longer notices: {part}"


@pytest.mark.filterwarnings("ignore:AckPolicy")
@pytest.mark.parametrize("policy", [p for p in AckPolicy if p is not AckPolicy.MANUAL])
def test_every_other_ack_policy_fails_the_check(policy: AckPolicy) -> None:
    broker = KafkaBroker("127.0.0.1:9", allow_auto_create_topics=False)
    subscriber = broker.subscriber("a", group_id="g", batch=True, ack_policy=policy)
    assert any("ack policy" in found for found in losing_of(subscriber))


async def test_the_relays_producer_is_idempotent_and_waits_for_every_replica(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    how: dict[str, Any] = {}

    class Recorded(AIOKafkaProducer):  # type: ignore[misc] # aiokafka is not typed
        def __init__(self, **named: Any) -> None:
            """Remember how, and connect to nothing."""
            how.update(named)
            self._closed = True

        async def start(self) -> None:
            """Stay."""

    monkeypatch.setattr(relay, "AIOKafkaProducer", Recorded)
    made = Relay("postgresql://-", "toy", service="toy", kafka=KafkaAccess("127.0.0.1:9"))
    made._connection = object()  # type: ignore[assignment] # the database is not asked
    await made._connect()
    inspect.signature(AIOKafkaProducer.__init__).bind(None, **how)
    assert how["enable_idempotence"] is True
    assert how["acks"] == "all"
    assert "transactional_id" not in how, "PostgreSQL is the transaction (ADR 0002)"
    assert "partitioner" not in how, "the key alone says the partition (ADR 0004)"
