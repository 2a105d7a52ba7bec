"""Wallets per second of one bulk order, beside a bare insert of the same rows."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any

import asyncpg
from tests.load.cases import Run
from tests.load.measure import Outcome, Ratio, Series, Span, alternate, ratios
from tests.load.place import Platform, call, pids_of
from tests.load.tenants import Tenant, make_tenants

from invoiceos_contracts import decode

BULK = "/api/v1/wallets/ephemeral/bulk"
ROWS = 10_000
LONGEST_S = 300.0
_KINDS = {
    "tenant_id": "uuid",
    "id": "uuid",
    "invoice_id": "uuid",
    "chain_id": "bigint",
    "due_minor": "bigint",
    "ttl_s": "int",
    "watch_window_s": "int",
    "expires_at": "timestamptz",
    "created_at": "timestamptz",
    "secrets_destroyed_at": "timestamptz",
}
"""Of the columns of a wallet that are not text."""
_COUNT = "select count(*) from wallet_factory.wallet where tenant_id = $1"
_COLUMNS = "select * from wallet_factory.wallet where tenant_id = $1 order by id limit $2"


@dataclass(slots=True)
class Bench:
    """What both sides need."""

    platform: Platform
    admin: asyncpg.Connection
    rows: int
    ours: Series
    bare: Series
    taken: Series
    made: dict[str, bool]
    tenant: Tenant | None = None
    """Whose wallets were made last."""


async def run(run: Run) -> Outcome:
    """The whole case."""
    platform = run.place.platform()
    admin = await asyncpg.connect(platform.admin_url)
    bench = Bench(
        platform,
        admin,
        1_000 if run.quick else ROWS,
        Series("one order in bulk, until its last wallet is ready", "wallets/s"),
        Series("bare insert of the same rows, one statement", "rows/s"),
        Series("the order itself, until it is answered", "rows/s"),
        {},
    )
    try:
        await admin.execute(
            "create table public.bare_wallet (like wallet_factory.wallet including indexes)"
        )
        await alternate(
            1 if run.quick else 2, [lambda: _order(bench), lambda: _bare(bench)], run.say
        )
    finally:
        await admin.execute("drop table if exists public.bare_wallet")
        await admin.close()
    found = Outcome([s.measure() for s in (bench.ours, bench.taken, bench.bare)])
    found.ratios.append(
        Ratio("wallets of an order / bare insert", ratios(bench.ours.values, bench.bare.values))
    )
    found.books = bench.made
    return found


async def _order(bench: Bench) -> None:
    """A company of its own orders through the gateway, and looks until the order is over."""
    platform = bench.platform
    (tenant,) = await asyncio.to_thread(make_tenants, platform, 1)
    rows = [
        {"reference": f"row-{n}", "amount": {"amount_minor": 1190, "asset": "USD"}}
        for n in range(bench.rows)
    ]
    pids = pids_of(platform.infra)
    span = Span(service=platform.services, postgres=pids["postgres"], kafka=pids["kafka"])
    with span:
        began = time.perf_counter()
        job = await _ask(platform, tenant, "POST", BULK, {"rows": rows})
        bench.taken.add(bench.rows / (time.perf_counter() - began))
        while job["state"] != "done" and time.perf_counter() - began < LONGEST_S:
            await asyncio.sleep(0.1)
            job = await _ask(platform, tenant, "GET", f"{BULK}/{job['job_id']}")
    bench.ours.add(bench.rows / span.wall, span.micros(bench.rows, self="load"))
    bench.tenant = tenant
    wallets = await bench.admin.fetchval(_COUNT, decode("ten", tenant.id))
    number = len(bench.ours.values)
    bench.made[f"order {number} made a wallet a row"] = (
        job["counts"]["ready"] == wallets == bench.rows
    )


async def _bare(bench: Bench) -> None:
    """The last order's rows once more, as arrays into a table with the same indexes."""
    if bench.tenant is None:
        await _order(bench)
    assert bench.tenant is not None
    kept = await bench.admin.fetch(_COLUMNS, decode("ten", bench.tenant.id), bench.rows)
    tenant = uuid.uuid4()
    names = tuple(kept[0].keys())
    columns = [name for name in names if name != "accepted_assets"]
    arrays = [[tenant if n == "tenant_id" else row[n] for row in kept] for n in columns]
    kinds = [_KINDS.get(name, "text") for name in columns]
    unnested = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(kinds, 1))
    began = time.perf_counter()
    await bench.admin.execute(
        f"""
        insert into public.bare_wallet ({", ".join(columns)}, accepted_assets)
        select *, array['PATHUSD', 'ALPHAUSD'] from unnest({unnested})
        """,
        *arrays,
    )
    bench.bare.add(len(kept) / (time.perf_counter() - began))


async def _ask(platform: Platform, tenant: Tenant, method: str, path: str, body: Any = None) -> Any:
    headers = {"idempotency-key": str(uuid.uuid4())} if method == "POST" else None
    url = platform.urls["gateway"] + path
    return await asyncio.to_thread(call, method, url, tenant.api_key, body, headers)
