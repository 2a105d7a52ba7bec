"""What reaches a service, what comes back, and what the client learns when it does not."""

import asyncio
import io
from typing import Any

import aiohttp
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from chassis.auth import TokenMint, TokenReader, Unauthenticated
from gateway.settings import public_key_of
from invoiceos_contracts import decode

ROUTES = [
    ("/api/v1/customers", "invoice", ""),
    ("/api/v1/customers/cus_1", "invoice", ""),
    ("/api/v1/invoices", "invoice", ""),
    ("/api/v1/invoices/inv_1/issue", "invoice", ""),
    ("/api/v1/issuer-profile", "invoice", ""),
    ("/api/v1/wallets", "wallet-factory", ""),
    ("/api/v1/wallets/wal_1", "wallet-factory", ""),
    ("/api/v1/wallets/ephemeral", "ephemeral-manager", ""),
    ("/api/v1/wallets/ephemeral/bulk", "ephemeral-manager", ""),
    ("/api/v1/wallets/ephemeral-x", "wallet-factory", ""),
    ("/api/v1/certificates/inv_1", "ephemeral-manager", ""),
    ("/api/v1/providers/health", "provider-orchestrator", ""),
    ("/api/v1/payments/pay_1", "provider-orchestrator", ""),
    ("/api/v1/payment-intents/pin_1/capture", "provider-orchestrator", ""),
    ("/api/v1/ledger/accounts", "reserve-ledger", ""),
    ("/api/v1/reserves/reconcile", "reserve-ledger", ""),
    ("/api/v1/webhook-endpoints", "notification", ""),
    ("/api/v1/webhook-deliveries/whd_1/redeliver", "notification", ""),
    ("/api/v1/notifications", "notification", ""),
    ("/api/invoices", "invoice", "/api/v1/invoices"),
    ("/api/invoices/inv_1/send", "invoice", "/api/v1/invoices/inv_1/send"),
    ("/api/invoice-wallets", "wallet-factory", "/api/v1/wallets"),
    ("/api/invoice-wallets/wal_1/x", "wallet-factory", "/api/v1/wallets/wal_1/x"),
    ("/api/payments", "provider-orchestrator", "/api/v1/payments"),
    ("/api/payments/pay_1/refund", "provider-orchestrator", "/api/v1/payments/pay_1/refund"),
]
PUBLIC = [
    ("/api/v1/payment-links/abc", "invoice", ""),
    ("/pay/abc", "invoice", ""),
    ("/pay/with/abc", "provider-orchestrator", ""),
    ("/pay/back/abc", "provider-orchestrator", ""),
    ("/pay", "invoice", ""),
    ("/api/v1/webhooks/stripe", "provider-orchestrator", ""),
    ("/api/v1/webhooks/paypal", "provider-orchestrator", ""),
    ("/api/v1/webhooks/circle", "provider-orchestrator", ""),
    ("/api/webhooks/stripe", "provider-orchestrator", "/api/v1/webhooks/stripe"),
    ("/api/webhooks/paypal", "provider-orchestrator", "/api/v1/webhooks/paypal"),
]


@pytest.mark.parametrize(("path", "service", "arrives_as"), ROUTES)
async def test_a_path_reaches_its_service(
    gateway: Any, acme: Any, path: str, service: str, arrives_as: str
) -> None:
    reply = await gateway.ask("GET", f"{path}?a=%2F&b=1", acme["api_key"])
    assert reply.status == 200
    last = gateway.upstreams.last
    assert (last.service, last.path, last.query) == (service, arrives_as or path, "a=%2F&b=1")
    assert last.caller.tenant_id == decode("ten", acme["tenant_id"])
    assert last.caller.actor == acme["api_key_id"]
    assert last.caller.scopes == {"*"}
    assert (await gateway.ask("GET", path)).code == "unauthenticated"


