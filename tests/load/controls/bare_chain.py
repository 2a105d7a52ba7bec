"""Control of `flow` and `flows`: the bare chain of five stages, and the sum of its parts.

Each stage takes a batch off a topic, writes state, inbox mark and outbox row in one statement (one
commit), sends what it wrote and deletes it. Five schemas, one process, no business rules, no tenants,
no chain of blocks, nothing that would survive a kill between commit and send.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from tests.load.controls import broker
from tests.load.measure import percentile

STAGES = ("invoice", "wallet", "payment", "ledger", "notification")
COMMITS, HOPS = len(STAGES), len(STAGES) - 1
_PAD = "x" * 700
_TABLES = """
create table {0}.state (id uuid primary key, body jsonb not null, at timestamptz default now());
create table {0}.inbox (id uuid primary key);
create table {0}.outbox (seq bigserial primary key, id uuid not null, payload bytea not null);
"""
_WRITE = """
with taken as (
    select * from unnest($1::uuid[], $2::jsonb[], $3::bytea[]) as t(id, body, payload)
), fresh as (
    insert into {0}.inbox (id) select id from taken on conflict do nothing returning id
), kept as (
    insert into {0}.state (id, body) select id, body from taken join fresh using (id)
)
insert into {0}.outbox (id, payload) select id, payload from taken join fresh using (id)
returning seq, id, payload
"""


def _event(flow: str) -> bytes:
    data = {"pad": _PAD, "amount": "119.00", "currency": "EUR"}
    return json.dumps({"id": flow, "data": data}).encode()


@dataclass(slots=True)
class BareChain:
    """Five schemas and four topics; close it when done."""

    bootstrap: str
    batch: int = 250
    done: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _pools: dict[str, asyncpg.Pool] = field(default_factory=dict)
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)
    _prefix: str = field(default_factory=lambda: f"bare_{uuid.uuid4().hex[:6]}")
    _sender: AIOKafkaProducer | None = None

    async def open(self, database_url: str, linger_ms: int) -> None:
        """Make schemas and topics, start the stages."""
        pool = await asyncpg.create_pool(database_url, min_size=2, max_size=2 * len(STAGES))
        self._open.push_async_callback(pool.close)
        for stage in STAGES:
            schema = f"{self._prefix}_{stage}"
            await pool.execute(f"create schema {schema};" + _TABLES.format(schema))
            self._pools[stage] = pool
        self._open.push_async_callback(self._drop, pool)
        topics = [f"{self._prefix}_{stage}" for stage in STAGES[:-1]]
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        self._open.push_async_callback(admin.close)
        await admin.create_topics([NewTopic(name, 1, 1) for name in topics])
        self._open.push_async_callback(admin.delete_topics, topics)
        self._sender = await self._open.enter_async_context(
            broker.producer(self.bootstrap, linger_ms)
        )
        for name, stage in zip(topics, STAGES[1:], strict=True):
            await self._start_stage(name, stage)

    async def _start_stage(self, source: str, stage: str) -> None:
        options = {"group_id": f"{self._prefix}_{stage}", "auto_offset_reset": "earliest"}
        reader = await self._open.enter_async_context(
            broker.consumer(self.bootstrap, source, **options, enable_auto_commit=True)
        )
        task = asyncio.create_task(self._run(reader, stage))
        self._open.push_async_callback(_end, task)

    async def close(self) -> None:
        """Remove everything again."""
        await self._open.aclose()

    async def _drop(self, pool: asyncpg.Pool) -> None:
        for stage in STAGES:
            await pool.execute(f"drop schema {self._prefix}_{stage} cascade")

    async def _run(self, reader: Any, stage: str) -> None:
        while True:
            polled = await reader.getmany(timeout_ms=500, max_records=self.batch)
            for records in polled.values():
                await self._step(stage, [json.loads(record.value)["id"] for record in records])

    async def _step(self, stage: str, flows: Sequence[str]) -> None:
        pool, schema = self._pools[stage], f"{self._prefix}_{stage}"
        bodies = [_event(flow) for flow in flows]
        ids = [uuid.UUID(flow) for flow in flows]
        texts = [body.decode() for body in bodies]
        rows = await pool.fetch(_WRITE.format(schema), ids, texts, bodies)
        if stage == STAGES[-1]:
            self.done += len(rows)
            self._changed.set()
        else:
            await self._send(f"{self._prefix}_{stage}", rows)
        await pool.execute(
            f"delete from {schema}.outbox where seq = any($1::bigint[])", [r["seq"] for r in rows]
        )

    async def _send(self, topic: str, rows: Sequence[Any]) -> None:
        assert self._sender is not None
        pending = [
            await self._sender.send(topic, row["payload"], key=str(row["id"]).encode())
            for row in rows
        ]
        await asyncio.gather(*pending)

    async def flow(self, count: int) -> float:
        """Run so many flows in batches; seconds until the last stage has committed the last."""
        wanted, began = self.done + count, time.perf_counter()
        for start in range(0, count, self.batch):
            flows = [str(uuid.uuid4()) for _ in range(min(self.batch, count - start))]
            await self._step(STAGES[0], flows)
        while self.done < wanted:
            self._changed.clear()
            await self._changed.wait()
        return time.perf_counter() - began

    async def latencies(self, count: int) -> list[float]:
        """Seconds of flows that run one after the other."""
        return [await self.flow(1) for _ in range(count)]

    async def commits(self, count: int) -> list[float]:
        """Seconds of a stage's one-statement commit, alone."""
        pool, schema = self._pools["wallet"], f"{self._prefix}_wallet"
        found = []
        for _ in range(count):
            flow = uuid.uuid4()
            body = _event(str(flow))
            began = time.perf_counter()
            await pool.fetch(_WRITE.format(schema), [flow], [body.decode()], [body])
            found.append(time.perf_counter() - began)
        return found


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Floor:
    """What a flow of five stages cannot go below on this machine at this moment, seconds."""

    commit: float
    hop: float

    def of(self, commits: int = COMMITS, hops: int = HOPS) -> float:
        return commits * self.commit + hops * self.hop


async def floor(chain: BareChain, count: int) -> Floor:
    """Commits and hops measured alone, p50."""
    commits = await chain.commits(count)
    hops = await broker.hops(chain.bootstrap, count)
    return Floor(percentile(commits, 0.5), percentile(hops, 0.5))
