"""Control of `gateway`: the least that accepts an invoice durably.

Bare ASGI; the body is validated, the key looked up by its hash, and requests that wait at the same
moment share one statement that writes invoice and outbox row. No tenants' policies, no idempotency
record, no numbering, no history. Serve with uvicorn (uvloop, httptools); BENCH_DATABASE names the
database.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import uuid
from typing import Any

import asyncpg
from pydantic import BaseModel

KEY = "bench-key"
WRITERS = 2
BATCH = 500
_TENANTS = {hashlib.sha256(KEY.encode()).digest(): uuid.uuid4()}

TABLES = """
create table if not exists bare_invoice (
    id uuid primary key, tenant_id uuid not null, asset text not null, due_at text not null,
    total_minor bigint not null, body jsonb not null, created_at timestamptz not null default now());
create table if not exists bare_outbox (
    seq bigint generated always as identity primary key, topic text not null, key text not null,
    payload bytea not null);
"""
WRITE = """
with fresh as (
    select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[])
        as f(id, tenant_id, asset, due_at, total_minor, body)
), kept as (
    insert into bare_invoice (id, tenant_id, asset, due_at, total_minor, body)
    select id, tenant_id, asset, due_at, total_minor, body::jsonb from fresh
)
insert into bare_outbox (topic, key, payload)
select 'invoice', id::text, convert_to(body, 'utf8') from fresh
"""


class _Line(BaseModel):
    description: str
    quantity: str
    unit_price_minor: int


class _Invoice(BaseModel):
    asset: str
    due_at: str
    lines: list[_Line]


class _Store:
    """Coalesces writes."""

    def __init__(self) -> None:
        self._queue: list[tuple[tuple[Any, ...], asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        first = await asyncpg.connect(os.environ["BENCH_DATABASE"])
        await first.execute(TABLES)
        more = [await asyncpg.connect(os.environ["BENCH_DATABASE"]) for _ in range(WRITERS - 1)]
        self._tasks = [asyncio.create_task(self._run(one)) for one in (first, *more)]

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def put(self, row: tuple[Any, ...]) -> None:
        future = asyncio.get_running_loop().create_future()
        self._queue.append((row, future))
        self._wake.set()
        await future

    async def _run(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch, self._queue[:] = self._queue[:BATCH], self._queue[BATCH:]
                rows, futures = zip(*batch, strict=True)
                try:
                    await connection.execute(WRITE, *map(list, zip(*rows, strict=True)))
                except Exception as error:
                    for future in futures:
                        future.set_exception(error)
                else:
                    for future in futures:
                        future.set_result(None)


_store = _Store()


async def _accept(scope: Any, body: bytes) -> tuple[int, bytes]:
    bearer = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    tenant = _TENANTS.get(hashlib.sha256(bearer[7:]).digest())
    if tenant is None:
        return 401, b"{}"
    invoice = _Invoice.model_validate_json(body)
    total = sum(line.unit_price_minor for line in invoice.lines)
    invoice_id = uuid.uuid4()
    kept = invoice.model_dump_json()
    await _store.put((invoice_id, tenant, invoice.asset, invoice.due_at, total, kept))
    return 201, json.dumps({"id": str(invoice_id)}).encode()


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    await _store.open()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    with contextlib.suppress(Exception):
        _store.close()
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    status, answer = await _accept(scope, body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