@pytest.mark.parametrize(("path", "service", "arrives_as"), PUBLIC)
async def test_a_public_path_needs_no_key_and_gives_no_identity(
    gateway: Any, key: str, path: str, service: str, arrives_as: str
) -> None:
    for own_key in (None, key, "whatever"):
        reply = await gateway.ask("GET", path, own_key)
        assert reply.status == 200
        last = gateway.upstreams.last
        assert (last.service, last.path) == (service, arrives_as or path)
        assert last.caller is None
        assert "authorization" not in last.headers


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/unknown",
        "/api/v1/invoicesx",
        "/api/invoicesx",
        "/api/v1/webhooks",
        "/api/v1/webhooks/other",
        "/api/webhooks/other",
        "/api/v2/invoices",
        "/payx",
        "/livez/x",
        "/docs/other.js",
        "/API/v1/invoices",
    ],
)
async def test_nobody_answers_elsewhere(gateway: Any, key: str, path: str) -> None:
    before = len(gateway.upstreams.arrived)
    reply = await gateway.ask("GET", path, key)
    assert (reply.status, reply.code) == (404, "not_found")
    assert len(gateway.upstreams.arrived) == before


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_arrives_whole(gateway: Any, key: str, method: str) -> None:
    body = b'{"a": "\xc3\xa9", "n": 1.0}' + b" " * 70_000
    reply = await gateway.ask(
        method,
        "/api/v1/invoices/inv_1?x=1",
        key,
        data=body,
        headers={
            "Content-Type": "application/json",
            "Idempotency-Key": "k-1",
            "If-Match": '"3"',
            "Prefer": "wait=5",
            "Accept": "application/json",
        },
    )
    assert reply.status == 200
    last = gateway.upstreams.last
    assert last.method == method
    assert last.body == body
    assert last.headers["idempotency-key"] == "k-1"
    assert last.headers["if-match"] == '"3"'
    assert last.headers["prefer"] == "wait=5"
    assert last.headers["content-type"] == "application/json"
    assert last.headers["accept"] == "application/json"
    assert last.headers["content-length"] == str(len(body))


async def test_a_webhook_arrives_untouched(gateway: Any) -> None:
    raw = b'{ "id" : "evt_1",\r\n\t"x":"\xff\xfe" }\n'
    headers = {"Stripe-Signature": "t=1,v1=ab", "Content-Type": "application/json; charset=utf-8"}
    assert (
        await gateway.ask("POST", "/api/webhooks/stripe", data=raw, headers=headers)
    ).status == 200
    last = gateway.upstreams.last
    assert last.body == raw
    assert last.headers["stripe-signature"] == "t=1,v1=ab"
    assert last.headers["content-type"] == "application/json; charset=utf-8"


async def test_a_chunked_body_arrives_with_a_length(gateway: Any, key: str) -> None:
    async def chunks() -> Any:
        for _ in range(5):
            yield b"x" * 1000

    await gateway.ask("POST", "/api/v1/invoices", key, data=chunks())
    last = gateway.upstreams.last
    assert last.body == b"x" * 5000
    assert last.headers["content-length"] == "5000"
    assert "transfer-encoding" not in last.headers


async def test_only_known_headers_go_on(gateway: Any, acme: Any) -> None:
    forged = {
        "X-Tenant": "ten_other",
        "X-Tenant-Id": "ten_other",
        "X_Tenant": "ten_other",
        "Tenant": "ten_other",
        "X-Scopes": "*",
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=10.0.0.1",
        "X-Real-IP": "10.0.0.1",
        "X-Original-URL": "/admin",
        "X-HTTP-Method-Override": "DELETE",
        "Idempotency_Key": "twin",
        "Content_Length": "3",
        "Cookie": "session=1",
        "Proxy-Authorization": "Basic eA==",
        "Connection": "keep-alive, idempotency-key",
        "TE": "trailers",
        "Upgrade-Insecure-Requests": "1",
        "Traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "Stripe-Signature": "v1=x",
    }
    await gateway.ask("GET", "/api/v1/invoices", acme["api_key"], headers=forged)
    last = gateway.upstreams.last
    allowed = {"host", "accept", "user-agent", "authorization", "x-request-id", "traceparent"}
    assert set(last.headers) <= allowed
    assert acme["api_key"] not in str(last.headers)
    assert last.caller.tenant_id == decode("ten", acme["tenant_id"])
    assert last.headers["host"] == f"127.0.0.1:{gateway.upstreams.ports['invoice']}"


async def test_the_internal_token_is_good_for_nothing_at_the_door(gateway: Any, key: str) -> None:
    await gateway.ask("GET", "/api/v1/invoices", key)
    token = gateway.upstreams.last.headers["authorization"].removeprefix("Bearer ")
    gateway.upstreams.reader.read(token)
    assert (await gateway.ask("GET", "/api/v1/invoices", token)).status == 401
    assert (await gateway.ask("GET", "/api/v1/tenants/current", token)).status == 401


