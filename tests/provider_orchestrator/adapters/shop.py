"""A shop that collects through the sandbox: the service, its HTTP side, and a payer's browser."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import httpx
import pytest
from collecting_kit import TENANT, an_invoice
from orchestrator_kit import settings_for

from chassis.application import build
from chassis.settings import load
from invoiceos_contracts.invoice_v1 import InvoiceIssued
from messaging import Writer
from provider_orchestrator.app import service
from provider_orchestrator.providers import catalogue as providers
from provider_orchestrator.providers.adapters import adapters
from provider_orchestrator.workers.payments import Collector
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

from .stage import Sandbox


@dataclass(slots=True)
class Shop:
    """The service with its HTTP side and its collector, and what a payer's browser does."""

    unit: ServiceUnderTest
    sandbox: Sandbox
    http: httpx.AsyncClient
    known: dict[str, Any]
    collector: Collector

    async def issued(self, due_minor: int = 1250, **more: Any) -> tuple[InvoiceIssued, str]:
        """An invoice, and the token of its link."""
        token = base64.urlsafe_b64encode(TENANT.bytes + uuid4().bytes).rstrip(b"=").decode()
        invoice = an_invoice(due_minor, payment_link=f"https://pay.example/pay/{token}", **more)
        await self.unit.receives(invoice)
        return invoice, token

    async def press(self, token: str, method: str) -> str:
        """Press a button of the page; where the browser is sent."""
        form = {"method": method}
        waiting = asyncio.create_task(self.http.post(f"/pay/with/{token}", data=form))
        while not waiting.done():
            await self.collector.step()
            await asyncio.sleep(0.005)
        answer = waiting.result()
        assert answer.status_code == 303, answer.text
        assert answer.headers["referrer-policy"] == "no-referrer"
        return answer.headers["location"]

    async def act(self, url: str, **form: str) -> str:
        """Do something on the provider's page; where it sends the payer."""
        answer = await asyncio.to_thread(self.sandbox.http.post, url, data=form)
        assert answer.status_code in (200, 303), answer.text
        return str(answer.headers.get("location", ""))

    async def back(self, url: str, token: str) -> None:
        """Come back, and let the collector do what is due."""
        assert url.startswith(f"https://pay.example.test/pay/back/{token}")
        # What was asked less than two seconds ago is not asked again.
        await self.unit.worker.pool.execute(
            "update payment_attempt set updated_at = updated_at - interval '3 s'"
        )
        answer = await self.http.get(f"/pay/back/{token}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/pay/{token}?news=back")
        while await self.collector.step():
            pass


@asynccontextmanager
async def opened(
    place: ServiceDatabase,
    live: Sandbox,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Shop]:
    """With Stripe and PayPal, as the sandbox plays them."""
    for name, value in {
        "PUBLIC_URL": "https://pay.example.test/",
        "STRIPE_SECRET_KEY": "sk_test_1",
        "STRIPE_URL": f"{live.url}/stripe",
        "STRIPE_PAGES": live.url,
        "PAYPAL_CLIENT_ID": "sandbox-client",
        "PAYPAL_CLIENT_SECRET": "sandbox-secret",
        "PAYPAL_URL": f"{live.url}/paypal",
        "PAYPAL_CERTIFICATE_HOSTS": urlsplit(live.url).netloc,
    }.items():
        monkeypatch.setenv(f"INVOICEOS_{name}", value)
    load.cache_clear()
    providers.catalogue.cache_clear()
    async with under_test(service, place) as unit:
        app = build(service, settings_for("http://127.0.0.1:1"))
        app.state.writer = Writer(unit.api)
        app.state.api_database = unit.api
        app.state.adapters = adapters(session)
        writing = asyncio.create_task(app.state.writer.run())
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            can = providers.catalogue()
            known = app.state.adapters
            yield Shop(unit, live, http, known, Collector(unit.worker, known, can))
        writing.cancel()
    providers.catalogue.cache_clear()
