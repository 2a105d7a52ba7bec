"""The payments core under test: its commands, workers and webhooks on the real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import httpx
from tests.provider_proof.stand import TIMEOUT_S, Stand

from chassis.application import build
from invoiceos_local import tempo_facts as facts
from messaging import Database, Processor, Subscriptions, TimerLoop, Writer
from provider_orchestrator.app import service
from provider_orchestrator.commands.claim_disbursements import Claimed
from provider_orchestrator.commands.record_disbursements import Heard
from provider_orchestrator.domain.adapters import Adapter, Answer, Order
from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.providers.circle.adapter import Circle
from provider_orchestrator.providers.circle.settings import CircleSettings
from provider_orchestrator.providers.paypal.adapter import PayPal
from provider_orchestrator.providers.paypal.settings import PayPalSettings
from provider_orchestrator.providers.stripe.adapter import Stripe
from provider_orchestrator.providers.stripe.settings import StripeSettings
from provider_orchestrator.settings import OrchestratorSettings
from provider_orchestrator.workers.disbursing import disbursing
from provider_orchestrator.workers.executor import Executor
from provider_orchestrator.workers.payments import Collector
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest

TOPIC = "arn:aws:sns:us-east-1:000000000000:provider-sandbox"
WALLET = "1000000001"
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
RAILS = (
    ("stripe", "card", ("card", "any"), 10_000),
    ("paypal", "wallet", ("card", "account", "any"), 30_000),
    ("circle", "usdc", ("stablecoin", "any"), 50_000),
)
"""Provider, rail, methods and price: of the same method, one may stand in for another."""
PAYS_OUT = {"paypal": (Operation.PAYOUT,), "circle": (Operation.PAYOUT,)}
CAN = tuple(
    Capabilities(
        provider=name,
        rail=rail,
        assets=frozenset({"USD"}),
        operations=frozenset({Operation.COLLECT, Operation.REFUND, *PAYS_OUT.get(name, ())}),
        methods=frozenset(methods),
        fee_ppm=fee_ppm,
    )
    for name, rail, methods, fee_ppm in RAILS
)


class AnotherKey:
    """A planted fault of ours: whoever repeats an order makes a new key for it."""

    def __init__(self, inner: Adapter) -> None:
        self._inner = inner
        self._sent: set[UUID] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, order: Order) -> Answer:
        again = order.id in self._sent
        self._sent.add(order.id)
        return await self._inner.send(replace(order, key=uuid4()) if again else order)


PLANTS: Mapping[str, Any] = {"": lambda adapter: adapter, "another-key": AnotherKey}


@dataclass(slots=True)
class Core:
    """Some replicas that share a database, and the doors that others come in by."""

    unit: ServiceUnderTest
    adapters: Mapping[str, Adapter]
    replicas: Sequence[Collector]
    disbursers: Sequence[Executor[Claimed, Heard]]
    chance: Random
    deaths: int = 0

    async def work(self) -> None:
        """Until nothing is due; now and then somebody dies in the middle of it."""
        while True:
            workers = [*self.replicas, *self.disbursers]
            tasks = [asyncio.create_task(one.step()) for one in workers]
            if self.chance.random() < 0.05:
                await asyncio.sleep(self.chance.uniform(0, 0.3))
                self.deaths += self.chance.choice(tasks).cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            for one in done:
                if isinstance(one, Exception):
                    raise one
            if not any(done):
                return

    async def fire_timers(self) -> None:
        while await self.unit.timers.fire_due():
            pass


@asynccontextmanager
async def databases(place: ServiceDatabase) -> AsyncIterator[ServiceUnderTest]:
    """The service's own code on a database that asks the stand for the time."""
    path = f"{place.schema},simclock,pg_catalog"
    worker = await Database.open(place.url("worker"), path, size=8)
    api = await Database.open(place.url("api"), path, size=4)
    try:
        processor = Processor(worker, Subscriptions(service.name, service.subscriptions))
        timers = TimerLoop(worker, service.timers)
        yield ServiceUnderTest(service, worker, api, place, processor, timers)
    finally:
        await asyncio.gather(worker.close(), api.close())


