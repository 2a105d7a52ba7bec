"""The company whose invoices are issued under fire: its key, its load, its webhook receiver."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from tests.torture.arena import GATEWAY, Arena
from tests.torture.journal import Journal
from tests.torture.load import Load

from invoiceos_contracts.invoice_v1 import InvoiceIssued, InvoicePaid
from invoiceos_local.chain import Node
from invoiceos_local.demo.client import Client
from invoiceos_local.ports import LOOPBACK

FAIL_SHARE = 0.05
"""Webhooks answered with 500 after they were written down: they come again, the same."""


@asynccontextmanager
async def loading(arena: Arena, journal_path: Path, chooser: random.Random) -> AsyncIterator[Load]:
    """A load that stands ready; `start` begins it."""
    journal = Journal.create(journal_path)
    async with (
        aiohttp.ClientSession() as http,
        Node(arena.chain) as node,
        _receiver(journal, chooser) as url,
    ):
        client = Client(http, arena.urls[GATEWAY], _tenant(arena)["api_key"])
        types = [InvoiceIssued.TYPE, InvoicePaid.TYPE]
        await client.post("/api/v1/webhook-endpoints", {"url": url, "event_types": types})
        load = Load(http, node, client, journal, chooser)
        try:
            yield load
        finally:
            await load.stop()


def _tenant(arena: Arena) -> dict[str, str]:
    done = subprocess.run(
        arena.stack.command("tenant", "create", "Under Fire Ltd", "--json"),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **arena.stack.administration_env()},
    )
    made: dict[str, str] = json.loads(done.stdout)
    return made


@asynccontextmanager
async def _receiver(journal: Journal, chooser: random.Random) -> AsyncIterator[str]:
    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        digest = hashlib.sha256(body).hexdigest()
        journal.webhooks.setdefault(request.headers["webhook-id"], set()).add(digest)
        return web.Response(status=500 if chooser.random() < FAIL_SHARE else 200)

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    try:
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()
