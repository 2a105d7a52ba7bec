"""A sandbox that plays the providers, a wire to it that can be bent, and orders to send over it."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

import aiohttp
import httpx
from aiohttp import web
from yarl import URL

from invoiceos_local.ports import LOOPBACK, free_port
from provider_orchestrator.domain.adapters import Adapter, Answer, Kind, Order, Status, Webhook
from provider_sandbox.app import application
from provider_sandbox.core.provider import discover
from provider_sandbox.core.store import Store
from provider_sandbox.core.world import World
from provider_sandbox.server import server


class Sandbox:
    """One for all tests of a process; its clock stands and only goes on, or is everybody's."""

    def __init__(self, *, standing: bool = True) -> None:
        self.url = f"http://{LOOPBACK}:{free_port()}"
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        world = World(Store(":memory:"), discover(), seed=1, public_url=self.url)
        self._server = server(application(world), LOOPBACK, int(self.url.rpartition(":")[2]))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.002)
        if not standing:
            return
        self.ok("PUT", "/sandbox/clock", json={"mode": "standing", "now": "2030-01-01T00:00:00Z"})
        self._now = datetime(2030, 1, 1, tzinfo=UTC)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self.http.close()

    def ok(self, method: str, path: str, **more: Any) -> Any:
        answer = self.http.request(method, path, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        told = self.ok("POST", "/sandbox/clock/advance", json={"seconds": seconds})
        self._now = datetime.fromtimestamp(told["seconds"], UTC)

    def plan(self, provider: str, **plan: Any) -> None:
        self.ok("PUT", "/sandbox/faults", json={"providers": {provider: plan}})

    def faults(self, provider: str, operation: str, **faults: Any) -> None:
        self.plan(provider, operations={operation: faults})

    def no_faults(self) -> None:
        self.ok("DELETE", "/sandbox/faults")

    def truth(self, reference: object) -> dict[str, Any]:
        told = self.ok("GET", "/sandbox/truth", params={"reference": str(reference)})
        found: dict[str, Any] = told["references"].get(str(reference), {})
        return found


@dataclass(frozen=True)
class Exchanged:
    """One request and its answer, as they went over the wire."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    status: int
    answer: bytes


Distortion = Callable[[str, int, bytes], tuple[int, bytes]]


@dataclass
class Wire:
    """Hands requests on to the sandbox and remembers them; `distortion` bends the answers."""

    target: str
    exchanged: list[Exchanged] = field(default_factory=list)
    distortion: Distortion | None = None
    url: str = ""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", self._forward)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        port = free_port()
        await web.TCPSite(self._runner, LOOPBACK, port).start()
        self.url = f"http://{LOOPBACK}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {n: v for n, v in request.headers.items() if n.lower() != "host"}
        url = URL(self.target + request.raw_path, encoded=True)
        try:
            async with self._session.request(
                request.method, url, data=body or None, headers=headers, allow_redirects=False
            ) as response:
                status, raw = response.status, await response.read()
                shown = {
                    name: value
                    for name, value in response.headers.items()
                    if name.lower() not in {"content-length", "transfer-encoding", "date"}
                }
        except aiohttp.ClientError:
            status, raw, shown = 0, b"", {}
        sent = {name.lower(): value for name, value in request.headers.items()}
        query = list(request.query.items())
        if self.distortion is not None:
            status, raw = self.distortion(request.path, status, raw)
        self.exchanged.append(
            Exchanged(request.method, request.path, query, sent, body, status, raw)
        )
        if not status:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(body=raw, status=status, headers=shown)


def bent(change: Callable[[dict[str, Any]], Any]) -> Distortion:
    """Changes the object in each answer that is a success."""

    def distort(_: str, status: int, raw: bytes) -> tuple[int, bytes]:
        if status >= 300:
            return status, raw
        document = json.loads(raw)
        change(document)
        return status, json.dumps(document).encode()

    return distort


def replaced(status: int, raw: bytes) -> Distortion:
    """Another answer, whatever came; it was done all the same."""
    return lambda *_: (status, raw)


class Stage:
    """A provider as the conformance suite needs it; each adapter's test has one."""

    provider: str
    rail: str
    asset = "USD"
    method = ""
    collects: str
    """The sandbox's name for the operation that begins a payment; so the following two."""
    captures = ""
    refunds: str
    key_lives_s: float
    old_after_s: float
    """Age from which on a webhook is not believed any more."""
    takes_a_fee = True

    def __init__(self, sandbox: Sandbox, wire: Wire, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.wire = wire
        self.session = session
        self.adapter = self.make()

    def make(self, **settings: Any) -> Adapter:
        """An adapter for this provider, with other settings where they are given."""
        raise NotImplementedError

    def now(self) -> datetime:
        return self.sandbox.now()

    def only_reads(self, one: Exchanged) -> bool:
        """Whether a request cannot have moved anything."""
        return one.method == "GET"

    def wrong_credentials(self) -> dict[str, Any]:
        raise NotImplementedError

    def reference(self, order: Order, answer: Answer) -> str:
        """Under which the sandbox's truth has an order."""
        del answer
        return str(order.id)

    async def offered(self, order: Order, begun: Answer) -> Answer:
        """The answer once the payer can act, where that takes the provider a moment."""
        del order
        return begun

    async def pay(self, answer: Answer) -> None:
        """Do what the payer is asked to do."""
        raise NotImplementedError

    async def subscribe(self, url: str) -> dict[str, Any]:
        """Ask for webhooks; the settings that their proof needs."""
        raise NotImplementedError

    async def deliver(self) -> None:
        """Send every webhook that is due; whoever takes them lives in this loop."""
        await asyncio.to_thread(self.sandbox.ok, "POST", "/sandbox/deliveries/send")

    def forged(self, webhook: Webhook) -> list[Webhook]:
        """Webhooks that this provider has not signed so."""
        raise NotImplementedError

    def distort_status(self, document: dict[str, Any]) -> None:
        """Say a status that nobody knows."""
        raise NotImplementedError

    def distort_amount(self, document: dict[str, Any]) -> None:
        """Say an amount that is none."""
        raise NotImplementedError

    def order(self, kind: Kind = Kind.COLLECT, **more: Any) -> Order:
        made: dict[str, Any] = {
            "kind": kind,
            "id": uuid4(),
            "tenant_id": uuid4(),
            "key": uuid4(),
            "amount_minor": 12_345,
            "asset": self.asset,
            "created_at": self.now(),
            "rail": self.rail,
            "method": self.method or None,
            "invoice_reference": "inv_7",
            "description": "Two days of work",
            "return_url": "https://shop.test/back",
        }
        return Order(**(made | more))

    def sent(self) -> list[Exchanged]:
        """Requests since this was last asked, without those for tokens."""
        found, self.wire.exchanged[:] = list(self.wire.exchanged), []
        return [one for one in found if "oauth2" not in one.path]


def named(order: Order, answer: Answer) -> Order:
    """The order, as it is known once the provider has named it."""
    assert answer.provider_reference
    return replace(order, provider_reference=answer.provider_reference)


async def finish(stage: Stage, order: Order) -> Answer:
    """Find an order, and go on where the payer has agreed."""
    answer = await stage.adapter.find(order)
    if answer.status is Status.APPROVED:
        answer = await stage.adapter.send(named(order, answer))
    return answer


@dataclass
class Receiver:
    """Takes webhooks."""

    url: str = ""
    taken: list[Webhook] = field(default_factory=list)
