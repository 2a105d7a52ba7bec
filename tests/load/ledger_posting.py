"""`make bench-ledger`: what tenants post, in bulk and singly, hot and spread, as the tables grow.

The yardstick's one statement runs in turns with it, in the same database, each commit synchronous:
quote the ratios, not the rates. `--grow-to 1000000` fills both books up by COPY between the marks.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import sys
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import uvloop
from tests.load.controls import bare_ledger
from tests.load.ledger import _SETTINGS, payment
from tests.load.ledger_history import copy_control, copy_history

from invoiceos_local.resolver import Choices, infrastructure
from invoiceos_local.state import data_folder
from testkit.databases import create_database
from testkit.service import ServiceUnderTest, record_of, under_test

BULK = 500
SINGLES = 150
CLIENTS = 32
EACH = 12
"""Transfers of each client of a round."""
ADDRESSES = 500
SHOP = "merchant:available"
FUNDS = 10**17
_ANALYSE = """
analyze reserve_ledger.ledger_transaction, reserve_ledger.posting, reserve_ledger.account,
    reserve_ledger.account_balance, reserve_ledger.ledger_head, reserve_ledger.stream_head,
    bare.bare_transfer, bare.bare_account
"""
"""As autovacuum does within a minute of the first postings, and a run does not last that long."""
_SOUND = """
select (select sum(amount_minor) from reserve_ledger.posting) = 0
   and (select bool_and(covered) from reserve_ledger.reserve_statement)
   and (select count(*) from reserve_ledger.ledger_transaction) = $1
   and (select sequence from reserve_ledger.ledger_head) = $1
   and not exists (
       select tenant_id, address::text, asset::text, debit_minor - credit_minor
       from reserve_ledger.account where code = '2100'
       except
       select tenant_id, coalesce(address, 'merchant:available'), asset, sum(amount_minor)
       from reserve_ledger.posting where account = '2100' group by 1, 2, 3)
"""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Lane:
    """The yardstick's way to coalesce: what waits is one statement, one after the other."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._queue: deque[tuple[tuple[Any, ...], asyncio.Future[None]]] = deque()
        self._wake = asyncio.Event()

    async def submit(self, row: tuple[Any, ...]) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((row, waiting))
        self._wake.set()
        await waiting

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), BULK))]
                await bare_ledger.post(self._connection, [row for row, _ in batch])
                for _, waiting in batch:
                    waiting.set_result(None)


class Posting:
    """One tenant that posts, and the yardstick beside it."""

    def __init__(self, unit: ServiceUnderTest, bare: asyncpg.Connection) -> None:
        from messaging import Writer

        self.unit, self.bare, self.tenant_id = unit, bare, uuid.uuid4()
        self.writer, self.lane = Writer(unit.api), Lane(bare)
        self.posted = 0
        self.bare_posted = 0

    async def funded(self) -> None:
        paid = payment(self.tenant_id, minor=FUNDS)
        await self.unit.receives(record_of(paid))

    def requests(self, count: int, *, spread: bool) -> list[Any]:
        from reserve_ledger.domain.tenant_postings import Line, PostingRequest

        found = []
        for number in range(count):
            name = f"{SHOP}:{number % ADDRESSES}" if spread else f"{SHOP}:one"
            lines = (Line(SHOP, "PATHUSD", 1), Line(name, "PATHUSD", -1))
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

    async def ours_at_once(self) -> float:
        """Transfers a second of clients that each wait for their answer, through the writer."""
        from messaging import Answer
        from reserve_ledger.commands.post_for_tenants import post_for_tenants

        requests = self.requests(CLIENTS * EACH, spread=False)

        async def submit(request: Any) -> None:
            await self.writer.submit(
                post_for_tenants,
                request,
                tenant_id=self.tenant_id,
                answer=lambda made: Answer(201, made.posted.hash.encode()),
            )

        self.posted += len(requests)
        return await _at_once(self.writer.run, submit, requests)

    async def control_at_once(self) -> float:
        rows = bare_ledger.transfers(CLIENTS * EACH, ADDRESSES)
        self.bare_posted += len(rows)
        return await _at_once(self.lane.run, self.lane.submit, rows)

    async def filled_to(self, count: int) -> None:
        """Both books, by COPY."""
        from reserve_ledger.store.balances import open_books

        touched = [(self.tenant_id, leg) for leg in _legs(self.requests(ADDRESSES, spread=True))]
        async with self.unit.api.transaction([self.tenant_id]) as tx:
            ledgers, _ = await open_books(tx, touched, ())
        names = [f"{SHOP}:{number}" for number in range(ADDRESSES)]
        await copy_history(self.bare, ledgers[self.tenant_id], names, count - self.posted)
        await copy_control(self.bare, ADDRESSES, count - self.bare_posted)
        self.posted, self.bare_posted = max(count, self.posted), max(count, self.bare_posted)
        await self.bare.execute(_ANALYSE)
        await self.bare.execute("checkpoint")


def _legs(requests: list[Any]) -> list[Any]:
    from reserve_ledger.domain.tenant_postings import legs_of

    return [leg for request in requests for leg in legs_of(request.lines)]


