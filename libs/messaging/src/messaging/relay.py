"""The process that publishes: one owner a shard, in order, deleted only when acknowledged."""

import asyncio
import time
import zlib
from collections.abc import Iterable
from typing import Any

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from messaging.access import KafkaAccess
from messaging.connection import Connection
from messaging.database import _codecs
from messaging.failpoints import failpoint
from messaging.faults import pause
from messaging.metrics import (
    OUTBOX_AGE,
    OUTBOX_PARKED,
    OUTBOX_ROWS,
    RELAY_FAILURES,
    RELAY_SHARDS,
    RELAYED,
)
from messaging.outbox import SHARDS, headers_of
from messaging.records import OWN_TOPICS
from messaging.transaction import Committed

log = structlog.get_logger()
_TRACER = trace.get_tracer("invoiceos.messaging")
BATCH = 1000
IDLE_S = 0.5
MEASURE_EVERY_S = 2.0
LEASE_S = 10
"""A relay that says nothing for this long loses its session and with it its shards."""
NOTIFY_EVERY_S = 0.005
MISSING_S = 15.0
"""How long what is for a topic that is not there waits before the broker is asked again."""
LOOK_S = 1.0


class Relay:
    """Publishes one schema's outbox.

    A shard belongs to the session that holds its advisory lock. Rows are read in order, sent,
    awaited and then deleted; a row that is sent twice (a death between the two) comes in an order
    whose first occurrences are right, and every consumer's inbox drops the rest. Hence a relay
    that was paused and comes back does no harm.
    """

    def __init__(self, url: str, schema: str, *, service: str, kafka: KafkaAccess) -> None:
        """Name the worker role's direct connection (no transaction pooler) and the broker."""
        self._url = url
        self._schema = schema
        self._source = f"/invoiceos/{service}"
        self._kafka = kafka
        self._wake = asyncio.Event()
        self._connection: asyncpg.Connection | None = None
        self._producer: AIOKafkaProducer | None = None
        self.owned: set[int] = set()
        self.failing_since: float | None = None
        self._present: set[str] = set()
        self._missing: dict[str, float] = {}
        self._claimed_at = 0.0
        self._measured_at = 0.0

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def owns(self, shards: Iterable[int]) -> bool:
        """Whether this relay sends what went to these shards."""
        return self.owned.issuperset(shards)

    async def run(self) -> None:
        """Publish until cancelled; every failure is met by starting over with new connections."""
        failures = 0
        try:
            while True:
                try:
                    await self._connect()
                    await self._serve()
                except Exception as error:
                    failures += 1
                    RELAY_FAILURES.inc()
                    self.failing_since = self.failing_since or time.monotonic()
                    log.warning("relay.failed", schema=self._schema, error=repr(error)[:500])
                    await self._disconnect()
                    await pause(failures)
        finally:
            await self._disconnect()

    async def _connect(self) -> None:
        if self._connection is None:
            self._connection = await asyncpg.connect(
                self._url,
                connection_class=Connection,
                server_settings={
                    "search_path": self._schema,
                    "application_name": f"{self._schema}.relay",
                    "idle_session_timeout": str(LEASE_S * 1000),
                    "statement_timeout": "10000",
                },
                command_timeout=15,
            )
            await _codecs(self._connection)
            await self._connection.add_listener(f"{self._schema}_outbox", lambda *_: self.wake())
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._kafka.options(),
                client_id=f"{self._schema}.relay",
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=512 * 1024,
                max_request_size=1_048_576,
                request_timeout_ms=15_000,
            )
            await producer.start()
            self._producer = producer

    async def _disconnect(self) -> None:
        """Drop the session, and with it the shards; a producer in doubt is never reused."""
        self.owned = set()
        self._present = set()
        RELAY_SHARDS.set(0)
        connection, self._connection = self._connection, None
        producer, self._producer = self._producer, None
        if connection is not None:
            connection.terminate()
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), 5)
            except Exception as error:
                log.info("relay.producer_not_stopped", error=repr(error))

    async def _serve(self) -> None:
        while True:
            self._wake.clear()
            await self._claim()
            sent = await self.publish() if self.owned else 0
            self.failing_since = None
            if sent < BATCH:
                await self._measure()
                try:
                    await asyncio.wait_for(self._wake.wait(), IDLE_S)
                except TimeoutError:
                    pass

    async def _claim(self) -> None:
        """Take the shards nobody holds; the locks live and die with the session."""
        if time.monotonic() - self._claimed_at < 1 or len(self.owned) == SHARDS:
            return
        assert self._connection is not None
        wanted = [shard for shard in range(SHARDS) if shard not in self.owned]
        rows = await self._connection.fetch(
            "select s from unnest($2::int[]) as t(s) where pg_try_advisory_lock($1, s)",
            _lock_space(self._schema),
            wanted,
        )
        self.owned |= {row["s"] for row in rows}
        self._claimed_at = time.monotonic()
        RELAY_SHARDS.set(len(self.owned))

    async def publish(self) -> int:
        """Send one run of rows, await every acknowledgement, delete; how many were sent."""
        assert self._connection is not None
        rows = await self._connection.fetch(
            """
            select seq, tenant_id, topic, key, event_id, type, version, occurred_at, correlation_id,
                   causation_id, traceparent, tracestate, headers, payload
            from outbox o where shard = any($1::smallint[]) and topic <> all($3) and not exists (
                select from outbox p where p.parked and p.topic = o.topic and p.key = o.key)
            order by seq limit $2
            """,
            sorted(self.owned),
            BATCH,
            self._absent(),
        )
        rows = await self._of_present_topics(rows)
        if not rows:
            return 0
        failpoint("relay.read")
        with _TRACER.start_as_current_span(
            "relay publish",
            kind=SpanKind.PRODUCER,
            attributes={"messaging.batch.message_count": len(rows)},
        ):
            await self._send(rows)
        failpoint("relay.acked")
        await self._connection.execute(
            "delete from outbox where seq = any($1::bigint[])", [row["seq"] for row in rows]
        )
        failpoint("relay.deleted")
        for row in rows:
            RELAYED.labels(row["topic"]).inc()
        return len(rows)

    def _absent(self) -> list[str]:
        """Topics that were not there just now: what is for them waits, and holds up no other."""
        now = time.monotonic()
        self._missing = {topic: until for topic, until in self._missing.items() if until > now}
        return list(self._missing)

    async def _of_present_topics(self, rows: list[Any]) -> list[Any]:
        """Those rows whose topic is there; only topics of others than the platform can be missing.

        A partner may be registered before its topics are made.
        """
        unseen = {row["topic"] for row in rows} - OWN_TOPICS - self._present
        if unseen:
            there = await asyncio.gather(*(self._is_there(topic) for topic in unseen))
            for topic, found in zip(unseen, there, strict=True):
                if found:
                    self._present.add(topic)
                else:
                    log.warning("relay.topic_missing", topic=topic)
                    self._missing[topic] = time.monotonic() + MISSING_S
        return [row for row in rows if row["topic"] not in self._missing]

    async def _is_there(self, topic: str) -> bool:
        assert self._producer is not None
        try:
            return bool(await asyncio.wait_for(self._producer.partitions_for(topic), LOOK_S))
        except (KafkaError, TimeoutError):
            return False

    async def _send(self, rows: list[Any]) -> None:
        assert self._producer is not None
        pending = []
        for row in rows:
            try:
                sent = await self._producer.send(
                    row["topic"],
                    row["payload"],
                    key=row["key"].encode(),
                    headers=list(headers_of(row, self._source)),
                )
            except MessageSizeTooLargeError:
                await self._park(row)
                raise
            pending.append(sent)
            failpoint("relay.sent")
        await asyncio.gather(*pending)

    async def _park(self, row: Any) -> None:
        """Mark a row that can never be sent: its key waits behind it, the shard goes on."""
        assert self._connection is not None
        log.error("relay.parked", topic=row["topic"], key=row["key"], seq=row["seq"])
        await self._connection.execute("update outbox set parked = true where seq = $1", row["seq"])

    async def _measure(self) -> None:
        if time.monotonic() - self._measured_at < MEASURE_EVERY_S:
            return
        assert self._connection is not None
        self._measured_at = time.monotonic()
        row = await self._connection.fetchrow(
            """
            select count(*) as waiting, count(*) filter (where parked) as parked,
                   extract(epoch from clock_timestamp() - min(staged_at)) as age from outbox
            """
        )
        assert row is not None
        OUTBOX_ROWS.set(row["waiting"])
        OUTBOX_PARKED.set(row["parked"])
        OUTBOX_AGE.set(row["age"] or 0)