@asynccontextmanager
async def core(
    unit: ServiceUnderTest, stand: Stand, chance: Random, planted: str = "", only: str = ""
) -> AsyncIterator[Core]:
    """Replicas that know this stand's providers."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=0)
            )
        )
        adapters = _adapters(session, stand, await _subscribed(session, stand))
        planter = PLANTS[planted]
        known = {name: planter(adapter) for name, adapter in adapters.items()}
        can = [one for one in CAN if only in ("", one.provider)]
        replicas = [Collector(unit.worker, known, can) for _ in range(3)]
        for one in replicas:
            one.executor._at_once = 100
        work = disbursing(known, can)
        disbursers = [Executor(unit.worker, work, at_once=100) for _ in range(2)]
        transport = await stack.enter_async_context(_api(unit, session, known))
        stand.listen_with(transport)
        yield Core(unit, known, replicas, disbursers, chance)


@asynccontextmanager
async def _api(
    unit: ServiceUnderTest, session: aiohttp.ClientSession, known: Mapping[str, Adapter]
) -> AsyncIterator[httpx.AsyncBaseTransport]:
    app = build(
        service,
        OrchestratorSettings(
            environment="test",
            database_api_url=NOWHERE,
            database_worker_url=NOWHERE,
            tempo_rpc_url="http://127.0.0.1:1",
            tempo_chain_id=facts.CHAIN_ID,
            tempo_master_address=facts.MASTER_ADDRESS,
            tempo_tokens=",".join(f"{code}={at}" for code, at in facts.TOKENS.items()),
        ),
    )
    app.state.writer = Writer(unit.api)
    app.state.adapters = dict(known)
    app.state.runtime = SimpleNamespace(http=session)
    writing = asyncio.create_task(app.state.writer.run())
    yield httpx.ASGITransport(app)
    writing.cancel()


def _adapters(
    session: aiohttp.ClientSession, stand: Stand, secrets: Mapping[str, str]
) -> dict[str, Adapter]:
    host = stand.url.removeprefix("http://")
    common: dict[str, Any] = {"environment": "test"}
    stripe = StripeSettings(
        **common,
        stripe_secret_key="sk_test_1",
        stripe_url=f"{stand.url}/stripe",
        stripe_timeout_s=TIMEOUT_S,
        stripe_webhook_secrets=secrets["stripe"],
    )
    paypal = PayPalSettings(
        **common,
        paypal_client_id="sandbox-client",
        paypal_client_secret="sandbox-secret",
        paypal_url=f"{stand.url}/paypal",
        paypal_timeout_s=TIMEOUT_S,
        paypal_webhook_ids=secrets["paypal"],
        paypal_certificate_hosts=host,
    )
    circle = CircleSettings(
        **common,
        circle_api_key="TEST_API_KEY:proof",
        circle_url=f"{stand.url}/circle",
        circle_timeout_s=TIMEOUT_S,
        circle_wallet_id=WALLET,
        circle_chain="ETH",
        circle_topics=TOPIC,
        circle_certificate_hosts=host,
    )
    return {
        "stripe": Stripe(session, stripe, stand.now),
        "paypal": PayPal(session, paypal, stand.now),
        "circle": Circle(session, circle, stand.now),
    }


async def _subscribed(session: aiohttp.ClientSession, stand: Stand) -> dict[str, str]:
    """Ask each provider for webhooks: of Circle by both schemes."""

    async def ok(path: str, **more: Any) -> Any:
        async with session.post(f"{stand.url}{path}", **more) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()

    ours = "http://core/api/v1/webhooks"
    stripe = await ok(
        "/stripe/v1/webhook_endpoints",
        data={"url": f"{ours}/stripe", "enabled_events[]": "*"},
        headers={"Authorization": "Bearer sk_test_1"},
    )
    token = await ok(
        "/paypal/v1/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": aiohttp.encode_basic_auth("sandbox-client", "sandbox-secret")},
    )
    paypal = await ok(
        "/paypal/v1/notifications/webhooks",
        json={"url": f"{ours}/paypal", "event_types": [{"name": "*"}]},
        headers={"Authorization": f"Bearer {token['access_token']}"},
    )
    for version in (1, 2):
        await ok(
            f"/circle/v{version}/notifications/subscriptions",
            json={"endpoint": f"{ours}/circle", "notificationTypes": ["*"]},
            headers={"Authorization": "Bearer TEST_API_KEY:proof"},
        )
    return {"stripe": stripe["secret"], "paypal": paypal["id"]}


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[at : at + size] for at in range(0, len(items), size))
