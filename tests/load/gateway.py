"""Invoices accepted per second: through the gateway, past it, and by the least that could do it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from tests.load.cases import Run
from tests.load.controls import bare_gateway
from tests.load.loadgen import Load, Make, post_for
from tests.load.measure import Outcome, Ratio, Series, Span, alternate, ratios
from tests.load.place import Platform, pids_of, scratch_folder
from tests.load.quiet import check, until_quiet
from tests.load.report import ROOT
from tests.load.tenants import INVOICES, Requests, invoice, make_tenants

from invoiceos_local.ports import free_port

CLIENTS = 64
TENANTS = 8
CONTROL_DATABASE = "bench_control"


@dataclass(slots=True)
class Bench:
    """What the cells share."""

    run: Run
    platform: Platform
    pids: dict[str, list[int]]
    control_url: str
    control_pid: int
    seconds: float
    outcome: Outcome = field(default_factory=Outcome)
    accepted: int = 0
    control_accepted: int = 0

    async def cell(self, series: Series, url: str, make: Make, path: str = INVOICES) -> Load:
        """Warm up, then measure a window."""
        await post_for(url, path, make, clients=CLIENTS, count=CLIENTS)
        with self._span(url) as span:
            load = await post_for(url, path, make, clients=CLIENTS, seconds=self.seconds)
        if load.failures:
            raise RuntimeError(load.explain())
        series.add(load.rate, span.micros(load.accepted, self="generator"), load.latency())
        return load

    def _span(self, url: str) -> Span:
        if url == self.control_url:
            return Span(server=[self.control_pid], postgres=self.pids["postgres"])
        services = self.platform.pids
        front = {name: [services[name]] for name in ("gateway", "invoice")}
        rest = [pid for name, pid in services.items() if name not in front]
        return Span(**front, others=rest, **{k: self.pids[k] for k in ("postgres", "kafka")})


async def run(run: Run) -> Outcome:
    """The whole case."""
    platform = run.place.platform()
    tenants = await asyncio.to_thread(make_tenants, platform, TENANTS)
    database = await _control_database(platform)
    with _control(database) as (url, pid):
        seconds = 1.0 if run.quick else 2.0
        bench = Bench(run, platform, pids_of(platform.infra), url, pid, seconds)
        before = await _kept(platform)
        draft = Requests(tenants, issue=False)
        direct = Requests(tenants, issue=False, direct=True)
        await _drafts(bench, draft, direct if tenants[0].token else None)
        await _issued(bench, Requests(tenants, issue=True))
        await check(platform, bench.outcome.books)
        after = await _kept(platform)
        books = bench.outcome.books
        books["each accepted invoice is one row"] = after[0] - before[0] == bench.accepted
        books["and one InvoiceCreated in its history"] = after[1] - before[1] == bench.accepted
        books["the control kept each of its own"] = (
            await _control_kept(database) == (bench.control_accepted,) * 2
        )
    return bench.outcome


async def _drafts(bench: Bench, through: Requests, past: Requests | None) -> None:
    mine = Series("draft, through the gateway", "invoices/s")
    direct = Series("draft, straight to the invoice service", "invoices/s")
    bare = Series("control: bare ASGI, coalesced", "invoices/s")
    urls = bench.platform.urls

    async def ours() -> None:
        load = await bench.cell(mine, urls["gateway"], through)
        bench.accepted += load.accepted + CLIENTS
        await until_quiet(bench.platform, 15)

    async def control() -> None:
        load = await bench.cell(bare, bench.control_url, _control_request, "/invoices")
        bench.control_accepted += load.accepted + CLIENTS

    async def straight() -> None:
        assert past is not None
        load = await bench.cell(direct, urls["invoice"], past)
        bench.accepted += load.accepted + CLIENTS
        await until_quiet(bench.platform, 15)

    cells = [ours, control, *([straight] if past else [])]
    await alternate(bench.run.rounds, cells, bench.run.say)
    found = bench.outcome
    found.measures += [s.measure() for s in (mine, direct, bare) if s.values]
    share = ratios(mine.values, bare.values)
    found.ratios.append(Ratio("gateway / bare, drafts", share, "P1", at_least=0.25))
    if direct.values:
        found.ratios.append(Ratio("past the gateway / bare", ratios(direct.values, bare.values)))


async def _issued(bench: Bench, through: Requests) -> None:
    """With everything that follows from issuing going on beside it."""
    mine = Series("issued at once, through the gateway", "invoices/s")
    bare = Series("control beside `issue`", "invoices/s")

    async def ours() -> None:
        load = await bench.cell(mine, bench.platform.urls["gateway"], through)
        bench.accepted += load.accepted + CLIENTS
        bench.platform.flows += load.accepted
        if not await until_quiet(bench.platform, 25):
            bench.outcome.notes.append("not at rest 25 s after issuing")

    async def control() -> None:
        load = await bench.cell(bare, bench.control_url, _control_request, "/invoices")
        bench.control_accepted += load.accepted + CLIENTS

    await alternate(min(3, bench.run.rounds), [ours, control], bench.run.say)
    bench.outcome.measures += [mine.measure(), bare.measure()]
    share = ratios(mine.values, bare.values)
    bench.outcome.ratios.append(Ratio("gateway / bare, issued", share))


_CONTROL_BODY = invoice(issue=False)


def _control_request(_: int) -> tuple[bytes, bytes]:
    head = f"authorization: Bearer {bare_gateway.KEY}\r\ncontent-type: application/json\r\n"
    return head.encode(), _CONTROL_BODY


async def _control_database(platform: Platform) -> str:
    connection = await asyncpg.connect(platform.admin_url)
    try:
        await connection.execute(f"drop database if exists {CONTROL_DATABASE} with (force)")
        await connection.execute(f"create database {CONTROL_DATABASE}")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(platform.admin_url)._replace(path=f"/{CONTROL_DATABASE}"))


@contextmanager
def _control(database: str) -> Iterator[tuple[str, int]]:
    """The control's server: its address and its process."""
    port = free_port()
    module = "tests.load.controls.bare_gateway:app"
    command = [
        *(sys.executable, "-m", "uvicorn", module, "--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning", "--host", "127.0.0.1", "--port", str(port)),
    ]
    environment = {**os.environ, "BENCH_DATABASE": database}
    with (scratch_folder("gateway") / "control.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        _wait_listening(process, port)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(10)


def _wait_listening(process: subprocess.Popen[bytes], port: int) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            continue
        return
    raise RuntimeError("the control's server ended; see its log")


async def _kept(platform: Platform) -> tuple[int, int]:
    """Invoices, and invoices whose history has begun."""
    connection = await asyncpg.connect(platform.admin_url)
    try:
        rows = await connection.fetchval("select count(*) from invoice.invoice")
        heads = "select count(*) from invoice.stream_head where topic = 'invoiceos.invoice.v1'"
        return rows, await connection.fetchval(heads)
    finally:
        await connection.close()


async def _control_kept(database: str) -> tuple[int, int]:
    connection = await asyncpg.connect(database)
    try:
        return (
            await connection.fetchval("select count(*) from bare_invoice"),
            await connection.fetchval("select count(*) from bare_outbox"),
        )
    finally:
        await connection.close()