def _lock_space(schema: str) -> int:
    """Advisory locks are shared by a database: each schema has a space of its own."""
    return zlib.crc32(f"invoiceos.outbox.{schema}".encode()) - 2**31


class OutboxSignal:
    """Tells whoever owns the shards that something was committed.

    In memory where the relay is in this process; elsewhere by NOTIFY on its own connection after
    the commit, at most once in five milliseconds, for a NOTIFY inside a transaction serialises
    commits (measured: 3562 -> 600 transactions a second).
    """

    def __init__(self, pool: asyncpg.Pool, schema: str, relay: Relay | None) -> None:
        """Know the relay of this process, if it has one."""
        self._pool = pool
        self._channel = f"{schema}_outbox"
        self._relay = relay
        self._pending = asyncio.Event()

    def __call__(self, committed: Committed) -> None:
        """A transaction that staged facts has committed."""
        if not committed.shards:
            return
        if self._relay is not None and self._relay.owns(committed.shards):
            self._relay.wake()
        else:
            self._pending.set()

    async def run(self) -> None:
        """Send notices until cancelled; one that fails is made good by the relay's slow poll."""
        while True:
            await self._pending.wait()
            self._pending.clear()
            try:
                await self._pool.execute("select pg_notify($1, '')", self._channel)
            except Exception as error:
                log.info("outbox.notice_failed", error=repr(error))
            await asyncio.sleep(NOTIFY_EVERY_S)