async def test_a_service_believes_no_other_mint(gateway: Any, key: str) -> None:
    import base64
    import os

    seed = base64.b64encode(os.urandom(32)).decode()
    await gateway.ask("GET", "/api/v1/invoices", key)
    caller = gateway.upstreams.last.caller
    forged = TokenMint(seed).mint(caller)
    TokenReader(public_key_of(seed)).read(forged)
    with pytest.raises(Unauthenticated):
        gateway.upstreams.reader.read(forged)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "Bearer a b",
        "Bearer iok_t_00000000_" + "x" * 43,
        "Bearer " + "x" * 600,
        "Bearer iok_t_0000000'_" + "x" * 43,
        "Bearer eyJhbGciOiJub25lIn0.e30.",
    ],
)
async def test_who_has_no_key_does_not_get_in(gateway: Any, header: str) -> None:
    before = len(gateway.upstreams.arrived)
    reply = await gateway.ask("GET", "/api/v1/invoices", headers={"Authorization": header})
    assert (reply.status, reply.code) == (401, "unauthenticated")
    assert len(gateway.upstreams.arrived) == before


async def test_scopes_travel_with_the_token(gateway: Any, key: str) -> None:
    narrow = await gateway.key(key, "invoices:read", "payments:read")
    await gateway.ask("GET", "/api/v1/invoices", narrow["api_key"])
    assert gateway.upstreams.last.caller.scopes == {"invoices:read", "payments:read"}
    assert gateway.upstreams.last.caller.actor == narrow["id"]


async def test_a_request_keeps_its_name(gateway: Any, key: str) -> None:
    reply = await gateway.ask(
        "GET", "/api/v1/invoices", key, headers={"X-Request-Id": "mine-1.2_3"}
    )
    assert reply.headers["X-Request-Id"] == "mine-1.2_3"
    assert gateway.upstreams.last.headers["x-request-id"] == "mine-1.2_3"
    for bad in ("a b", "x" * 129, "<script>", "é"):
        reply = await gateway.ask("GET", "/api/v1/invoices", key, headers={"X-Request-Id": bad})
        made = reply.headers["X-Request-Id"]
        assert made not in ("", bad)
        assert gateway.upstreams.last.headers["x-request-id"] == made
    refused = await gateway.ask("GET", "/api/v1/nothing", key)
    assert refused.headers["X-Request-Id"]


async def test_the_trace_goes_on(gateway: Any, key: str) -> None:
    trace.set_tracer_provider(TracerProvider())
    given = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await gateway.ask("GET", "/api/v1/invoices", key, headers={"traceparent": given})
    passed = gateway.upstreams.last.headers["traceparent"].split("-")
    assert passed[1] == "a" * 32


async def test_what_an_answer_may_not_say_is_left_out(gateway: Any, key: str) -> None:
    reply = await gateway.ask("GET", "/api/v1/invoices?behave=headers", key)
    assert "X-Private" not in reply.headers
    assert "Keep-Alive" not in reply.headers
    assert reply.headers.get("Server") is None
    assert len(reply.headers.getall("X-Request-Id")) == 1
    assert reply.headers["X-Request-Id"] != "forged"
    assert len(reply.headers.getall("Date")) == 1
    assert reply.headers["Location"] == "/api/v1/invoices/1"
    assert reply.headers["ETag"] == '"7"'
    await gateway.ask("GET", "/api/v1/invoices", key)
    assert "cookie" not in gateway.upstreams.last.headers


async def test_answers_pass_whole(gateway: Any, key: str) -> None:
    big = await gateway.ask("GET", "/api/v1/invoices?behave=big", key)
    assert big.body == b"x" * 3_000_000
    empty = await gateway.ask("GET", "/api/v1/invoices?behave=empty", key)
    assert (empty.status, empty.body) == (204, b"")


@pytest.mark.parametrize("path", ["/api/v1/invoices", "/api/v1/api-keys", "/docs", "/livez"])
async def test_head_is_get_without_the_body(gateway: Any, key: str, path: str) -> None:
    head = await gateway.ask("HEAD", path, key)
    get = await gateway.ask("GET", path, key)
    assert (head.status, head.body) == (get.status, b"") == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


async def test_a_write_without_an_answer_is_not_called_failed(
    gateway: Any, impatient: Any, key: str
) -> None:
    for how, asked in (("slow", impatient), ("reset", gateway), ("half", gateway)):
        before = len(gateway.upstreams.arrived)
        reply = await asked.ask("POST", f"/api/v1/invoices?behave={how}", key, data=b"{}")
        assert (reply.status, reply.code) == (504, "outcome_unknown"), how
        assert "same Idempotency-Key" in reply.json["detail"]
        assert len(gateway.upstreams.arrived) == before + 1, "a write was sent twice"


