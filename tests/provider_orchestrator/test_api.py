"""What can be asked over HTTP, and what everybody else gets."""

import asyncio
import base64
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from orchestrator_kit import Orchestrator, a_wallet, settings_for

from chassis.application import build
from chassis.auth import Caller, TokenMint, TokenReader
from invoiceos_contracts import encode
from invoiceos_contracts.wallet_v1 import WalletReady
from invoiceos_local.chain import pay
from messaging import Writer
from provider_orchestrator.app import service
from provider_orchestrator.workers import look

SEED = bytes(range(32))
MINT = TokenMint(base64.b64encode(SEED).decode())
PUBLIC = base64.b64encode(
    Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
).decode()
ALL = frozenset({"payments:read", "providers:read", "invoices:write"})


def as_tenant(tenant: UUID, scopes: frozenset[str] = ALL) -> dict[str, str]:
    return {"Authorization": f"Bearer {MINT.mint(Caller(tenant, 'test', scopes))}"}


@pytest.fixture
async def http(running: Orchestrator) -> AsyncIterator[httpx.AsyncClient]:
    app = build(service, settings_for(running.settings.tempo_rpc_url))
    app.state.writer = Writer(running.unit.api)
    app.state.api_database = running.unit.api
    app.state.token_reader = TokenReader(PUBLIC)
    app.state.adapters = {}
    writing = asyncio.create_task(app.state.writer.run())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    writing.cancel()


@pytest.fixture
async def paid(running: Orchestrator) -> WalletReady:
    """A wallet with three payments, the last of them in the wrong token."""
    wallet = a_wallet()
    await running.unit.receives(wallet)
    for token, amount in (("PATHUSD", 1), ("PATHUSD", 2), ("ALPHAUSD", 3)):
        await pay(running.settings.tempo_rpc_url, 1, token, wallet.address, amount)
        await running.sweep()
    return wallet


async def test_payments_are_listed_newest_first_in_pages(
    http: httpx.AsyncClient, paid: WalletReady
) -> None:
    headers = as_tenant(paid.tenant_id)
    amounts, cursor = [], None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("/api/v1/payments", params=query, headers=headers)).json()
        amounts += [item["amount"]["amount_minor"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert amounts == [3, 2, 1]


async def test_payments_can_be_asked_for_by_invoice_and_state(
    http: httpx.AsyncClient, paid: WalletReady
) -> None:
    headers = as_tenant(paid.tenant_id)
    mine = {"invoice_id": encode("inv", paid.invoice_id)}
    found = await http.get(
        "/api/v1/payments", params=mine | {"state": "conflicted"}, headers=headers
    )
    (item,) = found.json()["items"]
    assert (item["cause"], item["amount"]) == (
        "wrong_asset",
        {"amount_minor": 3, "asset": "ALPHAUSD"},
    )
    one = await http.get(f"/api/v1/payments/{item['id']}", headers=headers)
    assert one.json() == item
    none = await http.get(
        "/api/v1/payments", params={"invoice_id": encode("inv", uuid4())}, headers=headers
    )
    assert none.json() == {"items": [], "next_cursor": None}


async def test_another_tenant_sees_nothing_and_learns_nothing(
    http: httpx.AsyncClient, paid: WalletReady
) -> None:
    mine, other = as_tenant(paid.tenant_id), as_tenant(uuid4())
    listed = (await http.get("/api/v1/payments", headers=mine)).json()["items"]
    assert (await http.get("/api/v1/payments", headers=other)).json()["items"] == []
    theirs = f"/api/v1/payments/{listed[0]['id']}"
    nobodys = f"/api/v1/payments/{encode('pay', uuid4())}"
    for method, path in (("GET", ""), ("POST", "/refund")):
        answers = [
            await http.request(method, place + path, headers=other) for place in (theirs, nobodys)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].json() == answers[1].json()


async def test_a_refund_is_refused_and_the_way_out_is_named(
    http: httpx.AsyncClient, paid: WalletReady
) -> None:
    headers = as_tenant(paid.tenant_id)
    listed = (await http.get("/api/v1/payments", headers=headers)).json()["items"]
    place = f"/api/v1/payments/{listed[0]['id']}/refund"
    for body in (None, {}, {"amount_minor": 1, "reason": "returned"}):
        answer = await http.post(place, json=body, headers=headers)
        assert answer.status_code == 409
        assert answer.json()["code"] == "refund_not_supported"
        assert "treasury" in answer.json()["detail"]
    for wrong in ({"amount_minor": 1.0}, {"amount_minor": 0}, {"amount_minor": "1"}, {"to": "me"}):
        assert (await http.post(place, json=wrong, headers=headers)).status_code == 422
    keyed = headers | {"Idempotency-Key": "refund-1"}
    first, again = [await http.post(place, json={}, headers=keyed) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())


async def test_health_says_how_the_provider_is_and_how_far_the_chain_was_read(
    http: httpx.AsyncClient, running: Orchestrator
) -> None:
    await running.health.flush()
    await look(running.watch, running.client, running.health, 0)
    await running.health.flush()
    await pay(running.settings.tempo_rpc_url, 1, "PATHUSD", a_wallet().address, 1)
    await running.sweep()
    answer = await http.get("/api/v1/providers/health", headers=as_tenant(uuid4()))
    (tempo,) = answer.json()["items"]
    assert (tempo["provider"], tempo["rail"], tempo["state"]) == ("tempo", "tempo", "closed")
    assert tempo["score_ppm"] > 970_000
    assert tempo["n_eff"] == 1
    assert tempo["p50_ms"] > 0
    assert tempo["cursor_lag"] == 0
    assert tempo["unmatched_transfers"] >= 1
    assert tempo["unmatched_transfers_old"] == 0


@pytest.mark.parametrize("provider", ["stripe", "paypal"])
@pytest.mark.parametrize("body", [b"", b"{}", b"not json", b"\xff" * 1000])
async def test_a_webhook_of_a_provider_we_do_not_have_is_told_so(
    http: httpx.AsyncClient, provider: str, body: bytes
) -> None:
    answer = await http.post(f"/api/v1/webhooks/{provider}", content=body)
    assert answer.status_code == 404
    assert answer.json()["code"] == "provider_not_configured"


async def test_nobody_gets_in_without_a_token_and_its_scope(http: httpx.AsyncClient) -> None:
    refund = f"/api/v1/payments/{encode('pay', uuid4())}/refund"
    for method, path in (
        ("GET", "/api/v1/payments"),
        ("GET", f"/api/v1/payments/{encode('pay', uuid4())}"),
        ("GET", "/api/v1/providers/health"),
        ("POST", refund),
    ):
        assert (await http.request(method, path)).status_code == 401
        wrong = as_tenant(uuid4(), frozenset({"keys:read"}))
        assert (await http.request(method, path, headers=wrong)).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "state=lost",
        "limit=0",
        "limit=201",
        "cursor=x",
        "invoice_id=inv_1",
        "invoice_id=pay_" + "0" * 26,
    ],
)
async def test_questions_that_make_no_sense_are_refused(
    http: httpx.AsyncClient, query: str
) -> None:
    answer = await http.get(f"/api/v1/payments?{query}", headers=as_tenant(uuid4()))
    assert answer.status_code == 422
