"""Every request comes in here: checked, told whose it is, limited, and sent where it belongs.

Bare ASGI, for a framework's routing and models would cost more than all of this.
"""

import asyncio
import hmac
import math
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import structlog
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Histogram
from starlette.responses import Response

from chassis.auth import Caller, TokenMint, Unauthenticated
from chassis.problems import of_refusal
from chassis.runtime import Runtime
from chassis.telemetry import AsgiApp, Receive, Scope, Send
from gateway.domain.keys import OPERATOR, hash_of
from gateway.edge import headers as header_rules
from gateway.edge import routes
from gateway.edge.addresses import Clients
from gateway.edge.forwarding import Forwarder, Outgoing
from gateway.edge.health import PlatformHealth
from gateway.edge.limits import Buckets
from gateway.edge.pages import Pages
from gateway.edge.rejection import ClientGone, Rejection
from gateway.edge.routes import Route, Where
from gateway.queries import known_keys
from gateway.settings import GatewaySettings
from invoiceos_contracts.ids import PLATFORM
from messaging import Refusal, Tx
from messaging.faults import is_transient

log = structlog.get_logger()
FORWARD_SECONDS = Histogram(
    "invoiceos_gateway_forward_seconds",
    "Time a service took to answer",
    ["service", "outcome"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 35),
)
_PROPAGATOR = TraceContextTextMapPropagator()
_OPERATOR = Caller(PLATFORM, "operator", frozenset({OPERATOR}))
_APPROVER = Caller(PLATFORM, "approver", frozenset({OPERATOR}))
"""Another person than the operator: what one makes, the other approves."""
Extra = list[tuple[bytes, bytes]]


