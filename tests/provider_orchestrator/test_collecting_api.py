"""Collecting over HTTP, and webhooks: forged ones leave nothing, others are believed never."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import pytest
from aiohttp import web
from bank import Bank
from collecting_kit import TENANT, Collecting, an_invoice
from orchestrator_kit import settings_for
from test_api import PUBLIC, as_tenant

from chassis.application import build
from chassis.auth import TokenReader
from invoiceos_contracts import encode
from invoiceos_local.ports import LOOPBACK, free_port
from messaging import Writer
from provider_orchestrator.app import service
from testkit.databases import ServiceDatabase
from testkit.service import under_test

SCOPES = frozenset({"payments:read", "payments:write"})
HOOK = "/api/v1/webhooks/stripe"


@pytest.fixture
async def collecting(place: ServiceDatabase) -> AsyncIterator[Collecting]:
    async with under_test(service, place) as unit:
        yield Collecting(unit, [Bank("stripe")])


@pytest.fixture
async def http(collecting: Collecting) -> AsyncIterator[httpx.AsyncClient]:
    app = build(service, settings_for("http://127.0.0.1:1"))
    app.state.writer = Writer(collecting.unit.api)
    app.state.api_database = collecting.unit.api
    app.state.token_reader = TokenReader(PUBLIC)
    app.state.adapters = {bank.name: bank for bank in collecting.banks}
    writing = asyncio.create_task(app.state.writer.run())
    transport = httpx.ASGITransport(app)
    headers = as_tenant(TENANT, SCOPES)
    async with (
        aiohttp.ClientSession() as session,
        httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client,
    ):
        app.state.runtime = SimpleNamespace(http=session)
        yield client
    writing.cancel()


async def begun(collecting: Collecting, http: httpx.AsyncClient, **more: Any) -> Any:
    invoice = an_invoice()
    await collecting.unit.receives(invoice)
    body = {"invoices": [{"invoice_id": encode("inv", invoice.invoice_id)}], "method": "card"}
    answer = await http.post("/api/v1/payments", json=body | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_payment_is_begun_captured_in_part_and_seen(
    collecting: Collecting, http: httpx.AsyncClient
) -> None:
    made = await begun(collecting, http, capture="manual")
    await collecting.work()
    path = f"/api/v1/payment-intents/{made['id']}"
    assert (await http.get(path)).json()["state"] == "authorized"
    too_much = await http.post(f"{path}/capture", json={"amount_minor": 1251})
    assert too_much.json()["code"] == "amount_above_authorized"
    assert (await http.post(f"{path}/capture", json={"amount_minor": 1000})).status_code == 202
    await collecting.work()
    seen = (await http.get(path)).json()
    assert (seen["state"], seen["captured"]["amount_minor"]) == ("partially_captured", 1000)
    assert [one["kind"] for one in seen["attempts"]] == ["collect", "capture"]
    (payment,) = (await http.get("/api/v1/payments")).json()["items"]
    assert (payment["id"], payment["chain"]) == (made["payments"][0]["payment_id"], None)
    assert payment["amount"]["amount_minor"] == 1000


async def test_the_same_request_twice_is_one_payment(
    collecting: Collecting, http: httpx.AsyncClient
) -> None:
    invoice = an_invoice()
    await collecting.unit.receives(invoice)
    body = {"invoices": [{"invoice_id": encode("inv", invoice.invoice_id)}]}
    key = {"Idempotency-Key": str(uuid4())}
    first, again = [await http.post("/api/v1/payments", json=body, headers=key) for _ in range(2)]
    other = await http.post("/api/v1/payments", json=body)
    assert (first.content, again.status_code) == (again.content, 201)
    assert (other.status_code, other.json()["code"]) == (409, "payment_under_way")
    page = (await http.get("/api/v1/payment-intents")).json()
    assert [one["id"] for one in page["items"]] == [first.json()["id"]]


async def hooks(collecting: Collecting) -> list[Any]:
    return await collecting.unit.worker.fetch("select * from provider_webhook")


async def test_a_webhook_says_when_to_look_and_nothing_else(
    collecting: Collecting, http: httpx.AsyncClient
) -> None:
    (bank,) = collecting.banks
    bank.page = True
    made = await begun(collecting, http)
    await collecting.work()
    path = f"/api/v1/payment-intents/{made['id']}"
    assert (await http.get(path)).json()["action"]["url"] == "https://bank.example/pay"
    reference = next(iter(bank.charges.values())).order.id
    body = f"evt_1 {reference}".encode()
    forged = await http.post(HOOK, content=body, headers={"signature": "bad"})
    assert (forged.status_code, await hooks(collecting)) == (401, [])
    for _ in range(2):
        answer = await http.post(HOOK, content=body, headers={"signature": "good"})
        assert answer.status_code == 200
    await collecting.work()
    assert (await http.get(path)).json()["state"] == "requires_action"
    bank.pays()
    later = f"evt_2 {reference}".encode()
    assert (await http.post(HOOK, content=later, headers={"signature": "good"})).is_success
    await collecting.work()
    assert (await http.get(path)).json()["state"] == "succeeded"
    assert [(one["event_id"], one["state"]) for one in await hooks(collecting)] == [
        ("evt_1", "followed"),
        ("evt_2", "followed"),
    ]
    assert len(await collecting.payments()) == 1


async def test_who_sends_is_told_that_we_want_it_and_asks_again_until_then(
    collecting: Collecting, http: httpx.AsyncClient
) -> None:
    statuses, seen = [500, 302, 200], []

    async def confirmed(request: web.Request) -> web.Response:
        seen.append(request.query_string)
        return web.Response(status=statuses.pop(0))

    application = web.Application()
    application.router.add_get("/", confirmed)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, LOOPBACK, port).start()
    body = f"confirm http://{LOOPBACK}:{port}/?Token=1".encode()
    forged = await http.post(HOOK, content=body, headers={"signature": "bad"})
    assert (forged.status_code, seen) == (401, [])
    answers = [await http.post(HOOK, content=body, headers={"signature": "good"}) for _ in range(3)]
    assert [one.status_code for one in answers] == [503, 503, 200]
    assert seen == ["Token=1"] * 3
    await runner.cleanup()
    assert (await http.post(HOOK, content=body, headers={"signature": "good"})).status_code == 503
    assert (await http.head("/api/v1/webhooks/circle")).status_code == 200
    await collecting.work()
    assert len(await hooks(collecting)) == 1


async def test_who_may_not_collect_is_told_so(http: httpx.AsyncClient) -> None:
    reading = as_tenant(TENANT, frozenset({"payments:read"}))
    intent = encode("pin", uuid4())
    for path in ("/api/v1/payments", f"/api/v1/payment-intents/{intent}/cancel"):
        assert (await http.post(path, json={}, headers=reading)).status_code == 403
    assert (await http.post(f"/api/v1/payment-intents/{intent}/void")).status_code == 404
    assert (await http.get("/api/v1/payments/unknown")).json()["items"] == []
