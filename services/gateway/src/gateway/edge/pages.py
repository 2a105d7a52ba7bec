"""The few pages the edge makes itself: health, the merged OpenAPI document, the documentation."""

import asyncio
import hashlib
import json
import time
from importlib.resources import files
from typing import Any

import aiohttp
from starlette.responses import JSONResponse, RedirectResponse, Response

from chassis.bodies import whole
from chassis.telemetry import Scope
from gateway.edge.documents import merge
from gateway.edge.forwarding import Forwarder
from gateway.edge.health import PlatformHealth
from gateway.edge.rejection import Rejection
from gateway.settings import GatewaySettings

_WAIT = aiohttp.ClientTimeout(total=3)
_FRESH_S = 30.0
_RETRY_S = 2.0
"""A document that lacks a service is made anew this soon."""
_DOCUMENT_BYTES_MAX = 8 * 1024 * 1024
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    "/docs": ("index.html", "text/html"),
    "/docs/docs.css": ("docs.css", "text/css"),
    "/docs/docs.js": ("docs.js", "text/javascript"),
    "/docs/events": ("events.html", "text/html"),
    "/docs/events.css": ("events.css", "text/css"),
    "/docs/events.js": ("events.js", "text/javascript"),
    "/docs/events.json": ("events.json", "application/json"),
}


class Pages:
    """Answers to paths that belong to no service."""

    def __init__(
        self, settings: GatewaySettings, forwarder: Forwarder, health: PlatformHealth
    ) -> None:
        """Nothing is fetched before someone asks."""
        self._settings = settings
        self._forwarder = forwarder
        self._health = health
        self._merged: tuple[float, bytes] | None = None
        self._merging = asyncio.Lock()
        folder = files("gateway") / "edge" / "docs_page"
        self._files = {
            path: (folder.joinpath(name).read_bytes(), media)
            for path, (name, media) in _FILES.items()
        }

    async def response(self, path: str, method: str, scope: Scope) -> Response:
        """The page; raises `Rejection` for a method other than reading."""
        if method not in ("GET", "HEAD"):
            title = "This page can only be read"
            raise Rejection(405, "method_not_allowed", title, headers={"Allow": "GET, HEAD"})
        if path == "/api/health":
            return await self._health.response()
        if path == "/openapi.json":
            return Response(await self._document(scope), media_type="application/json")
        if path == "/":
            return RedirectResponse("/docs")
        return self._file(path, scope)

    def _file(self, path: str, scope: Scope) -> Response:
        content, media = self._files[path]
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {
            "ETag": tag,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",
        }
        if (b"if-none-match", tag.encode()) in scope["headers"]:
            return Response(None, 304, headers)
        return Response(content, 200, headers, media)

    async def _document(self, scope: Scope) -> bytes:
        async with self._merging:
            now = time.monotonic()
            if self._merged is not None and now < self._merged[0]:
                return self._merged[1]
            upstreams = self._settings.upstreams
            found = await asyncio.gather(*(self._fetch(base) for base in upstreams.values()))
            documents = {n: d for n, d in zip(upstreams, found, strict=True) if d is not None}
            missing = sorted(set(upstreams) - set(documents))
            merged = merge(documents, scope["app"].openapi())
            merged["servers"] = [{"url": self._settings.public_url}]
            if missing:
                merged["x-missing-services"] = missing
                merged["info"]["description"] += (
                    f"\nNot reachable at this moment, so left out: {', '.join(missing)}.\n"
                )
            text = JSONResponse(merged).body
            self._merged = now + (_RETRY_S if missing else _FRESH_S), bytes(text)
            return self._merged[1]

    async def _fetch(self, base: str) -> dict[str, Any] | None:
        try:
            async with self._forwarder.session.get(
                f"{base}/openapi.json", timeout=_WAIT
            ) as response:
                raw = await whole(response.content, _DOCUMENT_BYTES_MAX)
                document = json.loads(raw) if response.status == 200 else None
                return document if isinstance(document, dict) else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None