class Entrance:
    """The outermost application: own paths go on to the one it wraps, the others to services."""

    def __init__(self, app: AsgiApp, runtime: Runtime) -> None:
        """Wrap the gateway's own application."""
        settings: GatewaySettings = runtime.settings
        self._app = app
        self._settings = settings
        self._upstreams = settings.upstreams
        self._keys = known_keys(runtime)
        self._mint = TokenMint(settings.internal_token_private_key.get_secret_value())
        self._operators = [
            (hash_of(token), caller)
            for token, caller in (
                (settings.operator_token.get_secret_value(), _OPERATOR),
                (settings.approver_token.get_secret_value(), _APPROVER),
            )
            if token
        ]
        self._limits = Buckets(settings.rate_limit_per_second, settings.rate_limit_burst)
        self._clients = Clients(settings.trusted_proxies)
        self._public = Buckets(
            settings.public_rate_limit_per_second, settings.public_rate_limit_burst
        )
        failures = settings.failed_logins_per_minute
        self._failures = Buckets(failures / 60, max(failures, 1))
        self._forwarder = Forwarder(settings.upstream_timeout_s)
        health = PlatformHealth(runtime, self._forwarder, self._upstreams)
        self._pages = Pages(settings, self._forwarder, health)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "lifespan":
                await self._forwarder.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = header_rules.valid_request_id(scope["headers"]) or Tx.new_id().hex.encode()
        extra: Extra = [(b"x-request-id", request_id), (b"x-content-type-options", b"nosniff")]
        self._allow_origin(scope, extra)
        try:
            await self._pass(scope, receive, send, extra)
        except Rejection as rejection:
            await _respond(rejection.response(), scope, receive, send, extra)
        except Refusal as refusal:
            response = of_refusal(refusal)
            if response.status_code == 401:
                response.headers["WWW-Authenticate"] = 'Bearer realm="Invoice OS"'
            await _respond(response, scope, receive, send, extra)
        except ClientGone:
            return

    async def _pass(self, scope: Scope, receive: Receive, send: Send, extra: Extra) -> None:
        method = scope["method"]
        path = routes.checked_path(
            scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
        )
        route = routes.find(path)
        if route is None:
            raise Rejection(404, "not_found", "There is nothing at this address")
        if method not in routes.METHODS:
            title = f"The methods taken are {routes.ALLOW}"
            raise Rejection(405, "method_not_allowed", title, headers={"Allow": routes.ALLOW})
        if method == "OPTIONS":
            await _respond(_options(scope, extra), scope, receive, send, extra)
            return
        if route.limited:
            left = self._public.take(self._clients.of(scope), time.monotonic())
            if left < 0:
                raise _too_many(-left, int(self._public.burst))
        found = header_rules.sort_out(scope["headers"], webhook="/webhooks/" in route.prefix)
        caller = None if route.public else await self._caller(scope, found.read, extra)
        if route.to == Where.PAGE:
            response = await self._pages.response(path, method, scope)
            await _respond(response, scope, receive, send, extra)
        elif route.to == Where.OWN:
            await self._serve_own(scope, receive, send, extra, caller)
        else:
            body = await self._body_of(receive, found.read, route.body_bytes_max)
            outgoing = self._outgoing(route, scope, extra, (path, found.passed, body, caller))
            if outgoing.method == "GET" and route.is_streamed(path):
                await self._stream(route, outgoing, receive, send, extra)
            else:
                await self._forward(route, outgoing, method, send, extra)

    async def _caller(self, scope: Scope, read: Mapping[bytes, bytes], extra: Extra) -> Caller:
        """Whose request it is; raises `Unauthenticated`, or `Rejection` beyond a limit."""
        now = time.monotonic()
        try:
            text = _bearer_of(read)
            caller = self._keys.remembered(text) or await self._look_up(text, scope, now)
        except Unauthenticated:
            left = self._failures.take(self._clients.of(scope), now)
            if left < 0:
                raise _too_many(-left) from None
            raise
        left = self._limits.take(caller.actor, now)
        if left < 0:
            raise _too_many(-left, int(self._limits.burst))
        if self._limits.rate > 0:
            extra.append((b"ratelimit-limit", b"%d" % self._limits.burst))
            extra.append((b"ratelimit-remaining", b"%d" % left))
        return caller

    async def _look_up(self, text: str, scope: Scope, now: float) -> Caller:
        hashed = hash_of(text)
        for known, caller in self._operators:
            if hmac.compare_digest(hashed, known):
                return caller
        if self._failures.is_empty(self._clients.of(scope), now):
            raise _too_many(1 / self._failures.rate)
        try:
            return await self._keys.find(text)
        except Exception as error:
            if isinstance(error, Refusal) or not is_transient(error):
                raise
            log.warning("authentication.unavailable", error=repr(error)[:300])
            title = "API keys cannot be checked at this moment; try again"
            raise Rejection(503, "authentication_unavailable", title) from error

    async def _serve_own(
        self, scope: Scope, receive: Receive, send: Send, extra: Extra, caller: Caller | None
    ) -> None:
        inner = dict(scope)
        inner["headers"] = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
        if caller is not None:
            inner["headers"].append(
                (b"authorization", b"Bearer " + self._mint.mint(caller).encode())
            )
        if scope["method"] == "HEAD":
            inner["method"] = "GET"
        await self._app(inner, receive, _adding(extra, send, scope["method"]))

    async def _body_of(self, receive: Receive, read: Mapping[bytes, bytes], limit: int) -> bytes:
        """The whole body; raises `Rejection` when it is too long or too slow."""
        length = read.get(b"content-length")
        if length is None and b"transfer-encoding" not in read:
            return b""
        if length is not None and int(length) > limit:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await _read_body(receive, limit)
        except TimeoutError:
            title = "The body did not arrive in time"
            raise Rejection(408, "body_timeout", title, headers={"Connection": "close"}) from None

    def _outgoing(
        self,
        route: Route,
        scope: Scope,
        extra: Extra,
        parts: tuple[str, dict[str, str], bytes, Caller | None],
    ) -> Outgoing:
        path, passed, body, caller = parts
        _PROPAGATOR.inject(passed)
        passed["x-request-id"] = extra[0][1].decode("ascii")
        if caller is not None:
            passed["authorization"] = f"Bearer {self._mint.mint(caller)}"
        query = scope["query_string"]
        url = self._upstreams[route.to] + routes.target_of(route, path)
        if query:
            url = f"{url}?{query.decode('ascii')}"
        method = scope["method"]
        # The head of a stream cannot be made by asking for all of it.
        asked = "GET" if method == "HEAD" and not route.is_streamed(path) else method
        return Outgoing(asked, url, passed, body)

    async def _forward(
        self, route: Route, outgoing: Outgoing, method: str, send: Send, extra: Extra
    ) -> None:
        started = time.perf_counter()
        outcome = "failed"
        try:
            answer = await self._forwarder.send(route.to, self._upstreams[route.to], outgoing)
            outcome = f"{answer.status // 100}xx"
        finally:
            FORWARD_SECONDS.labels(route.to, outcome).observe(time.perf_counter() - started)
        headers = [*answer.headers, *extra]
        if answer.status >= 200 and answer.status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(answer.body)))
        shown = b"" if method == "HEAD" else answer.body
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": shown})

    async def _stream(
        self, route: Route, outgoing: Outgoing, receive: Receive, send: Send, extra: Extra
    ) -> None:
        """Pass an answer on as it comes; it ends as soon as the client is gone."""
        base = self._upstreams[route.to]
        async with self._forwarder.stream(route.to, base, outgoing) as (answer, parts):
            headers = [*answer.headers, *extra]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            passing = asyncio.ensure_future(_pass_on(parts, send))
            leaving = asyncio.ensure_future(_until_gone(receive))
            try:
                await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
                passing.cancel()
            if passing.done() and not passing.cancelled() and passing.exception() is not None:
                # Without its last part the client's connection breaks, and it knows.
                raise ClientGone

    def _allow_origin(self, scope: Scope, extra: Extra) -> None:
        if not self._settings.cors_origins:
            return
        extra.append((b"vary", b"Origin"))
        for name, value in scope["headers"]:
            if name == b"origin" and value.decode("latin-1") in self._settings.cors_origins:
                extra.append((b"access-control-allow-origin", value))
                extra.append((b"access-control-expose-headers", _EXPOSED))


