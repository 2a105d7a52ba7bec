"""The providers, played in this process on a clock that jumps, and everybody's view of that clock."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx
import psycopg
import uvicorn
from tests.simulator.database import _CLOCK, Clock

import provider_sandbox.app as sandbox_app
from invoiceos_local.ports import LOOPBACK, free_port
from provider_sandbox.core.clock import Clock as SandboxClock
from provider_sandbox.core.faults import Decision, Plan
from provider_sandbox.core.provider import Provider, Route, discover
from provider_sandbox.core.store import Store
from provider_sandbox.core.world import World
from provider_sandbox.server import server
from testkit.databases import ServiceDatabase

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
AMBIGUOUS = ("unavailable", "error_after", "hang", "response_lost")
"""What the caller cannot tell from something that happened."""
TIMEOUT_S = 2.0
HANG_MS = 3000
FORGED, REPLAYED, HEARD_MAX = 0.03, 0.05, 500
HANGS_MAX = 0.04
"""Hangs and what is given up for them are the one thing here that takes real time."""
_CRASHED = 0.2


class DatabaseClock:
    """What a database's statements are told when they ask for the time."""

    def __init__(self, place: ServiceDatabase) -> None:
        self._connection = psycopg.connect(place.admin_url, autocommit=True)
        known = self._connection.execute("select to_regnamespace('simclock')").fetchone()
        if known == (None,):
            self._connection.execute(_CLOCK)
        self._clock = Clock(self._connection)
        self.set(START)

    def set(self, seconds: float) -> None:
        self._clock.set(int((seconds - START) * 1_000_000))

    def close(self) -> None:
        self._clock.close()
        self._connection.close()


class _Server(uvicorn.Server):
    """In a loop that belongs to somebody else, who hears of signals first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Stand:
    """One sandbox with a plan, and how often each fault met each operation."""

    def __init__(self, clock: DatabaseClock, seed: int, started_at: float) -> None:
        self.url = f"http://{LOOPBACK}:{free_port()}"
        self._database = clock
        own = SandboxClock(lambda: started_at)
        own.stop()
        self.world = World(Store(":memory:"), discover(), seed=seed, public_url=self.url, clock=own)
        self.met: Counter[tuple[str, str]] = Counter()
        self.mischief: Counter[str] = Counter()
        """Webhooks that were forged, that were believed all the same, and that were replayed."""
        self.seed = seed
        self._under_way = 0
        self._none_under_way = asyncio.Event()
        self._none_under_way.set()
        self.sync()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        before = sandbox_app.decision_for

        def counted(world: World, provider: Provider, route: Route) -> Decision:
            decision = before(world, provider, route)
            kind = "outage" if decision.outage else decision.kind
            self.met[f"{provider.name} {route.operation}", kind] += 1
            return decision

        sandbox_app.decision_for = counted
        config = server(sandbox_app.application(self.world), LOOPBACK, int(self.url[-5:])).config
        if not config.loaded:
            config.load()
        running = _Server(config)
        config.loaded_app = self._counted(config.loaded_app)
        serving = asyncio.create_task(running.serve())
        while not running.started:
            await asyncio.sleep(0.002)
        try:
            yield
        finally:
            sandbox_app.decision_for = before
            running.should_exit = True
            await serving

    def _counted(self, inner: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            self._under_way += 1
            self._none_under_way.clear()
            try:
                await inner(scope, receive, send)
            finally:
                self._under_way -= 1
                if not self._under_way:
                    self._none_under_way.set()

        return app

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.world.now(), UTC)

    def sync(self) -> None:
        """Let the database have the sandbox's time."""
        self._database.set(self.world.now())

    async def pass_time(self, seconds: float) -> None:
        """Jump, once nothing is on its way: what is sent arrives within minutes at most."""
        await self._none_under_way.wait()
        await self.world.advance(seconds)
        self.sync()

    def listen_with(self, transport: httpx.AsyncBaseTransport) -> None:
        """Deliver webhooks through this."""
        self.world.deliveries._client = httpx.AsyncClient(transport=_InTime(self, transport))

    def use_plan(self, chance: Random) -> None:
        """Each operation has its own mixture of faults; a fifth of all answers are ambiguous."""
        start = self.world.now()
        providers = {
            name: {
                "operations": {route.operation: _faults(chance) for route in provider.routes},
                "webhooks": {
                    "duplicate": 0.15,
                    "reorder": 0.2,
                    "drop": 0.05,
                    "delay": {"median_ms": 500, "p99_ms": 20_000},
                },
                "outages": _outages(chance, start),
            }
            for name, provider in self.world.providers.items()
        }
        self.world.use_plan(Plan.model_validate({"providers": providers}))


class _InTime(httpx.AsyncBaseTransport):
    """Delivers; somebody who listens sends what he heard again, bent or hours later."""

    def __init__(self, stand: Stand, inner: httpx.AsyncBaseTransport) -> None:
        self._stand = stand
        self._inner = inner
        self._chance = Random(stand.seed)
        self._heard: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._stand.sync()
        draw = self._chance.random()
        if draw < FORGED:
            await self._forge(request)
        elif draw < FORGED + REPLAYED and self._heard:
            again = self._heard[self._chance.randrange(len(self._heard))]
            await self._inner.handle_async_request(_copy(again, again.content))
            self._stand.mischief["replayed"] += 1
        if len(self._heard) < HEARD_MAX:
            await request.aread()
            self._heard.append(request)
        return await self._inner.handle_async_request(request)

    async def _forge(self, request: httpx.Request) -> None:
        body = (await request.aread()).replace(b'"', b"'", 2)
        answer = await self._inner.handle_async_request(_copy(request, body))
        self._stand.mischief["forged"] += 1
        self._stand.mischief["believed"] += answer.is_success


def _copy(request: httpx.Request, body: bytes) -> httpx.Request:
    kept = [(k, v) for k, v in request.headers.raw if k.lower() != b"content-length"]
    return httpx.Request(request.method, request.url, headers=kept, content=body)


def _faults(chance: Random) -> dict[str, Any]:
    hang = chance.uniform(0, HANGS_MAX)
    parts = [chance.random() + 0.05 for _ in range(3)]
    rates = [part / sum(parts) * (_CRASHED - hang) for part in parts]
    return {
        "hang": hang,
        "hang_ms": HANG_MS,
        "effect": chance.choice(("early", "late")),
        **dict(zip(("unavailable", "error_after", "response_lost"), rates, strict=True)),
        "throttled": 0.02,
        "declined": 0.03,
    }


def _outages(chance: Random, start: float) -> list[dict[str, Any]]:
    if chance.random() < 0.5:
        return []
    begin = start + chance.uniform(1, 300)
    answer = chance.choice(("reset", "503"))
    return [{"start": begin, "end": begin + chance.uniform(10, 900), "answer": answer}]
