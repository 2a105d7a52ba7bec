"""Circle's wire: a bearer, JSON under `data`, keys in the body, pages by the last id."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.circle.settings import CircleSettings
from provider_orchestrator.providers.documents import object_in, objects_in
from provider_orchestrator.providers.exchange import Reply, Request, exchange

PAGE = 50


class CircleClient:
    """Requests to Circle; usable from one event loop."""

    def __init__(self, session: aiohttp.ClientSession, settings: CircleSettings) -> None:
        """Nothing is sent yet."""
        self._session = session
        self._settings = settings

    async def get(self, path: str, **query: str) -> Reply:
        """Read something."""
        return await self._send("GET", f"{path}?{urlencode(query)}" if query else path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        """Do something, once for the key in the body."""
        return await self._send("POST", path, json.dumps(body).encode())

    async def pages(self, path: str, **query: str) -> AsyncIterator[Reply]:
        """A list, page by page, the newest first; ends after a page that is no success."""
        after: dict[str, str] = {}
        while True:
            reply = await self.get(path, pageSize=str(PAGE), **query, **after)
            yield reply
            found = objects_in(reply.body, "data")
            if not reply.ok or len(found) < PAGE:
                return
            after = {"pageAfter": str(found[-1].get("id"))}

    async def _send(self, method: str, path: str, body: bytes | None) -> Reply:
        headers = {"Authorization": f"Bearer {self._settings.circle_api_key.get_secret_value()}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        url, wait = f"{self._settings.url}{path}", self._settings.circle_timeout_s
        request = Request(method, url, headers, body, wait)
        in_production = self._settings.in_production
        return _refined(await exchange(self._session, request, in_production=in_production))


def data_of(reply: Reply) -> Mapping[str, Any]:
    """The object that an answer is about."""
    return object_in(reply.body, "data")


def quoted(reference: str) -> str:
    """A reference as a part of a path."""
    return quote(reference, safe="")


def _refined(reply: Reply) -> Reply:
    """What Circle's error says beyond its number."""
    if reply.outcome is not Outcome.OUR_FAULT:
        return reply
    code = reply.body.get("code")
    if type(code) is not int:
        return replace(reply, outcome=Outcome.UNKNOWN, cause=f"http_{reply.status}")
    for error in objects_in(reply.body, "errors"):
        return replace(reply, cause=f"{error.get('error')}:{error.get('location')}"[:100])
    return replace(reply, cause=f"code_{code}")
