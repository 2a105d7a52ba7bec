"""Webhooks on their way: doubled, overtaken, late, lost, and tried again."""

import asyncio
from typing import TYPE_CHECKING

import httpx

from provider_sandbox.core.provider import Provider
from provider_sandbox.core.store import Document
from provider_sandbox.core.timers import Timers

if TYPE_CHECKING:
    from provider_sandbox.core.world import World

_TIMEOUT_S = 10.0


class Deliveries:
    """One document a copy of an event for an endpoint; `attempt` timers move it on."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._timers = Timers(world.store, "attempt")
        self._client: httpx.AsyncClient | None = None
        self._sending = asyncio.Lock()

    def begin(self, provider: Provider, event: Document) -> None:
        """Plan the first attempts of an event; `event` has an `id`."""
        for endpoint in provider.endpoints(self._world, event):
            self.send(provider, endpoint, event)

    def send(self, provider: Provider, endpoint: Document, event: Document) -> None:
        """Plan the first attempts of an event for one endpoint."""
        faults = self._world.plan.of(provider.name).webhooks
        draw = self._world.draw(f"delivery {provider.name}")
        copies = 2 if draw.happens("duplicate", faults.duplicate) else 1
        for copy in range(copies):
            key = f"{provider.name}-{draw.number}-{copy + 1}"
            wait = faults.delay.seconds(draw)
            if draw.happens("reorder", faults.reorder):
                wait += faults.reorder_s
            dropped = draw.happens("drop", faults.drop)
            self._world.store.put(
                "delivery",
                key,
                {
                    "id": key,
                    "provider": provider.name,
                    "endpoint": endpoint["id"],
                    "url": endpoint["url"],
                    "event": event["id"],
                    "type": event.get("type", event.get("event_type", "")),
                    "state": "lost" if dropped else "waiting",
                    "attempts": [],
                },
            )
            if not dropped:
                self._timers.set(self._world.now() + wait, "attempt", {"delivery": key})

    def next_at(self) -> float | None:
        """When the next attempt is due."""
        return self._timers.next_at()

    async def send_due(self) -> int:
        """Make every attempt that is due; how many there were.

        One after another for an address, so that their order is that of the plan; side by side for
        several, so that nobody waits for a receiver of somebody else.
        """
        made = 0
        async with self._sending:
            while due := self._due():
                await asyncio.gather(*(self._in_order(timers) for timers in due.values()))
                made += sum(len(timers) for timers in due.values())
        return made

    def _due(self) -> dict[str, list[Document]]:
        found: dict[str, list[Document]] = {}
        while timer := self._timers.take(self._world.now()):
            delivery = self._world.store.get("delivery", timer["argument"]["delivery"])
            found.setdefault(delivery["url"], []).append(timer)
        return found

    async def _in_order(self, timers: list[Document]) -> None:
        for timer in timers:
            await self._attempt(timer["argument"]["delivery"])
            self._timers.done(timer)
            self._world.store.flush()

    async def _attempt(self, key: str) -> None:
        world = self._world
        delivery = world.store.get("delivery", key)
        provider = world.providers[delivery["provider"]]
        endpoint = world.store.find(f"{provider.name} endpoint", delivery["endpoint"])
        event = world.store.find(f"{provider.name} event", delivery["event"])
        if endpoint is None or event is None:
            delivery["state"] = "given up"
            world.store.put("delivery", key, delivery)
            return
        body = provider.message(world, endpoint, event)
        headers = provider.sign(world, endpoint, event, body)
        status, error = await self._post(delivery["url"], body, dict(headers))
        delivery["attempts"].append({"at": world.now(), "status": status, "error": error})
        delivery["state"] = self._judge(provider, delivery, status)
        world.store.put("delivery", key, delivery)

    def _judge(self, provider: Provider, delivery: Document, status: int) -> str:
        if 200 <= status < 300:
            return "delivered"
        tried = len(delivery["attempts"])
        if tried > len(provider.retries_s):
            return "given up"
        again = self._world.now() + provider.retries_s[tried - 1]
        self._timers.set(again, "attempt", {"delivery": delivery["id"]})
        return "waiting"

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)
        try:
            answer = await self._client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return 0, type(error).__name__
        return answer.status_code, ""

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
