"""The auditor as a process: audits that repeat, and what they found as metrics."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from audit.monitor import Gauges, Monitor, repeat

DRAIN_S = 20
"""Longest wait for a run that has begun when the end is called."""
STALE_FACTOR = 10
"""Not ready when no run has ended for so many times the interval."""


class Door:
    """What is asked over HTTP."""

    def __init__(self, monitor: Monitor, every_s: float) -> None:
        """Show what this monitor finds."""
        self._monitor = monitor
        self._every_s = every_s
        self._gauges = Gauges()

    def application(self) -> web.Application:
        """The routes, with the audits beside them for as long as they are served."""
        application = web.Application()
        application.router.add_get("/livez", self._livez)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        application.cleanup_ctx.append(self._auditing)
        return application

    async def _auditing(self, application: web.Application) -> AsyncIterator[None]:
        del application
        ended = asyncio.Event()
        task = asyncio.create_task(repeat(self._monitor, self._gauges, self._every_s, ended))
        yield
        ended.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(task, DRAIN_S)
        await self._monitor.close()

    async def _livez(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, _: web.Request) -> web.Response:
        """Ready while it audits, whatever it finds: a breach is no fault of the auditor."""
        age = time.time() - self._gauges.last_run
        found = [] if age < STALE_FACTOR * self._every_s else ["has not audited lately"]
        return web.json_response(
            {"ready": not found, "problems": found}, status=503 if found else 200
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        body = generate_latest(self._gauges.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def serve(monitor: Monitor, *, every_s: float, host: str, port: int) -> None:
    """Audit and answer until SIGTERM or SIGINT."""
    runner = web.AppRunner(Door(monitor, every_s).application(), access_log=None)
    await runner.setup()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        await web.TCPSite(runner, host, port).start()
        await ended.wait()
    finally:
        await runner.cleanup()
