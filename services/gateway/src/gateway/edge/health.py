"""How all services are, asked at the same moment."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
from starlette.responses import JSONResponse, Response

from chassis.runtime import Runtime
from gateway.edge.forwarding import Forwarder

_WAIT = aiohttp.ClientTimeout(total=2)
_FRESH_S = 1.0


class PlatformHealth:
    """Asks every service whether it is ready; an answer is good for a second."""

    def __init__(
        self, runtime: Runtime, forwarder: Forwarder, upstreams: Mapping[str, str]
    ) -> None:
        """Where the services are."""
        self._runtime = runtime
        self._forwarder = forwarder
        self._upstreams = upstreams
        self._found: tuple[float, dict[str, str]] | None = None
        self._asking = asyncio.Lock()

    async def response(self) -> Response:
        """200 when every service is ready, else 503; says which is not."""
        states = await self._states()
        ready = all(state == "ready" for state in states.values())
        body: dict[str, Any] = {
            "status": "ok" if ready else "degraded",
            "services": {name: {"state": state} for name, state in states.items()},
        }
        headers = {"Cache-Control": "no-store"} | ({} if ready else {"Retry-After": "1"})
        return JSONResponse(body, 200 if ready else 503, headers)

    async def _states(self) -> dict[str, str]:
        async with self._asking:
            if self._found is not None and time.monotonic() < self._found[0]:
                return self._found[1]
            names = list(self._upstreams)
            own, *others = await asyncio.gather(
                self._own(), *(self._state_of(self._upstreams[name]) for name in names)
            )
            states = {"gateway": own, **dict(zip(names, others, strict=True))}
            self._found = time.monotonic() + _FRESH_S, states
            return states

    async def _own(self) -> str:
        return "not_ready" if await self._runtime.problems() else "ready"

    async def _state_of(self, base: str) -> str:
        try:
            async with self._forwarder.session.get(f"{base}/readyz", timeout=_WAIT) as response:
                return "ready" if response.status == 200 else "not_ready"
        except (aiohttp.ClientError, TimeoutError, OSError):
            return "unreachable"
