"""One sandbox for all adapters; a wire that is whole again before each test."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from aiohttp import web

from invoiceos_local.ports import LOOPBACK, free_port
from provider_orchestrator.domain.adapters import Webhook
from testkit.databases import ServiceDatabase

from .shop import Shop, opened
from .stage import Receiver, Sandbox, Wire


@pytest.fixture(scope="session")
def played() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


@pytest.fixture
def sandbox(played: Sandbox) -> Sandbox:
    played.no_faults()
    return played


@pytest.fixture(scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as opened:
        yield opened


@pytest.fixture(scope="session")
async def laid(played: Sandbox) -> AsyncIterator[Wire]:
    async with Wire(played.url) as wire:
        yield wire


@pytest.fixture
def wire(laid: Wire) -> Wire:
    laid.distortion = None
    laid.exchanged.clear()
    return laid


@pytest.fixture(scope="session")
def live() -> Iterator[Sandbox]:
    """A sandbox whose clock is ours."""
    sandbox = Sandbox(standing=False)
    yield sandbox
    sandbox.close()


@pytest.fixture
async def shop(
    place: ServiceDatabase,
    live: Sandbox,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Shop]:
    live.no_faults()
    async with opened(place, live, session, monkeypatch) as shop:
        yield shop


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        found.taken.append(Webhook(await request.read(), headers))
        return web.Response()

    app = web.Application()
    app.router.add_post("/webhooks", take)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, LOOPBACK, port).start()
    found.url = f"http://{LOOPBACK}:{port}/webhooks"
    yield found
    await runner.cleanup()