_EXPOSED = (
    b"ETag, Idempotency-Replayed, Location, RateLimit-Limit, RateLimit-Remaining, Retry-After,"
    b" X-Request-Id"
)


def _options(scope: Scope, extra: Extra) -> Response:
    """What may be asked here; to a web page of an allowed origin also with which headers."""
    headers = {"Allow": routes.ALLOW}
    names = {name for name, _ in scope["headers"]}
    allowed = any(name == b"access-control-allow-origin" for name, _ in extra)
    if allowed and b"access-control-request-method" in names:
        headers |= {
            "Access-Control-Allow-Methods": routes.ALLOW,
            "Access-Control-Allow-Headers": (
                "Authorization, Content-Type, Idempotency-Key, If-Match, Prefer, X-Request-Id"
            ),
            "Access-Control-Max-Age": "600",
        }
    return Response(None, 204, headers)


def _bearer_of(read: Mapping[bytes, bytes]) -> str:
    scheme, _, token = read.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not token or len(token) > 512 or not token.isascii():
        raise Unauthenticated
    return token.decode("ascii")


def _too_many(wait_s: float, limit: int | None = None) -> Rejection:
    seconds = str(max(1, math.ceil(wait_s)))
    headers = {"Retry-After": seconds}
    if limit is not None:
        headers |= {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": seconds,
        }
    return Rejection(429, "rate_limited", "Too many requests; slow down", headers=headers)


async def _pass_on(parts: AsyncIterator[bytes], send: Send) -> None:
    async for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_large(limit: int) -> Rejection:
    return Rejection(
        413,
        "body_too_large",
        "The body is larger than this service takes",
        f"The limit is {limit} bytes",
        {"Connection": "close"},
    )


async def _read_body(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _respond(
    response: Response, scope: Scope, receive: Receive, send: Send, extra: Extra
) -> None:
    await response(scope, receive, _adding(extra, send, scope["method"]))


def _adding(extra: Extra, send: Send, method: str) -> Send:
    """A way to answer that adds headers, and leaves the body out where only the head was asked."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            known = {name for name, _ in message["headers"]}
            added = [pair for pair in extra if pair[0] not in known]
            message = {**message, "headers": [*message["headers"], *added]}
        elif method == "HEAD" and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending
