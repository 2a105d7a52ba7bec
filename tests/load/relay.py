"""Events per second of relay and consumer, and how long a commit takes to be seen."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from tests.load.cases import Run
from tests.load.controls import broker
from tests.load.measure import Outcome, Ratio, Series, Span, alternate, p50_p99, percentile, ratios
from tests.load.place import pids_of, scratch_folder

from chassis import topics
from invoiceos_contracts.identity_v1 import TenantCreated
from messaging import Database, KafkaAccess, OutboxSignal, Relay
from testkit.databases import ServiceDatabase, create_database
from testkit.processes import ToyProcess
from testkit.service import record_of

TOPIC = TenantCreated.TOPIC
STAGE = 500
NAME = "A company with a name of usual length"


def facts(count: int, name: str = NAME) -> list[TenantCreated]:
    """Facts of as many tenants."""
    return [TenantCreated(tenant_id=uuid.uuid4(), name=name) for _ in range(count)]


def messages(count: int, name: str = NAME) -> list[broker.Message]:
    """The same as records, ready to be sent by a bare producer."""
    return [(r.key, r.value, r.headers) for r in map(record_of, facts(count, name))]


@dataclass(slots=True)
class Bench:
    """What the cells share."""

    run: Run
    place: ServiceDatabase
    database: Database
    admin: asyncpg.Connection
    toy: ToyProcess
    pids: dict[str, list[int]]
    count: int
    open: AsyncExitStack
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def bootstrap(self) -> str:
        return self.run.place.infrastructure().kafka_bootstrap

    def span(self) -> Span:
        assert self.toy.process is not None
        postgres, kafka = self.pids["postgres"], self.pids["kafka"]
        return Span(service=[self.toy.process.pid], postgres=postgres, kafka=kafka)

    async def sequence(self) -> int:
        """Rows ever staged: one look, whatever the outbox holds."""
        return int(await self.admin.fetchval("select last_value from outbox_seq_seq"))

    async def counted(self, table: str) -> int:
        return int(await self.admin.fetchval(f"select count(*) from {table}"))


async def run(run: Run) -> Outcome:
    """The whole case."""
    infra = run.place.infrastructure()
    await topics.create(KafkaAccess(infra.kafka_bootstrap))
    place = await asyncio.to_thread(create_database, infra.postgres_url, "toy_service")
    async with AsyncExitStack() as stack:
        stack.callback(place.drop)
        database = await Database.open(place.url("worker"), place.schema, size=4)
        stack.push_async_callback(database.close)
        schema = {"search_path": place.schema}
        admin = await asyncpg.connect(place.admin_url, server_settings=schema)
        stack.push_async_callback(admin.close)
        toy = ToyProcess(place, infra, scratch_folder("relay"), f"bench-{uuid.uuid4().hex[:8]}")
        stack.callback(toy.stop)
        count = 5_000 if run.quick else 20_000
        bench = Bench(run, place, database, admin, toy, pids_of(infra), count, stack)
        await _consumer(bench)  # first: the others leave facts on its topic
        await _decoding(bench)
        await _latency(bench)
        await _relay(bench)
    return bench.outcome


async def _latency(bench: Bench) -> None:
    """Commit to visible, one at a time: with the relay in the committing process, and by NOTIFY."""
    count = 100 if bench.run.quick else 300
    mine: Series = Series("commit to visible, relay in the same process", "ms p50")
    hop: Series = Series("one raw hop", "ms p50")

    async def ours() -> None:
        found = await _commits(bench, count // 3)
        mine.add(percentile(found, 0.5) * 1e3, extra=p50_p99(found))

    async def control() -> None:
        found = await broker.hops(bench.bootstrap, count // 3)
        hop.add(percentile(found, 0.5) * 1e3, extra=p50_p99(found))

    await alternate(bench.run.rounds, [ours, control], bench.run.say)
    bench.outcome.measures += [mine.measure(), hop.measure()]
    times = ratios(mine.values, hop.values)
    bench.outcome.ratios.append(Ratio("commit to visible / one raw hop", times, "P15", at_most=2.0))


async def _commits(bench: Bench, count: int) -> list[float]:
    url, schema = bench.place.url("worker"), bench.place.schema
    relay = Relay(url, schema, service="toy_service", kafka=KafkaAccess(bench.bootstrap))
    task = asyncio.create_task(relay.run())
    signal_ = OutboxSignal(bench.database.pool, schema, relay)
    bench.database.on_commit.append(signal_)
    try:
        async with broker.consumer(bench.bootstrap, TOPIC) as reader:
            async with asyncio.timeout(60):
                while len(relay.owned) < 16:
                    await asyncio.sleep(0.05)
            found = []
            for fact in facts(count + 10):
                async with bench.database.transaction() as tx:
                    tx.stage([fact])
                began = time.perf_counter()
                await reader.getone()
                found.append(time.perf_counter() - began)
                await asyncio.sleep(0.002)
    finally:
        bench.database.on_commit.remove(signal_)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return found[10:]


async def _relay(bench: Bench) -> None:
    """Facts staged while the relay is held, then let go; the control sends the same from memory."""
    mine, control = Series("relay", "events/s"), Series("bare aiokafka producer", "events/s")
    bench.toy.start(roles="relay")
    await bench.toy.ready()
    name = await bench.open.enter_async_context(broker.topic(bench.bootstrap))
    sender = await bench.open.enter_async_context(broker.producer(bench.bootstrap, linger_ms=0))

    async def ours() -> None:
        rate, span = await _relayed(bench)
        mine.add(rate, span.micros(bench.count, self="watcher"))

    async def bare() -> None:
        ready = messages(bench.count)
        with Span(kafka=bench.pids["kafka"]) as span:
            await broker.produce(sender, name, ready)
        control.add(bench.count / span.wall, span.micros(bench.count, self="service"))

    await alternate(bench.run.rounds, [ours, bare], bench.run.say)
    bench.toy.stop()
    bench.outcome.books["outbox empty after the relay"] = await bench.counted("outbox") == 0
    bench.outcome.measures += [mine.measure(), control.measure()]
    bench.outcome.ratios.append(
        Ratio("relay / bare producer, rate", ratios(mine.values, control.values))
    )


async def _relayed(bench: Bench) -> tuple[float, Span]:
    bench.toy.signal(signal.SIGSTOP)
    for _ in range(bench.count // STAGE):
        async with bench.database.transaction() as tx:
            tx.stage(facts(STAGE))
    async with broker.consumer(bench.bootstrap, TOPIC) as reader:
        seen, first, last = 0, 0.0, 0.0
        keys: set[bytes] = set()
        with bench.span() as span:
            bench.toy.signal(signal.SIGCONT)
            async with asyncio.timeout(60):
                while seen < bench.count:
                    polled = await reader.getmany(timeout_ms=500, max_records=5000)
                    last = time.perf_counter()
                    first = first or (last if polled else 0.0)
                    for records in polled.values():
                        seen += len(records)
                        keys.update(record.key for record in records)
    bench.outcome.books["each relayed fact seen once"] = len(keys) == seen == bench.count
    return bench.count / (last - first), span


async def _consumer(bench: Bench) -> None:
    """Records sent by a bare producer; each is marked, has its effect, and states a fact."""
    series = Series("consumer with inbox, effect and a staged fact", "events/s")
    bench.toy.start(roles="consumers")
    await bench.toy.ready()
    sender = await bench.open.enter_async_context(broker.producer(bench.bootstrap, linger_ms=2))
    await _caught_up(bench, sender)
    for number in range(bench.run.rounds):
        bench.run.say(f"round {number + 1} of {bench.run.rounds}")
        ready, goal = messages(bench.count), await bench.counted("effect") + bench.count
        with bench.span() as span:
            sending = asyncio.create_task(broker.produce(sender, TOPIC, ready))
            await _settled(bench, goal)
        await sending
        series.add(bench.count / span.wall, span.micros(bench.count, self="producer"))
    bench.toy.stop()
    effects = await bench.counted("effect")
    distinct = await bench.admin.fetchval("select count(distinct event_id) from effect")
    bench.outcome.books["one effect an event"] = effects == distinct
    bench.outcome.books["one inbox mark an effect"] = await bench.counted("inbox") == effects
    bench.outcome.books["one staged fact an effect"] = await bench.counted("outbox") == effects
    await bench.admin.execute("truncate outbox")  # nobody published it: there was no relay
    bench.outcome.measures.append(series.measure())


async def _caught_up(bench: Bench, sender: Any) -> None:
    """Warm up, and have whatever the topic held before behind us: order holds a partition."""
    name, count = f"warm {uuid.uuid4().hex[:8]}", 1000
    await broker.produce(sender, TOPIC, messages(count, name))
    async with asyncio.timeout(60):
        while count > await bench.admin.fetchval(
            "select count(*) from effect where name = $1", name
        ):
            await asyncio.sleep(0.05)


async def _settled(bench: Bench, effects: int) -> None:
    """Wait for so many effects; counts seldom, for counting costs the database too."""
    base = await bench.sequence() - await bench.counted("effect")
    async with asyncio.timeout(90):
        while await bench.sequence() - base < effects:
            await asyncio.sleep(0.02)
        while await bench.counted("effect") < effects:
            await asyncio.sleep(0.01)


async def _decoding(bench: Bench) -> None:
    """CPU from poll to handler, without a database, against `getmany` and one validation."""
    from tests.load.controls.dispatch import Dispatching

    mine = Series("poll, envelope, validation, dispatch (no database)", "events/s")
    control = Series("aiokafka getmany + pydantic", "events/s")
    sender = await bench.open.enter_async_context(broker.producer(bench.bootstrap, linger_ms=2))
    name = await bench.open.enter_async_context(broker.topic(bench.bootstrap))
    await broker.produce(sender, name, messages(bench.count))
    await broker.produce(sender, TOPIC, messages(1))
    options: dict[str, Any] = {"auto_offset_reset": "earliest", "group_id": None}

    async def ours() -> None:
        span = await Dispatching(bench.bootstrap, bench.database, name, bench.count).run()
        mine.add(bench.count / span.wall, span.micros(bench.count, self="consumer"))

    async def bare() -> None:
        async with broker.consumer(bench.bootstrap, name, **options) as reader:
            with Span() as span:
                await broker.consume(reader, TenantCreated, bench.count)
        control.add(bench.count / span.wall, span.micros(bench.count, self="consumer"))

    await alternate(bench.run.rounds, [ours, bare], bench.run.say)
    bench.outcome.measures += [mine.measure(), control.measure()]
    times = ratios(*([cost["consumer"] for cost in series.costs] for series in (mine, control)))
    bench.outcome.ratios.append(
        Ratio("consume cost / getmany + pydantic, CPU", times, "P16", at_most=2.0)
    )