async def test_a_read_without_an_answer_may_be_asked_again(
    gateway: Any, impatient: Any, key: str
) -> None:
    slow = await impatient.ask("GET", "/api/v1/invoices?behave=slow", key)
    assert (slow.status, slow.code) == (504, "upstream_timeout")
    for how in ("reset", "half"):
        reply = await gateway.ask("GET", f"/api/v1/invoices?behave={how}", key)
        assert (reply.status, reply.code) == (502, "upstream_unavailable")


async def test_a_service_that_is_away_is_told_from_one_that_is_silent(another: Any) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with another(invoice_url=f"http://127.0.0.1:{port}") as gateway:
        tenant = await gateway.tenant()
        for method in ("GET", "POST"):
            reply = await gateway.ask(method, "/api/v1/invoices", tenant["api_key"])
            assert (reply.status, reply.code) == (503, "upstream_unavailable")
            assert reply.headers["Retry-After"] == "1"


async def test_many_requests_at_once_keep_their_own_answers(gateway: Any, key: str) -> None:
    other = await gateway.tenant("Other")

    async def ask(number: int) -> None:
        who = (key, other["api_key"])[number % 2]
        reply = await gateway.ask("GET", f"/api/v1/invoices/inv_{number}", who)
        assert reply.status == 200, reply.body
        assert reply.json["path"] == f"/api/v1/invoices/inv_{number}"

    before = len(gateway.upstreams.arrived)
    await asyncio.gather(*(ask(number) for number in range(100)))
    for seen in gateway.upstreams.arrived[before:]:
        mine = int(seen.path.rpartition("_")[2]) % 2 == 1
        assert (seen.caller.tenant_id == decode("ten", other["tenant_id"])) is mine


async def test_health_of_all(gateway: Any) -> None:
    async def until(status: int) -> Any:
        deadline = asyncio.get_running_loop().time() + 10
        while (found := await gateway.ask("GET", "/api/health")).status != status:
            assert asyncio.get_running_loop().time() < deadline, found.json
            await asyncio.sleep(0.1)
        return found.json

    healthy = await until(200)
    assert healthy["status"] == "ok"
    assert set(healthy["services"]) == {"gateway", *gateway.upstreams.ports}
    gateway.upstreams.ready["notification"] = False
    try:
        sick = await until(503)
        assert sick["status"] == "degraded"
        assert sick["services"]["notification"] == {"state": "not_ready"}
        assert sick["services"]["invoice"] == {"state": "ready"}
    finally:
        gateway.upstreams.ready["notification"] = True


def test_aiohttp_is_what_the_forwarder_was_written_for() -> None:
    assert issubclass(aiohttp.ClientConnectorError, aiohttp.ClientOSError)
    assert issubclass(aiohttp.ConnectionTimeoutError, asyncio.TimeoutError)


BULK = "/api/v1/wallets/ephemeral/bulk"


async def test_a_stream_reaches_the_client_as_it_comes(gateway: Any, key: str) -> None:
    async with gateway.http.get(
        f"{gateway.url}{BULK}/blk_1/events?behave=stream",
        headers={"Authorization": f"Bearer {key}", "Last-Event-ID": "7"},
    ) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert await response.content.readany() == b"data: first\n\n"
        assert gateway.upstreams.last.headers["last-event-id"] == "7"
        gateway.upstreams.release.set()
        assert await response.content.read() == b"data: last\n\n"


async def test_a_stream_that_breaks_off_breaks_for_the_client_too(gateway: Any, key: str) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await gateway.ask("GET", f"{BULK}/blk_1/results?behave=half", key)
    refused = await gateway.ask("GET", f"{BULK}/blk_1/results?behave=reset", key)
    assert (refused.status, refused.code) == (502, "upstream_unavailable")


async def test_only_an_order_in_bulk_may_have_a_large_body(gateway: Any, key: str) -> None:
    large = b"[" + b"1," * 1_000_000 + b"1]"
    taken = await gateway.ask("POST", BULK, key, data=io.BytesIO(large))
    assert taken.status == 200
    assert gateway.upstreams.last.body == large
    assert (await gateway.ask("POST", "/api/v1/wallets", key, data=io.BytesIO(large))).status == 413
    huge = await gateway.ask("POST", BULK, key, data=io.BytesIO(b" " * (8 * 1_048_576 + 1)))
    assert huge.status == 413
