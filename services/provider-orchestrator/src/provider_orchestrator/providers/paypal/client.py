"""PayPal's wire: a token that is renewed, JSON, request ids, and errors with an issue."""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.exchange import Reply, Request, exchange
from provider_orchestrator.providers.paypal.settings import PayPalSettings

_RENEWED_BEFORE_S = 120.0


class PayPalClient:
    """Requests to PayPal; usable from one event loop."""

    def __init__(self, session: aiohttp.ClientSession, settings: PayPalSettings) -> None:
        """Nothing is sent yet."""
        self._session = session
        self._settings = settings
        self._token = ""
        self._token_ends = 0.0
        self._renewing = asyncio.Lock()

    async def get(self, path: str, **query: str) -> Reply:
        """Read something."""
        return await self._send("GET", f"{path}?{urlencode(query)}" if query else path, None, "")

    async def post(self, path: str, key: str, body: Mapping[str, Any]) -> Reply:
        """Do something, once for this key."""
        return await self._send("POST", path, json.dumps(body).encode(), key)

    async def _send(self, method: str, path: str, body: bytes | None, key: str) -> Reply:
        token, failure = await self._bearer(not_this="")
        if failure is not None:
            return failure
        reply = await self._once(method, path, body, key, token)
        if reply.status != HTTPStatus.UNAUTHORIZED:
            return reply
        # Refused before acceptance: the token may have ended before its time.
        token, failure = await self._bearer(not_this=token)
        return failure or await self._once(method, path, body, key, token)

    async def _once(
        self, method: str, path: str, body: bytes | None, key: str, token: str
    ) -> Reply:
        headers = {"Authorization": f"Bearer {token}", "Prefer": "return=representation"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key:
            headers["PayPal-Request-Id"] = key
        return _refined(await self._exchange(method, path, headers, body))

    async def _bearer(self, *, not_this: str) -> tuple[str, Reply | None]:
        """A token that still lives and is another one; else why there is none."""
        async with self._renewing:
            if self._token not in ("", not_this) and time.monotonic() < self._token_ends:
                return self._token, None
            secret = self._settings.paypal_client_secret.get_secret_value()
            pair = f"{self._settings.paypal_client_id}:{secret}".encode()
            headers = {
                "Authorization": f"Basic {b64encode(pair).decode()}",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            reply = await self._exchange(
                "POST", "/v1/oauth2/token", headers, b"grant_type=client_credentials"
            )
            token, lives = reply.body.get("access_token"), reply.body.get("expires_in")
            if reply.ok and isinstance(token, str) and token and type(lives) is int:
                self._token = token
                self._token_ends = time.monotonic() + lives - _RENEWED_BEFORE_S
                return token, None
            # What was asked for was not sent at all.
            known = reply.outcome in (Outcome.AUTH, Outcome.THROTTLED)
            return "", reply if known else replace(reply, outcome=Outcome.INFRA, cause="no_token")

    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        url, wait = f"{self._settings.url}{path}", self._settings.paypal_timeout_s
        request = Request(method, url, headers, body, wait)
        return await exchange(self._session, request, in_production=self._settings.in_production)


def issues_of(reply: Reply) -> tuple[str, ...]:
    """What PayPal finds wrong, in its words: the issues, then the error's name."""
    details = reply.body.get("details")
    issues = [
        str(one.get("issue"))
        for one in (details if isinstance(details, list) else [])
        if isinstance(one, dict) and one.get("issue")
    ]
    name = reply.body.get("name")
    return (*issues, name) if isinstance(name, str) else tuple(issues)


def _refined(reply: Reply) -> Reply:
    if reply.outcome is not Outcome.OUR_FAULT:
        return reply
    issues = issues_of(reply)
    if not issues:
        return replace(reply, outcome=Outcome.UNKNOWN, cause=f"http_{reply.status}")
    if "DUPLICATE_REQUEST_ID" in issues:
        return replace(reply, outcome=Outcome.UNKNOWN, cause="key_reused")
    return replace(reply, cause=issues[0].lower()[:100])


def quoted(reference: str) -> str:
    """A reference as a part of a path."""
    return quote(reference, safe="")
