"""The gateway's REST API as the demo uses it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp


class Refused(Exception):
    """The gateway answered with a problem."""


@dataclass
class Client:
    """One company's access to the platform."""

    http: aiohttp.ClientSession
    url: str
    api_key: str

    async def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, JSON and headers of an answer."""
        sent = {"Authorization": f"Bearer {self.api_key}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(method, self.url + path, json=body, headers=sent) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def get(self, path: str) -> Any:
        """The JSON of a resource."""
        status, found, _ = await self.call("GET", path)
        if status != 200:
            raise Refused(f"GET {path}: {status} {found}")
        return found

    async def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of what was made; each call has its own idempotency key."""
        headers.setdefault("Idempotency_Key", str(uuid.uuid4()))
        status, made, _ = await self.call("POST", path, body, **headers)
        if status not in (200, 201, 202):
            raise Refused(f"POST {path}: {status} {made}")
        return made

    async def eventually(self, path: str, good: Any, seconds: float = 20) -> Any:
        """A resource once it is as it must become."""
        found: Any = None
        async with asyncio.timeout(seconds):
            while True:
                found = await self.get(path)
                if good(found):
                    return found
                await asyncio.sleep(0.1)


def an_invoice(
    description: str, unit_price_minor: int, quantity: str = "1", watch_window_s: int = 2
) -> dict[str, Any]:
    """The body of an invoice that is issued at once; its wallet is watched for seconds."""
    return {
        "customer": {"name": "Ada Lovelace", "email": "ada@example.test"},
        "asset": "USD",
        "due_at": (datetime.now(UTC) + timedelta(days=14)).isoformat(timespec="seconds"),
        "lines": [
            {
                "description": description,
                "quantity": quantity,
                "unit_price_minor": unit_price_minor,
                "taxes": [{"code": "S", "name": "VAT", "rate_ppm": 190_000}],
            }
        ],
        "wallet": {"watch_window_s": watch_window_s},
        "issue": True,
    }
