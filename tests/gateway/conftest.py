"""The gateway on a real port, before services that are real servers and remember what arrives."""

import asyncio
import base64
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import uvicorn
from aiohttp import web
from yarl import URL

from chassis.application import build, http_server
from chassis.auth import Caller, TokenReader
from gateway.app import service
from gateway.settings import GatewaySettings, public_key_of
from testkit.databases import ServiceDatabase

SEED = base64.b64encode(os.urandom(32)).decode()
OPERATOR = "operator-" + "x" * 40
SERVICES = (
    "invoice",
    "wallet-factory",
    "ephemeral-manager",
    "provider-orchestrator",
    "reserve-ledger",
    "notification",
)


@dataclass
class Arrived:
    """A request as a service got it."""

    service: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    caller: Caller | None


@dataclass
class Upstreams:
    """Six services on ports of their own; `?behave=` says how they misbehave."""

    reader: TokenReader
    arrived: list[Arrived] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    ready: dict[str, bool] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    _runners: list[web.AppRunner] = field(default_factory=list)

    async def start(self, name: str, port: int = 0) -> None:
        app = web.Application(client_max_size=1 << 23)

        async def answer(request: web.Request) -> web.StreamResponse:
            return await self._answer(name, request)

        app.router.add_route("*", "/{rest:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self._runners.append(runner)
        self.ports[name] = runner.addresses[0][1]
        self.ready[name] = True

    async def stop(self) -> None:
        self.release.set()
        for runner in self._runners:
            await runner.cleanup()

    @property
    def last(self) -> Arrived:
        return self.arrived[-1]

    async def _answer(self, name: str, request: web.Request) -> web.StreamResponse:
        if request.path == "/readyz":
            return web.json_response({}, status=200 if self.ready[name] else 503)
        if request.path == "/openapi.json":
            found = self.documents.get(name)
            return web.json_response(found, status=200 if found else 404)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        caller = self.reader.read(token) if scheme == "Bearer" else None
        headers = {}
        for key, value in request.headers.items():
            assert key.lower() not in headers, f"{key} arrived twice"
            headers[key.lower()] = value
        raw = request.raw_path.partition("?")
        self.arrived.append(
            Arrived(name, request.method, raw[0], raw[2], headers, await request.read(), caller)
        )
        return await self._behave(request.query.get("behave", ""), request)

    async def _behave(self, how: str, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        if how == "slow":
            await self.release.wait()
        if how == "reset":
            request.transport.abort()
        if how == "half":
            request.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            request.transport.close()
            await asyncio.sleep(0)
        if how == "headers":
            return web.Response(
                text="{}",
                headers={
                    "Connection": "keep-alive, x-private",
                    "X-Private": "secret",
                    "Keep-Alive": "timeout=9",
                    "X-Request-Id": "forged",
                    "Location": f"http://127.0.0.1:{request.url.port}/api/v1/invoices/1",
                    "ETag": '"7"',
                    "Set-Cookie": "a=b",
                    "Server": "secret/1.0",
                },
            )
        if how == "big":
            return web.Response(body=b"x" * 3_000_000)
        if how == "stream":
            stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await stream.prepare(request)
            await stream.write(b"data: first\n\n")
            await self.release.wait()
            await stream.write(b"data: last\n\n")
            return stream
        if how == "empty":
            return web.Response(status=204)
        return web.json_response({"service": request.url.port, "path": request.path}, status=200)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@dataclass
class Gateway:
    """The gateway under test."""

    url: str
    port: int
    app: Any
    upstreams: Upstreams
    place: ServiceDatabase
    http: aiohttp.ClientSession

    @property
    def runtime(self) -> Any:
        return self.app.state.runtime

    async def ask(self, method: str, path: str, key: str | None = None, **more: Any) -> "Reply":
        headers = dict(more.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        async with self.http.request(
            method,
            URL(f"{self.url}{path}", encoded=True),
            headers=headers,
            allow_redirects=False,
            **more,
        ) as response:
            raw = await response.read()
            return Reply(response.status, response.headers, raw)

    async def tenant(self, name: str = "Acme") -> dict[str, Any]:
        made = await self.ask("POST", "/api/v1/tenants", OPERATOR, json={"name": name})
        assert made.status == 201, made.body
        return made.json

    async def key(self, owner: str, *scopes: str, **more: Any) -> dict[str, Any]:
        body = {"name": "one", "scopes": list(scopes) or ["*"], **more}
        made = await self.ask("POST", "/api/v1/api-keys", owner, json=body)
        assert made.status == 201, made.body
        return made.json

    async def facts(self) -> list[tuple[str, dict[str, Any]]]:
        rows = await self.runtime.worker.fetch("select type, payload from outbox order by seq")
        return [(row["type"], json.loads(row["payload"])) for row in rows]

    async def raw(self, request: bytes) -> bytes:
        """Bytes in, bytes out, until the server hangs up or says no more for a moment."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(1 << 20), 30)
        finally:
            writer.close()


@dataclass
class Reply:
    """An answer."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json", self.body
        return str(self.json["code"])


def settings_for(place: ServiceDatabase, upstreams: Upstreams, **more: Any) -> GatewaySettings:
    urls = {
        f"{name.replace('-', '_')}_url": f"http://127.0.0.1:{port}"
        for name, port in upstreams.ports.items()
    }
    given: dict[str, Any] = {
        "environment": "test",
        "public_url": "http://127.0.0.1:8080",
        "database_api_url": place.url("api"),
        "database_worker_url": place.url("worker"),
        "internal_token_private_key": SEED,
        "operator_token": OPERATOR,
        "personal_data_key": SEED,
        "roles": "api",
        "rate_limit_per_second": 0,
        "failed_logins_per_minute": 0,
        "upstream_timeout_s": 30.0,
        "body_timeout_s": 15.0,
        "drain_seconds": 1,
        **urls,
        **more,
    }
    return GatewaySettings(**given)


@contextlib.asynccontextmanager
async def running(
    place: ServiceDatabase, upstreams: Upstreams, **more: Any
) -> AsyncIterator[Gateway]:
    """A gateway with settings of its own."""
    app = build(service, settings_for(place, upstreams, **more))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = _Server(http_server(app))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        assert not serving.done(), serving
        await asyncio.sleep(0.01)
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            yield Gateway(f"http://127.0.0.1:{port}", port, app, upstreams, place, http)
    finally:
        server.should_exit = True
        await serving
        listener.close()


@pytest.fixture(scope="session")
async def upstreams() -> AsyncIterator[Upstreams]:
    made = Upstreams(TokenReader(public_key_of(SEED)))
    for name in SERVICES:
        await made.start(name)
    yield made
    await made.stop()


@pytest.fixture(scope="session")
def place(make_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return make_database("gateway")


@pytest.fixture(scope="session")
async def gateway(place: ServiceDatabase, upstreams: Upstreams) -> AsyncIterator[Gateway]:
    async with running(place, upstreams) as started:
        yield started


@pytest.fixture
async def acme(gateway: Gateway) -> dict[str, Any]:
    """A tenant of its own, with its first key."""
    return await gateway.tenant()


@pytest.fixture
def key(acme: dict[str, Any]) -> str:
    return str(acme["api_key"])


@pytest.fixture
def another(place: ServiceDatabase, upstreams: Upstreams) -> Callable[..., Any]:
    """Starts a gateway with settings of its own on the same database: `async with another(...)`."""
    return lambda **more: running(place, upstreams, **more)


@pytest.fixture
async def impatient(place: ServiceDatabase, upstreams: Upstreams) -> AsyncIterator[Gateway]:
    """A gateway that waits hardly at all; only for what must be waited for in vain."""
    async with running(place, upstreams, upstream_timeout_s=2.0, body_timeout_s=2.0) as started:
        yield started


@pytest.fixture
def make_settings(place: ServiceDatabase, upstreams: Upstreams) -> Callable[..., GatewaySettings]:
    return lambda **more: settings_for(place, upstreams, **more)
