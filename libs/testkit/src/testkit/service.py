"""A service under test: its own code and SQL on a real database, events in, facts out, no broker.

Records go through the same parser, inbox and transaction as in production, so a test that doubles
or shuffles events tests what runs.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from aiokafka import ConsumerRecord

from chassis.runtime import Service
from invoiceos_contracts import EVENTS, Envelope, Event, to_headers
from invoiceos_contracts.cloudevents import schema_uri
from messaging import Database, Processor, RecordSubscriptions, Subscriptions, TimerLoop, Tx
from testkit.databases import ServiceDatabase

E = TypeVar("E", bound=Event)
_offsets: dict[str, int] = {}


def record_of(fact: Event, *, event_id: UUID | None = None, version: int = 1) -> Any:
    """A Kafka record that carries a fact, as the owner's relay would have sent it."""
    envelope = Envelope(
        id=event_id or Tx.new_id(),
        type=fact.TYPE,
        source=f"/invoiceos/{fact.OWNER}",
        subject=fact.subject,
        time=datetime.now(UTC),
        tenant_id=fact.tenant_id,
        aggregate_version=version,
        correlation_id=fact.correlation,
    )
    headers = to_headers(envelope, schema_uri(type(fact)))
    return record(fact.TOPIC, fact.subject.encode(), fact.write(), headers)


def record(topic: str, key: bytes | None, value: bytes | None, headers: Any) -> Any:
    """Any record at all."""
    offset = _offsets[topic] = _offsets.get(topic, -1) + 1
    return ConsumerRecord(
        topic=topic,
        partition=0,
        offset=offset,
        timestamp=0,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=headers,
    )


@dataclass(slots=True)
class ServiceUnderTest:
    """Hands events to a service and shows what it states."""

    service: Service
    worker: Database
    api: Database
    place: ServiceDatabase
    processor: Processor
    timers: TimerLoop
    doors: dict[str, Processor] = field(default_factory=dict)
    """What handles raw records, by the name of its subscription."""

    async def receives(self, *facts: Event | Any) -> None:
        """One poll with these facts (or records made with `record_of`), in this order."""
        await self.processor.process(
            [record_of(fact) if isinstance(fact, Event) else fact for fact in facts]
        )

    async def reads(self, door: str, *records: Any) -> None:
        """One poll of raw records (made with `record`), as somebody outside wrote them."""
        await self.doors[door].process(list(records))

    async def facts(self, *kinds: type[E]) -> list[Any]:
        """What the service has staged so far, in order; of these kinds alone where given."""
        rows = await self.worker.fetch(
            "select type, payload from outbox where headers is null order by seq"
        )
        found = [EVENTS[row["type"]].read(row["payload"]) for row in rows]
        return [fact for fact in found if isinstance(fact, kinds)] if kinds else found

    async def published(self) -> list[Any]:
        """Take what is staged out of the outbox, as the relay would; records in order."""
        rows = await self.worker.fetch("delete from outbox where headers is null returning *")
        ordered = sorted(rows, key=lambda row: row["seq"])
        return [
            record_of(
                EVENTS[row["type"]].read(row["payload"]),
                event_id=row["event_id"],
                version=row["version"],
            )
            for row in ordered
        ]

    async def command(self, command: Any, *requests: Any) -> list[Any]:
        """Run a command in a transaction of the api role; the tenants are those of the requests."""
        tenants = {request.tenant_id for request in requests}
        async with self.api.transaction(tenants) as tx:
            return list(await command(tx, list(requests)))

    async def at(self, moment: datetime) -> None:
        """Let every timer that is due at this moment be due now, and fire, until none is."""
        await self.worker.pool.execute(
            "update timer set due_at = clock_timestamp() - interval '1 ms' where due_at <= $1",
            moment,
        )
        while await self.timers.fire_due():
            pass

    async def after(self, delay: timedelta) -> None:
        """Let time pass, for timers."""
        await self.at(datetime.now(UTC) + delay)


@asynccontextmanager
async def under_test(service: Service, place: ServiceDatabase) -> AsyncIterator[ServiceUnderTest]:
    """Open a service on a database of its own."""
    worker = await Database.open(place.url("worker"), place.schema, size=4)
    api = await Database.open(place.url("api"), place.schema, size=4)
    try:
        yield ServiceUnderTest(
            service=service,
            worker=worker,
            api=api,
            place=place,
            processor=Processor(worker, Subscriptions(service.name, service.subscriptions)),
            timers=TimerLoop(worker, service.timers),
            doors={
                found.name: Processor(
                    worker, RecordSubscriptions(f"{service.name}.{found.name}", found)
                )
                for found in service.records
            },
        )
    finally:
        await asyncio.gather(worker.close(), api.close())


def a_tenant() -> UUID:
    """A tenant nobody else uses."""
    return uuid4()


def tenants(count: int) -> Sequence[UUID]:
    """Tenants nobody else uses."""
    return [uuid4() for _ in range(count)]
