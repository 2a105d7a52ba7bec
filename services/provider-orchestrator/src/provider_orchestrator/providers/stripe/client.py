"""Stripe's wire: forms with brackets in, JSON out, keys in a header; and its signatures."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import aiohttp

from provider_orchestrator.domain.adapters import NotAuthentic, Webhook
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.exchange import Reply, Request, exchange
from provider_orchestrator.providers.stripe.settings import StripeSettings

VERSION = "2026-10-28.endive"
"""Of the API; answers keep the shape of this one, whatever the account's default is."""
TOLERANCE_S = 300
PAGE = 100
_SIGNATURES_MAX = 16


class StripeClient:
    """Requests to Stripe; usable from one event loop."""

    def __init__(self, session: aiohttp.ClientSession, settings: StripeSettings) -> None:
        """Nothing is sent yet."""
        self._session = session
        self._settings = settings

    async def get(self, path: str, **parameters: Any) -> Reply:
        """Read something."""
        query = _form(parameters)
        return await self._send("GET", f"{path}?{query}" if query else path, None, "")

    async def post(self, path: str, key: str, **parameters: Any) -> Reply:
        """Do something, once for this key."""
        return await self._send("POST", path, _form(parameters).encode(), key)

    async def pages(self, path: str, **parameters: Any) -> AsyncIterator[Reply]:
        """A list, page by page, the newest first; ends after a page that is no success."""
        after: dict[str, str] = {}
        while True:
            reply = await self.get(path, limit=PAGE, **parameters, **after)
            yield reply
            found = items(reply)
            if not reply.ok or reply.body.get("has_more") is not True or not found:
                return
            after = {"starting_after": str(found[-1].get("id"))}

    async def _send(self, method: str, path: str, body: bytes | None, key: str) -> Reply:
        headers = {
            "Authorization": f"Bearer {self._settings.stripe_secret_key.get_secret_value()}",
            "Stripe-Version": VERSION,
        }
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if key:
            headers["Idempotency-Key"] = key
        request = Request(
            method,
            f"{self._settings.url}{path}",
            headers,
            body,
            self._settings.stripe_timeout_s,
        )
        reply = await exchange(self._session, request, in_production=self._settings.in_production)
        return _refined(reply)


def items(reply: Reply) -> list[Mapping[str, Any]]:
    """What a list holds."""
    data = reply.body.get("data")
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []


def error_of(reply: Reply) -> Mapping[str, Any]:
    """Stripe's own error."""
    found = reply.body.get("error")
    return found if isinstance(found, dict) else {}


def _refined(reply: Reply) -> Reply:
    """What Stripe's error says beyond its number."""
    if reply.outcome is not Outcome.OUR_FAULT:
        return reply
    error = error_of(reply)
    if not error:
        return replace(reply, outcome=Outcome.UNKNOWN, cause=f"http_{reply.status}")
    if error.get("type") == "idempotency_error":
        # The key stands for another request: something of ours went out under it.
        return replace(reply, outcome=Outcome.UNKNOWN, cause="key_reused")
    code = error.get("code")
    return replace(reply, cause=str(code)[:100]) if code else reply


def _form(parameters: Mapping[str, Any]) -> str:
    return urlencode([pair for name, value in parameters.items() for pair in _pairs(name, value)])


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for inner, part in value.items():
            yield from _pairs(f"{name}[{inner}]", part)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for place, part in enumerate(value):
            yield from _pairs(f"{name}[{place}]", part)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif value is not None:
        yield name, str(value)


def verify(webhook: Webhook, secrets: Sequence[str], now: datetime) -> None:
    """Whether Stripe signed these very bytes, and lately; raises `NotAuthentic`."""
    at, signatures = _signature_of(webhook.headers.get("stripe-signature", ""))
    signed = f"{at}.".encode() + webhook.body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    if not any(
        hmac.compare_digest(one.encode(), given.encode())
        for one in expected
        for given in signatures
    ):
        raise NotAuthentic("no signature fits")
    if abs(int(now.timestamp()) - int(at)) > TOLERANCE_S:
        raise NotAuthentic("the signature is of another time")


def _signature_of(header: str) -> tuple[str, list[str]]:
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdecimal():
        raise NotAuthentic("the signature has no time")
    # As the header has it: it is what was signed.
    return times[0][:20], [value for name, _, value in parts if name == "v1"][:_SIGNATURES_MAX]
