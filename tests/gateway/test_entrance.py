"""What does not get past the door: tricks with paths, headers and bodies, and too much of anything."""

import asyncio
from ipaddress import ip_network
from typing import Any

import pytest

from gateway.edge.addresses import Clients
from gateway.edge.headers import sort_out
from gateway.edge.rejection import Rejection

LIMIT = 262_144


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/invoices/../customers",
        "/api/v1/invoices/..",
        "/api/v1/./invoices",
        "/api/v1/invoices/%2e%2e/customers",
        "/api/v1/invoices/%2E%2E%2Fcustomers",
        "/api/v1/invoices%2finv_1",
        "/api/v1/invoices/a%5cb",
        "/api/v1/invoices/a\\b",
        "/api/v1/invoices/a%00",
        "/api/v1//invoices",
        "//api/v1/invoices",
        "/api/v1/invoices//",
        "/api/v1/invoices/%252e%252e/x",
        "/api/v1/invoices/a%0d%0aX-Tenant:%20b",
        "/api/v1/invoices/..;/customers",
        "/pay/../api/v1/invoices",
        "/docs/../metrics",
        "/api/v1/invoices/caf%C3%A9",
        "/api/v1/invoices/<script>",
    ],
)
async def test_a_path_two_programs_could_read_differently_is_refused(
    gateway: Any, key: str, path: str
) -> None:
    before = len(gateway.upstreams.arrived)
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
    answer = await gateway.raw(request.encode())
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert len(gateway.upstreams.arrived) == before


async def test_an_address_has_an_end(gateway: Any, key: str) -> None:
    assert (await gateway.ask("GET", "/api/v1/invoices/" + "a" * 3000, key)).status == 414
    assert (await gateway.ask("GET", "/api/v1/invoices?a=" + "a" * 9000, key)).status == 414


def _post(key: str, *headers: str, body: bytes = b"") -> bytes:
    lines = ["POST /api/v1/invoices HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


SMUGGLED = b"0\r\n\r\nGET /api/v1/customers HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (("Content-Length: 5", "Transfer-Encoding: chunked"), SMUGGLED),
        (("Transfer-Encoding: chunked", "Content-Length: 5"), SMUGGLED),
        (("Content-Length: 5", "Content-Length: 6"), b"hello!"),
        (("Content-Length: 5", "Content-Length: 5"), b"hello"),
        (("Content-Length: 5, 5",), b"hello"),
        (("Content-Length: +5",), b"hello"),
        (("Content-Length: -1",), b"hello"),
        (("Content-Length: 0x5",), b"hello"),
        (("Transfer-Encoding: chunked, identity",), SMUGGLED),
        (("Transfer-Encoding: identity",), b""),
        (("Transfer-Encoding: xchunked",), SMUGGLED),
        (("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), SMUGGLED),
        (("Transfer-Encoding : chunked",), SMUGGLED),
        (("Transfer-Encoding:\x0bchunked",), SMUGGLED),
        (("Transfer-Encoding: chunked",), b"5\nhello\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"-5\r\nhello\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"0x5\r\nhello\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        (("X-Folded: a", "  b"), b""),
        (("Idempotency-Key: a", "Idempotency-Key: b"), b""),
        (("Authorization: Bearer other",), b""),
        (("Host: y",), b""),
        (("If-Match: 1", "If-Match: 2"), b""),
        (("Content-Type: a/b", "Content-Type: c/d"), b""),
        (("Idempotency-Key: \xe9",), b""),
        (("Bad Name: x",), b""),
        (("X-Null: a\x00b",), b""),
    ],
)
async def test_a_smuggled_request_is_refused(
    gateway: Any, key: str, headers: tuple[str, ...], body: bytes
) -> None:
    before = len(gateway.upstreams.arrived)
    answer = await gateway.raw(_post(key, *headers, body=body))
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413")), answer
    assert answer.count(b"HTTP/1.1 ") == 1, "a second request was found in the first"
    assert len(gateway.upstreams.arrived) == before


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "FOO"])
async def test_other_methods_are_refused(gateway: Any, key: str, method: str) -> None:
    target = "x:1" if method == "CONNECT" else "/api/v1/invoices"
    request = f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
    answer = await gateway.raw(request.encode())
    assert answer.startswith((b"HTTP/1.1 405", b"HTTP/1.1 400", b"HTTP/1.1 404")), answer


async def test_a_body_has_an_end(gateway: Any, key: str) -> None:
    before = len(gateway.upstreams.arrived)
    fits = await gateway.ask("POST", "/api/v1/invoices", key, data=b"x" * LIMIT)
    assert fits.status == 200
    assert len(gateway.upstreams.last.body) == LIMIT
    answer = await gateway.raw(_post(key, f"Content-Length: {LIMIT + 1}"))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = await gateway.raw(_post(key, "Transfer-Encoding: chunked", body=chunk * 5))
    assert answer.startswith(b"HTTP/1.1 413")
    answer = await gateway.raw(
        b"POST /api/v1/webhooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunk * 5
    )
    assert answer.startswith(b"HTTP/1.1 413")
    assert len(gateway.upstreams.arrived) == before + 1


async def test_a_body_that_does_not_come_is_not_waited_for(impatient: Any, key: str) -> None:
    before = len(impatient.upstreams.arrived)
    answer = await impatient.raw(_post(key, "Content-Length: 10", body=b"abc"))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in answer
    assert len(impatient.upstreams.arrived) == before


async def test_a_client_that_hangs_up_leaves_nothing_behind(gateway: Any, key: str) -> None:
    before = len(gateway.upstreams.arrived)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(_post(key, "Content-Length: 10", body=b"abc"))
    await writer.drain()
    writer.close()
    assert await reader.read() == b""
    assert (await gateway.ask("GET", "/livez")).status == 200
    assert len(gateway.upstreams.arrived) == before


async def test_a_key_may_not_ask_too_often(another: Any) -> None:
    more = {"rate_limit_per_second": 0.001, "rate_limit_burst": 5}
    async with another(**more) as gateway:
        one, other = await gateway.tenant("One"), await gateway.tenant("Other")
        replies = [await gateway.ask("GET", "/api/v1/invoices", one["api_key"]) for _ in range(6)]
        assert [reply.status for reply in replies] == [200] * 5 + [429]
        assert [r.headers["RateLimit-Remaining"] for r in replies] == ["4", "3", "2", "1", "0", "0"]
        assert replies[5].code == "rate_limited"
        assert 1 <= int(replies[5].headers["Retry-After"]) <= 1000
        assert replies[5].headers["RateLimit-Limit"] == "5"
        assert int(replies[5].headers["RateLimit-Reset"]) >= 1
        assert (await gateway.ask("GET", "/api/v1/invoices", other["api_key"])).status == 200
        assert (await gateway.ask("GET", "/api/v1/tenants/current", one["api_key"])).status == 429
        assert (await gateway.ask("GET", "/pay/abc")).status == 200


async def test_an_address_may_not_guess_too_often(another: Any) -> None:
    async with another(failed_logins_per_minute=5) as gateway:
        tenant = await gateway.tenant()
        assert (await gateway.ask("GET", "/api/v1/invoices", tenant["api_key"])).status == 200
        guesses = [
            (await gateway.ask("GET", "/api/v1/invoices", f"iok_t_0000000{n}_{'x' * 43}")).status
            for n in range(8)
        ]
        assert guesses == [401] * 5 + [429] * 3
        known = await gateway.ask("GET", "/api/v1/invoices", tenant["api_key"])
        assert known.status == 200, "a key that is known is not held up by guesses"


async def test_a_web_page_may_call_only_where_it_was_allowed(another: Any) -> None:
    origin = "https://console.example.com"
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with another(cors_origins=origin) as gateway:
        asked = await gateway.ask("OPTIONS", "/api/v1/invoices", headers=preflight)
        assert asked.status == 204
        assert asked.headers["Access-Control-Allow-Origin"] == origin
        assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in asked.headers
        evil = preflight | {"Origin": "https://evil.example.com"}
        refused = await gateway.ask("OPTIONS", "/api/v1/invoices", headers=evil)
        assert "Access-Control-Allow-Origin" not in refused.headers
        assert refused.headers["Vary"] == "Origin"
        unauthenticated = await gateway.ask("GET", "/api/v1/invoices", headers={"Origin": origin})
        assert unauthenticated.headers["Access-Control-Allow-Origin"] == origin


async def test_no_web_page_may_call_by_default(gateway: Any) -> None:
    asked = await gateway.ask(
        "OPTIONS", "/api/v1/invoices", headers={"Origin": "https://console.example.com"}
    )
    assert asked.status == 204
    assert "POST" in asked.headers["Allow"]
    assert "Access-Control-Allow-Origin" not in asked.headers


async def test_own_health_routes_answer(gateway: Any) -> None:
    assert (await gateway.ask("GET", "/livez")).status == 200
    assert (await gateway.ask("GET", "/readyz")).status == 200
    assert (await gateway.ask("GET", "/version")).json["service"] == "gateway"
    assert b"invoiceos_gateway_forward_seconds" in (await gateway.ask("GET", "/metrics")).body


async def test_a_key_is_not_looked_up_at_each_request(gateway: Any, key: str) -> None:
    from gateway.queries import known_keys

    keys = known_keys(gateway.runtime)
    assert (await gateway.ask("GET", "/api/v1/invoices", key)).status == 200
    digest = next(d for d, known in keys._known.items() if keys.remembered(key) == known.caller)
    first = keys._known[digest]
    for _ in range(10):
        await gateway.ask("GET", "/api/v1/invoices", key)
    assert keys._known[digest] is first


@pytest.mark.parametrize("wrong", ["short", "x" * 31])
def test_a_short_operator_token_is_refused(make_settings: Any, wrong: str) -> None:

    with pytest.raises(ValueError, match="32 characters"):
        make_settings(operator_token=wrong)


def test_keys_that_do_not_belong_together_are_refused(make_settings: Any) -> None:

    with pytest.raises(ValueError, match="does not belong"):
        make_settings(internal_token_public_key="A" * 43 + "=")


async def test_without_an_operator_token_nobody_is_operator(another: Any) -> None:
    async with another(operator_token="") as gateway:
        for token in ("", " ", "operator"):
            reply = await gateway.ask("POST", "/api/v1/tenants", token, json={"name": "x"})
            assert reply.status == 401


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ([(b"content-length", b"5"), (b"transfer-encoding", b"chunked")], "in two ways"),
        ([(b"content-length", b"5"), (b"content-length", b"5")], "twice"),
        ([(b"content-length", b"+5")], "not a number"),
        ([(b"transfer-encoding", b"gzip, chunked")], "chunked"),
    ],
)
def test_the_edge_itself_refuses_what_servers_before_it_may_let_through(
    headers: list[tuple[bytes, bytes]], told: str
) -> None:
    with pytest.raises(Rejection) as refused:
        sort_out(headers, webhook=False)
    assert refused.value.status == 400
    assert told in refused.value.detail


async def test_an_address_may_not_ask_public_pages_too_often(another: Any) -> None:
    more = {"public_rate_limit_per_second": 0.001, "public_rate_limit_burst": 3}
    async with another(**more) as gateway:
        asked = ["/pay/abc", "/api/v1/payment-links/abc", "/pay/back/abc", "/pay/with/abc"]
        replies = [await gateway.ask("GET", path) for path in asked]
        assert [reply.status for reply in replies] == [200] * 3 + [429]
        assert replies[3].code == "rate_limited"
        assert int(replies[3].headers["Retry-After"]) >= 1
        lies = {"X-Forwarded-For": "203.0.113.9"}
        assert (await gateway.ask("GET", "/pay/abc", headers=lies)).status == 429
        hook = await gateway.ask("POST", "/api/v1/webhooks/stripe", data=b"{}")
        assert hook.status == 200, "providers are many at one address"
        tenant = await gateway.tenant()
        assert (await gateway.ask("GET", "/api/v1/invoices", tenant["api_key"])).status == 200


async def test_behind_a_proxy_of_ours_each_client_is_counted(another: Any) -> None:
    more = {
        "public_rate_limit_per_second": 0.001,
        "public_rate_limit_burst": 1,
        "trusted_proxies": "127.0.0.0/8, 10.0.0.0/8",
    }
    async with another(**more) as gateway:
        for forwarded, status in (
            ("203.0.113.1", 200),
            ("203.0.113.1", 429),
            ("203.0.113.2, 10.1.2.3", 200),
            ("198.51.100.7, 203.0.113.2", 429),
            ("2001:db8::1", 200),
            ("2001:db8::2", 429),
        ):
            headers = {"X-Forwarded-For": forwarded}
            assert (await gateway.ask("GET", "/pay/abc", headers=headers)).status == status


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("198.51.100.1", "203.0.113.1", "198.51.100.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.1", "203.0.113.1"),
        ("10.0.0.1", "spoofed, 203.0.113.1", "203.0.113.1"),
        ("10.0.0.1", "203.0.113.1, rubbish", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("::ffff:10.0.0.1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ],
)
def test_a_client_is_the_nearest_hop_that_is_no_proxy_of_ours(
    peer: str, forwarded: str | None, counted: str
) -> None:
    clients = Clients([ip_network("10.0.0.0/8")])
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    assert clients.of({"client": (peer, 1), "headers": headers}) == counted


async def test_only_orders_of_thousands_may_be_long(gateway: Any, key: str) -> None:
    long = b"x" * (LIMIT + 1)
    fits = await gateway.ask("POST", "/api/v1/payout-batches", key, data=long)
    assert fits.status == 200
    for path in ("/api/v1/payouts", "/api/v1/payment-rules"):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        answer = await gateway.raw(f"{head}Content-Length: {len(long)}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 413"), path
