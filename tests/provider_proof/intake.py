"""How many webhooks a second are verified and kept, beside a handler that only inserts the row."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import uvicorn
from fastapi import FastAPI, Request, Response
from tests.provider_orchestrator.orchestrator_kit import settings_for

import provider_sandbox.app as sandbox_app
from chassis.application import build
from invoiceos_local.ports import LOOPBACK, free_port
from messaging import Writer
from provider_orchestrator.app import service
from provider_orchestrator.providers.circle.adapter import Circle
from provider_orchestrator.providers.circle.settings import CircleSettings
from provider_orchestrator.providers.paypal.adapter import PayPal
from provider_orchestrator.providers.paypal.settings import PayPalSettings
from provider_orchestrator.providers.stripe.adapter import Stripe
from provider_orchestrator.providers.stripe.settings import StripeSettings
from provider_sandbox.core.clock import Clock
from provider_sandbox.core.provider import discover
from provider_sandbox.core.store import Store
from provider_sandbox.core.world import World
from provider_sandbox.providers.circle import events as circle
from provider_sandbox.providers.paypal import events as paypal
from provider_sandbox.providers.stripe import events as stripe
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

CLIENTS = 32
SECRET, HOOK = "whsec_bench", "WH-BENCH"
_INSERT = """
    insert into provider_webhook (provider, event_id, event_type, body, headers, hints, state, due_at)
    values ('bare', $1, 'bare', $2, $3, '{}', 'received', now())
"""
Delivery = tuple[bytes, Mapping[str, str]]


@dataclass(frozen=True)
class Scheme:
    """A way of signing, and how one delivery is made."""

    name: str
    path: str
    make: Callable[[World, int], Delivery]


def _stripe(world: World, number: int) -> Delivery:
    told = {"id": f"evt_{number}", "type": "payment_intent.succeeded", "created": int(world.now())}
    about = {"id": f"pi_{number}", "object": "payment_intent", "metadata": {}}
    body = json.dumps(told | {"data": {"object": about}}).encode()
    return body, stripe.sign(world, {"secret": SECRET}, body)


def _paypal(world: World, number: int) -> Delivery:
    event = {
        "id": f"WH-{number}",
        "event_type": "PAYMENT.CAPTURE.COMPLETED",
        "resource": {"id": f"CAPTURE{number}"},
    }
    body = paypal.message(event)
    return body, paypal.sign(world, {"id": HOOK}, event, body)


def _circle(version: int) -> Callable[[World, int], Delivery]:
    def make(world: World, number: int) -> Delivery:
        endpoint = {"id": "subscription", "version": version}
        resource = {"id": f"payment-{number}", "paymentIntentId": f"intent-{number}"}
        event = {
            "id": f"message-{version}-{number}",
            "type": "payments",
            "at": world.now(),
            "resource": resource,
        }
        body = circle.message(world, endpoint, event)
        return body, circle.sign(world, endpoint, event, body)

    return make


SCHEMES = (
    Scheme("Stripe: HMAC-SHA256", "/api/v1/webhooks/stripe", _stripe),
    Scheme("PayPal: RSA-SHA256, CRC32", "/api/v1/webhooks/paypal", _paypal),
    Scheme("Circle: SNS, RSA-SHA256", "/api/v1/webhooks/circle", _circle(1)),
    Scheme("Circle: ECDSA P-256", "/api/v1/webhooks/circle", _circle(2)),
)


async def intake(place: ServiceDatabase, each: int) -> list[tuple[str, float]]:
    """Webhooks a second, the bare handler first."""
    url = f"http://{LOOPBACK}:{free_port()}"
    world = World(Store(":memory:"), discover(), seed=1, public_url=url, clock=Clock(time.time))
    async with (
        _serving(sandbox_app.application(world), url),
        aiohttp.ClientSession() as session,
        under_test(service, place) as unit,
    ):
        deliveries = [(s, [s.make(world, n) for n in range(each)]) for s in SCHEMES]
        found = [("bare handler", await _bare(unit, session, deliveries[0][1]))]
        async with _ours(unit, session, url) as ours:
            for scheme, made in deliveries:
                rate = await _rate(session, ours + scheme.path, made)
                found.append((scheme.name, rate))
        kept = await unit.worker.fetchval(
            "select count(*) from provider_webhook where provider <> 'bare'"
        )
        assert kept == each * len(SCHEMES), "each was kept once"
    return found


async def _bare(
    unit: ServiceUnderTest, session: aiohttp.ClientSession, made: Sequence[Delivery]
) -> float:
    app = FastAPI()

    @app.post("/hook")
    async def hook(request: Request) -> Response:
        body = await request.body()
        event_id, headers = json.loads(body)["id"], dict(request.headers)
        await unit.api.pool.execute(_INSERT, event_id, body, headers)
        return Response(None, 200)

    url = f"http://{LOOPBACK}:{free_port()}"
    async with _serving(app, url):
        return await _rate(session, f"{url}/hook", made)


@asynccontextmanager
async def _ours(
    unit: ServiceUnderTest, session: aiohttp.ClientSession, sandbox: str
) -> AsyncIterator[str]:
    app = build(service, settings_for("http://127.0.0.1:1"))
    app.state.writer = Writer(unit.api)
    app.state.api_database = unit.api
    app.state.runtime = SimpleNamespace(http=session)
    app.state.adapters = _adapters(session, sandbox)
    writing = asyncio.create_task(app.state.writer.run())
    url = f"http://{LOOPBACK}:{free_port()}"
    async with _serving(app, url):
        yield url
    writing.cancel()


def _adapters(session: aiohttp.ClientSession, sandbox: str) -> dict[str, Any]:
    host = (urlsplit(sandbox).netloc,)
    return {
        "stripe": Stripe(
            session, StripeSettings(stripe_secret_key="sk_test_1", stripe_webhook_secrets=SECRET)
        ),
        "paypal": PayPal(
            session,
            PayPalSettings(
                environment="test",
                paypal_client_id="sandbox-client",
                paypal_client_secret="sandbox-secret",
                paypal_url=f"{sandbox}/paypal",
                paypal_certificate_hosts=host,
                paypal_webhook_ids=(HOOK,),
            ),
        ),
        "circle": Circle(
            session,
            CircleSettings(
                environment="test",
                circle_api_key="TEST_API_KEY:bench",
                circle_url=f"{sandbox}/circle",
                circle_topics=(circle._TOPIC,),
                circle_certificate_hosts=host,
            ),
        ),
    }


async def _rate(session: aiohttp.ClientSession, url: str, made: Sequence[Delivery]) -> float:
    """All of them by some clients at once, each of which waits for its answer."""
    waiting = iter(made)

    async def client() -> None:
        for body, headers in waiting:
            async with session.post(url, data=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return len(made) / (time.perf_counter() - started)


class _Server(uvicorn.Server):
    """In a loop that belongs to somebody else, who hears of signals first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _serving(app: Any, url: str) -> AsyncIterator[None]:
    address = urlsplit(url)
    config = uvicorn.Config(
        app, host=LOOPBACK, port=address.port or 0, lifespan="off", log_config=None
    )
    running = _Server(config)
    serving = asyncio.create_task(running.serve())
    while not running.started:
        await asyncio.sleep(0.002)
    try:
        yield
    finally:
        running.should_exit = True
        await serving