async def _at_once(
    run: Callable[[], Awaitable[None]], submit: Callable[[Any], Awaitable[None]], items: list[Any]
) -> float:
    async def client(number: int) -> None:
        for item in items[number::CLIENTS]:
            await submit(item)

    running = asyncio.ensure_future(run())
    began = time.perf_counter()
    await asyncio.gather(*[client(number) for number in range(CLIENTS)])
    taken = time.perf_counter() - began
    running.cancel()
    return len(items) / taken


def rate(count: int, taken: list[float]) -> float:
    return count / sum(taken)


def p99(taken: list[float]) -> float:
    return 1000 * statistics.quantiles(taken, n=100)[-1]


async def measured(bench: Posting, rounds: int) -> None:
    """Ours and the yardstick in turns; the ratios are medians over the rounds."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        cells = {
            "bulk, spread": rate(BULK, await bench.ours(BULK, BULK, spread=True)),
            "bulk, yardstick": rate(BULK, await bench.control(BULK, BULK)),
            "bulk, hot": rate(BULK, await bench.ours(BULK, BULK, spread=False)),
            "single, alone": rate(SINGLES, await bench.ours(SINGLES, 1, spread=False)),
            "single, alone, yardstick": rate(SINGLES, await bench.control(SINGLES, 1)),
            "single, 32 clients": await bench.ours_at_once(),
            "single, 32 clients, yardstick": await bench.control_at_once(),
        }
        for name, value in cells.items():
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        say(f"{name:30} {statistics.median(values):9.0f} transfers/s")
    for name, (ours, other) in {
        "hot / spread": ("bulk, hot", "bulk, spread"),
        "bulk, hot / yardstick": ("bulk, hot", "bulk, yardstick"),
        "bulk, spread / yardstick": ("bulk, spread", "bulk, yardstick"),
        "single, alone / yardstick": ("single, alone", "single, alone, yardstick"),
        "single, 32 clients / yardstick": ("single, 32 clients", "single, 32 clients, yardstick"),
    }.items():
        ratios = [a / b for a, b in zip(found[ours], found[other], strict=True)]
        say(f"{name:30} {statistics.median(ratios):9.2f}  ({min(ratios):.2f} - {max(ratios):.2f})")


async def grown(bench: Posting, goal: int, factor: int) -> None:
    """Single transfers, one after the other, at marks from 10 thousand on; both books grow."""
    first: tuple[float, float] | None = None
    mark = min(10_000, goal)
    while mark <= goal:
        await bench.filled_to(mark)
        await bench.ours(BULK, BULK, spread=True)
        ours, plain = [], []
        for _ in range(4):
            ours += await bench.ours(SINGLES, 1, spread=True)
            plain += await bench.control(SINGLES, 1)
        p50, share = statistics.median(ours), statistics.median(ours) / statistics.median(plain)
        tail = p99(ours) / p99(plain)
        first = first or (share, tail)
        say(
            f"{bench.posted:9} transfers: p50 {1000 * p50:6.1f} ms, p99 {p99(ours):6.1f} ms;"
            f" / yardstick {share:5.1f}, {tail:5.1f};"
            f" against the first {share / first[0]:4.2f}, {tail / first[1]:4.2f}"
        )
        mark = goal if mark < goal < mark * factor else mark * factor


async def run(asked: argparse.Namespace, url: str) -> int:
    from reserve_ledger.app import service

    async with AsyncExitStack() as stack:
        database = await asyncio.to_thread(create_database, url, "reserve_ledger")
        stack.callback(database.drop)
        unit = await stack.enter_async_context(under_test(service, database))
        bare = await asyncpg.connect(database.admin_url, command_timeout=3600)
        stack.push_async_callback(bare.close)
        await bare.execute("create schema bare; set search_path = bare;" + bare_ledger.TABLES)
        say(f"synchronous_commit {await bare.fetchval('show synchronous_commit')}")
        bench = Posting(unit, bare)
        await bench.funded()
        for spread in (True, False):
            await bench.ours(BULK, BULK, spread=spread)
            await bench.control(BULK, BULK)
        await bare.execute(_ANALYSE)
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)  # as a service does when it has started
        await measured(bench, asked.rounds)
        await grown(bench, asked.grow_to, asked.factor)
        sound = await bare.fetchval(_SOUND, bench.posted + 1)
        sound = sound and await _chained(unit, bench.tenant_id)
        sound = sound and await bare_ledger.books_agree(bare, bench.bare_posted)
        say(f"books: {'sound' if sound else 'WRONG'}, {bench.posted} transfers")
    return 0 if sound else 1


async def _chained(unit: ServiceUnderTest, tenant_id: uuid.UUID) -> bool:
    """Whether the last thousand hashes, the head and the balances kept are what the rows say."""
    from reserve_ledger.queries.verification import verify_chain

    async with unit.worker.transaction() as tx:
        head = await tx.fetchval("select sequence from ledger_head where tenant_id = $1", tenant_id)
        found = await verify_chain(tx, tenant_id, from_sequence=max(1, head - 999))
    return found.ok


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--grow-to", type=int, default=40_000, help="transfers in the book")
    parser.add_argument("--factor", type=int, default=4, help="between one mark and the next")
    asked = parser.parse_args()
    os.environ.update(_SETTINGS)
    folder = data_folder() / "bench-ledger"
    with (
        infrastructure(folder, {"postgres"}, choices=Choices(own=True)) as found,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(run(asked, found.postgres_url))


if __name__ == "__main__":
    sys.exit(main())
