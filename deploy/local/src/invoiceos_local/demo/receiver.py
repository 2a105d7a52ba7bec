"""A webhook receiver such as a customer would run: it believes nothing that is not signed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


@dataclass
class Receiver:
    """Listens on loopback; keeps what was delivered and whether its signature was right."""

    secret: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        """Begin to listen on a free port."""
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening; hang up once a connection that was just accepted is known too."""
        await self._site.stop()
        await asyncio.sleep(0.05)
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.refused += 1
            return web.Response(status=401)
        self.received.append({"id": request.headers["webhook-id"], **json.loads(body)})
        self._news.set()
        return web.Response(status=204)

    async def until(self, event_type: str, invoice_id: str, seconds: float = 20) -> dict[str, Any]:
        """The delivery of an event about an invoice."""
        async with asyncio.timeout(seconds):
            while True:
                for found in self.received:
                    if found["type"] == event_type and found["data"]["invoice_id"] == invoice_id:
                        return found
                self._news.clear()
                await self._news.wait()
