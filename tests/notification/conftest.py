import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from standardwebhooks import Webhook

from chassis.application import describe
from chassis.auth import Caller, TokenMint, TokenReader
from chassis.problems import install
from chassis.sealing import Sealer
from chassis.settings import Environment
from invoiceos_local.resolver import Infrastructure
from messaging import Writer
from notification.app import service
from notification.providers.guard import GuardedResolver, open_session
from notification.providers.webhook import Sender
from notification.providers.webhook_loop import Dispatcher
from notification.settings import NotificationSettings
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

PERSONAL_KEY = base64.b64encode(b"p" * 32).decode()
SECRET_KEY = base64.b64encode(b"w" * 32).decode()
SEED = b"t" * 32
SCOPES = frozenset({"webhooks:read", "webhooks:write", "notifications:read"})


def make_settings(infra: Infrastructure, **more: Any) -> NotificationSettings:
    values: dict[str, Any] = {
        "environment": Environment.TEST,
        "database_api_url": SecretStr("unused"),
        "database_worker_url": SecretStr("unused"),
        "smtp_url": SecretStr(infra.smtp_url),
        "mail_from": "Invoice OS <invoices@example.com>",
        "personal_data_key": SecretStr(PERSONAL_KEY),
        "webhook_secret_key": SecretStr(SECRET_KEY),
        "webhook_allow_hosts": frozenset({"127.0.0.1"}),
        "webhook_timeout_s": 20,
        "webhook_concurrency": 16,
        "webhook_concurrency_per_tenant": 4,
    }
    return NotificationSettings(**(values | more))


@pytest.fixture
def settings(infra: Infrastructure) -> NotificationSettings:
    return make_settings(infra)


@pytest.fixture
async def unit(
    make_database: Callable[[str], ServiceDatabase],
) -> AsyncIterator[ServiceUnderTest]:
    async with under_test(service, make_database("notification")) as opened:
        yield opened


@pytest.fixture
async def dispatcher(
    unit: ServiceUnderTest, settings: NotificationSettings
) -> AsyncIterator[Dispatcher]:
    resolver = GuardedResolver(settings.webhook_allow_hosts, threads=4)
    session = open_session(
        resolver,
        connections=settings.webhook_concurrency,
        timeout_s=settings.webhook_timeout_s,
    )
    sender = Sender(session, Sealer(SECRET_KEY), settings.webhook_allow_hosts)
    yield Dispatcher(unit.worker, sender, settings)
    await session.close()
    await resolver.close()


@dataclass
class Arrived:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """A subscriber's server on loopback: each path answers by its own script, then with 204."""

    port: int = 0
    arrived: list[Arrived] = field(default_factory=list)
    scripts: dict[str, list[int | dict[str, Any]]] = field(default_factory=dict)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    held: int = 0

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Arrived]:
        return [one for one in self.arrived if one.path == path]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.arrived.append(Arrived(request.path, headers, body))
        if request.path.startswith("/hang"):
            self.held += 1
            await self.hanging.wait()
        script = self.scripts.get(request.path)
        step = script.pop(0) if script else 204
        if isinstance(step, int):
            return web.Response(status=step, text="" if step == 204 else f"answer {step}")
        return web.Response(**step)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    made.hanging.set()
    await runner.cleanup()


class Client:
    """Calls the API as one tenant."""

    def __init__(self, http: httpx.AsyncClient, mint: TokenMint, tenant_id: UUID) -> None:
        self._http = http
        self._mint = mint
        self.tenant_id = tenant_id
        self.scopes = SCOPES

    async def __call__(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        token = self._mint.mint(Caller(self.tenant_id, "key_test", self.scopes))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._http.request(
            method,
            f"/api/v1{path}",
            json=body,
            headers={"authorization": f"Bearer {token}", **named},
        )

    async def endpoint(self, url: str, *event_types: str) -> dict[str, Any]:
        body = {"url": url, "event_types": list(event_types or ("*",))}
        answer = await self("POST", "/webhook-endpoints", body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def client_of(
    unit: ServiceUnderTest, settings: NotificationSettings
) -> AsyncIterator[Callable[[UUID], Client]]:
    app = describe(service)
    install(app)
    public = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
    app.state.token_reader = TokenReader(base64.b64encode(public).decode())
    app.state.api_database = unit.api
    app.state.writer = Writer(unit.api)
    app.state.runtime = SimpleNamespace(settings=settings)
    writing = asyncio.create_task(app.state.writer.run())
    mint = TokenMint(base64.b64encode(SEED).decode())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield lambda tenant_id: Client(http, mint, tenant_id)
    writing.cancel()


async def make_due(unit: ServiceUnderTest) -> None:
    """Let every delivery and mail that waits be due now."""
    await unit.worker.pool.execute(
        "update webhook_delivery set next_at = now() - interval '1 second' where state = 'pending'"
    )
    await unit.worker.pool.execute(
        "update notification set next_at = now() - interval '1 second' where state = 'pending'"
    )
