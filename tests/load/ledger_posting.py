"""`make bench-ledger`: what tenants post, in bulk and singly, hot and spread, as the tables grow.

The yardstick's one statement runs in turns with it: quote the ratios, not the rates.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
import uuid
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
from tests.load.controls import bare_ledger
from tests.load.ledger import _SETTINGS, payment
from tests.load.place import Place

from testkit.databases import create_database
from testkit.service import ServiceUnderTest, record_of, under_test

BULK = 500
SINGLES = 60
ADDRESSES = 500
FUNDS = 10**17


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Posting:
    """One tenant that posts, and the yardstick beside it."""

    def __init__(self, unit: ServiceUnderTest, bare: asyncpg.Connection) -> None:
        self.unit, self.bare, self.tenant_id = unit, bare, uuid.uuid4()
        self.posted = 0
        self.bare_posted = 0

    async def funded(self) -> None:
        paid = payment(self.tenant_id, minor=FUNDS)
        await self.unit.receives(record_of(paid))

    def requests(self, count: int, *, spread: bool) -> list[Any]:
        from reserve_ledger.domain.tenant_postings import Line, PostingRequest

        found = []
        for number in range(count):
            name = f"escrow:{number % ADDRESSES}" if spread else "escrow:one"
            lines = (Line("merchant:available", "PATHUSD", 1), Line(name, "PATHUSD", -1))
            found.append(PostingRequest(self.tenant_id, "bench", lines, str(uuid.uuid4())))
        return found

    async def ours(self, count: int, size: int, *, spread: bool) -> list[float]:
        """Seconds of each transaction of so many requests."""
        from reserve_ledger.commands.post_for_tenants import post_for_tenants

        requests, taken = self.requests(count, spread=spread), []
        for start in range(0, count, size):
            began = time.perf_counter()
            async with self.unit.api.transaction([self.tenant_id]) as tx:
                answers = await post_for_tenants(tx, requests[start : start + size])
            taken.append(time.perf_counter() - began)
            assert not any(isinstance(answer, Exception) for answer in answers), answers[0]
        self.posted += count
        return taken

    async def control(self, count: int, size: int) -> list[float]:
        """The same by the yardstick's statement."""
        rows, taken = bare_ledger.transfers(count, ADDRESSES), []
        for start in range(0, count, size):
            began = time.perf_counter()
            await bare_ledger.post(self.bare, rows[start : start + size])
            taken.append(time.perf_counter() - began)
        self.bare_posted += count
        return taken


def rate(count: int, taken: list[float]) -> float:
    return count / sum(taken)


def p99(taken: list[float]) -> float:
    return 1000 * statistics.quantiles(taken, n=100)[-1]


async def measured(bench: Posting, rounds: int) -> None:
    """Ours and the yardstick in turns; the median over the rounds."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        cells = {
            "bulk, spread": (BULK, await bench.ours(BULK, BULK, spread=True)),
            "bulk, hot account": (BULK, await bench.ours(BULK, BULK, spread=False)),
            "bulk, yardstick": (BULK, await bench.control(BULK, BULK)),
            "single": (SINGLES, await bench.ours(SINGLES, 1, spread=False)),
            "single, yardstick": (SINGLES, await bench.control(SINGLES, 1)),
        }
        for name, (count, taken) in cells.items():
            found.setdefault(name, []).append(rate(count, taken))
    medians = {name: statistics.median(values) for name, values in found.items()}
    for name, value in medians.items():
        say(f"{name:22} {value:9.0f} transfers/s")
    bulk, single = medians["bulk, yardstick"], medians["single, yardstick"]
    say(f"hot / spread           {medians['bulk, hot account'] / medians['bulk, spread']:9.2f}")
    say(f"bulk / yardstick       {medians['bulk, hot account'] / bulk:9.2f}")
    say(f"single / yardstick     {medians['single'] / single:9.2f}")


async def grown(bench: Posting, seconds: float) -> None:
    """p99 of single transfers, from 10 thousand on to as many as the time allows."""
    until, first, mark = time.perf_counter() + seconds, 0.0, 10_000
    while time.perf_counter() < until:
        if bench.posted < mark:
            await bench.ours(BULK, BULK, spread=True)
            continue
        taken = await bench.ours(2 * SINGLES, 1, spread=True)
        plain = await bench.control(2 * SINGLES, 1)
        share = statistics.median(taken) / statistics.median(plain)
        first = first or share
        say(
            f"{bench.posted:9} transfers: p50 {1000 * statistics.median(taken):6.1f} ms,"
            f" p99 {p99(taken):6.1f} ms, p50 / yardstick {share:5.1f},"
            f" against the first {share / first:4.2f}"
        )
        mark *= 2


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    os.environ.update(_SETTINGS)
    from reserve_ledger.app import service

    place = Place(running=False, say=say)
    async with AsyncExitStack() as stack:
        url = place.infrastructure().postgres_url
        stack.callback(place.close)
        database = await asyncio.to_thread(create_database, url, "reserve_ledger")
        stack.callback(database.drop)
        unit = await stack.enter_async_context(under_test(service, database))
        bare = await asyncpg.connect(database.admin_url)
        stack.push_async_callback(bare.close)
        await bare.execute("create schema bare; set search_path = bare;" + bare_ledger.TABLES)
        say(f"synchronous_commit {await bare.fetchval('show synchronous_commit')}")
        bench = Posting(unit, bare)
        await bench.funded()
        await bench.ours(BULK, BULK, spread=True)
        await bench.control(BULK, BULK)
        await measured(bench, asked.rounds)
        await grown(bench, 60 * asked.minutes)
        sound = await bare.fetchval(
            "select (select sum(amount_minor) from reserve_ledger.posting) = 0 and"
            " (select bool_and(covered) from reserve_ledger.reserve_statement) and"
            " (select count(*) from reserve_ledger.ledger_transaction) = $1",
            bench.posted + 1,
        )
        say(f"books: {'sound' if sound else 'WRONG'}, {bench.posted} transfers")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
