"""Loops that talk to the chain: look outside a transaction, record inside one."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

import aiohttp
import structlog
from prometheus_client import Counter, Gauge

from chassis.runtime import Runtime
from messaging import Database
from messaging.faults import pause
from provider_orchestrator.commands.answer_balances import Observed, answer_balances
from provider_orchestrator.commands.record_sweep import record_missed, record_sweep
from provider_orchestrator.commands.reverse_orphans import reverse_orphans
from provider_orchestrator.domain.chain import (
    Block,
    Cursor,
    common_ancestor,
    contradicts,
    final_number,
)
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.catalogue import chains
from provider_orchestrator.providers.chain.client import (
    BadAnswer,
    ChainFault,
    RpcClient,
    Throttled,
    Unavailable,
)
from provider_orchestrator.providers.chain.profile import ChainProfile
from provider_orchestrator.providers.chain.reader import ChainReader, Glance, Moved
from provider_orchestrator.store import chain
from provider_orchestrator.store.providers import select_balance_requests
from provider_orchestrator.workers.health import HealthRecorder

log = structlog.get_logger()
HEAD = Gauge("invoiceos_chain_head_block", "Newest block the node has shown", ["chain"])
SWEPT = Gauge("invoiceos_chain_swept_block", "Block up to which everything is recorded", ["chain"])
TRANSFERS = Counter("invoiceos_chain_transfers_total", "Transfers found", ["chain"])
REORGS = Counter("invoiceos_chain_reorganisations_total", "Times blocks were dropped", ["chain"])
UNMATCHED = Gauge(
    "invoiceos_chain_unmatched_old_transfers", "Money at addresses that stay unknown", ["chain"]
)
BALANCES_AT_ONCE = 100
MISSED_AT_ONCE = 500
MISSED_MARGIN = timedelta(minutes=10)
"""How far a block's time may be ahead of our clock, and more."""
HINT_PAUSE_MAX_S = 10.0
REST_MAX_S = 60.0
"""Longest rest a node can ask for."""


class Step(Enum):
    """What one look at the chain came to."""

    IDLE = auto()
    SWEPT = auto()
    REWOUND = auto()
    LOST = auto()
    """Another replica was first, or the chain moved meanwhile."""


class ChainWatch:
    """Reads one chain from the stored cursor on; several replicas may do so at once."""

    def __init__(self, database: Database, reader: ChainReader) -> None:
        """Nothing is asked or written yet."""
        self._database = database
        self._reader = reader
        self._profile = reader.profile
        self._addresses: list[bytes] = []
        self._cursor: Cursor | None = None
        self._head_number = -1
        self._head_since = time.monotonic()

    @property
    def stalled_for_s(self) -> float:
        """Seconds since the head last moved."""
        return time.monotonic() - self._head_since

    async def step(self) -> Step:
        """Look once; raises a `ChainFault` when the node did not serve us."""
        if self._cursor is None:
            self._cursor = await chain.select_cursor(self._database, self._profile.chain_id)
        cursor = self._cursor
        glance = await self._reader.glance(None if cursor is None else cursor.block.number)
        self._note(glance)
        if cursor is None:
            await self._begin(glance.head)
            return Step.SWEPT
        if glance.at_cursor is None or glance.at_cursor.hash != cursor.block.hash:
            return await self._diverged(cursor, glance)
        if self._profile.rules.by_address:
            missed = await chain.select_missed(self._database, cursor.chain_id, MISSED_AT_ONCE)
            if missed:
                return await self._catch_up(cursor, glance, missed)
        if glance.head.number <= cursor.block.number:
            return Step.IDLE
        return await self._advance(cursor, glance)

    def _note(self, glance: Glance) -> None:
        HEAD.labels(self._profile.chain_id).set(glance.head.number)
        if glance.head.number != self._head_number:
            self._head_number, self._head_since = glance.head.number, time.monotonic()

    async def _begin(self, head: Block) -> None:
        """The first time: from the present head on, or from where the settings say."""
        first = self._profile.start_block
        number = head.number if first is None else max(0, min(first - 1, head.number))
        found = await self._reader.blocks([number, 0])
        if number not in found or 0 not in found:
            raise BadAnswer(f"the node has no block {number}, or none at 0")
        start, genesis = found[number], found[0]
        async with self._database.transaction() as tx:
            cursor = Cursor(self._profile.chain_id, start, start, genesis.hash)
            await chain.insert_cursor(tx, cursor)
        log.info("chain.begun", number=start.number)

    async def _advance(self, cursor: Cursor, glance: Glance) -> Step:
        by_address = self._profile.rules.by_address
        addresses = await self._known() if by_address else None
        try:
            swept = await self._reader.sweep(
                cursor, glance.head, addresses=addresses, finalized=glance.finalized
            )
        except Moved:
            return Step.LOST
        confirmations = self._profile.confirmations
        async with self._database.transaction() as tx:
            won = await record_sweep(tx, swept, confirmations=confirmations, by_address=by_address)
        if not won:
            self._cursor = None
            return Step.LOST
        self._cursor = Cursor(cursor.chain_id, swept.to, cursor.start, cursor.genesis_hash)
        SWEPT.labels(cursor.chain_id).set(swept.to.number)
        TRANSFERS.labels(cursor.chain_id).inc(len(swept.transfers))
        return Step.SWEPT

    async def _known(self) -> list[bytes] | None:
        """The addresses to look for; None where they are too many to be named to a node."""
        count = await chain.count_addresses(self._database, self._profile.chain_id)
        if count > self._profile.addresses_max:
            return None
        if count != len(self._addresses):
            self._addresses = await chain.select_addresses(self._database, self._profile.chain_id)
        return self._addresses

    async def _catch_up(
        self, cursor: Cursor, glance: Glance, missed: Sequence[tuple[bytes, datetime]]
    ) -> Step:
        """Look for what came to addresses before they were known here, up to the cursor."""
        addresses = sorted(address for address, _ in missed)
        try:
            swept = await self._reader.before(
                cursor, min(since for _, since in missed) - MISSED_MARGIN, addresses
            )
        except Moved:
            return Step.LOST
        swept = replace(swept, finalized=glance.finalized)
        async with self._database.transaction() as tx:
            won = await record_missed(
                tx, swept, addresses, confirmations=self._profile.confirmations
            )
        if not won:
            self._cursor = None
        return Step.SWEPT if won else Step.LOST

    async def _diverged(self, cursor: Cursor, glance: Glance) -> Step:
        """The chain no longer has the block we were at: go back, or wait for a node that lags."""
        ancestor = await self._ancestor(cursor, glance)
        if ancestor is None:
            return Step.IDLE
        async with self._database.transaction() as tx:
            won = await reverse_orphans(tx, cursor, ancestor)
        self._cursor = None
        if not won:
            return Step.LOST
        REORGS.labels(cursor.chain_id).inc()
        log.warning("chain.reorganised", was=cursor.block.number, back_to=ancestor.number)
        return Step.REWOUND

    async def _ancestor(self, cursor: Cursor, glance: Glance) -> Block | None:
        """The highest block we hold that the chain still has; None when the node only lags.

        A node whose whole chain, as far as it goes, is what we know is behind, not elsewhere.
        Money is taken back only for a chain that contradicts us and has the same genesis.
        """
        contradicted = glance.at_cursor is not None
        number = min(glance.head.number, cursor.block.number)
        while known := await chain.known_blocks(self._database, cursor.chain_id, number):
            numbers = sorted({block.number for block in known} | {0, cursor.block.number})
            there = await self._reader.blocks(numbers)
            if 0 not in there or there[0].hash != cursor.genesis_hash:
                raise BadAnswer("the node has another chain of the same id")
            at_cursor = there.get(cursor.block.number)
            if at_cursor is not None and at_cursor.hash == cursor.block.hash:
                return None
            contradicted = contradicted or at_cursor is not None or contradicts(known, there)
            ancestor = common_ancestor(known, there)
            if ancestor is not None:
                return ancestor if contradicted else None
            number = known[-1].number - 1
        return await self._oldest(cursor) if contradicted else None

    async def _oldest(self, cursor: Cursor) -> Block:
        """Nothing we remember is left: where we began, or the chain's own beginning."""
        there = await self._reader.blocks([cursor.start.number, 0])
        start = there.get(cursor.start.number)
        if start is not None and start.hash == cursor.start.hash:
            return start
        if 0 not in there or there[0].hash != cursor.genesis_hash:
            raise BadAnswer("the node has another chain of the same id")
        return there[0]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look came to, and how long the node wants to be left alone."""

    step: Step
    rest_s: float = 0


async def look(
    watch: ChainWatch, client: RpcClient, health: HealthRecorder, stall_s: float
) -> Looked:
    """One step, whatever the node does; how it went becomes an observation of its health."""
    looked = Looked(Step.IDLE)
    outcome, cause = Outcome.OK, "answered"
    try:
        looked = Looked(await watch.step())
    except Throttled as error:
        outcome, cause = Outcome.THROTTLED, str(error)
        looked = Looked(Step.IDLE, min(error.retry_after_s or 1.0, REST_MAX_S))
    except ChainFault as error:
        outcome, cause = Outcome.INFRA, str(error)
    if outcome is Outcome.OK and 0 < stall_s < watch.stalled_for_s:
        outcome, cause = Outcome.INFRA, "no new block"
    await health.saw(outcome, client.take_spent_us(), cause)
    return looked


async def watch_chains(runtime: Runtime) -> None:
    """Watch every chain of the settings, each by itself."""
    async with asyncio.TaskGroup() as group:
        for profile in chains(runtime.settings):
            group.create_task(watch_chain(runtime, profile))


async def watch_chain(runtime: Runtime, profile: ChainProfile) -> None:
    """Sweep a chain for ever: at every hint, and every `poll_s` without one."""
    hint = asyncio.Event()
    async with RpcClient(profile.rpc_url, timeout_s=profile.rpc_timeout_s) as client:
        watch = ChainWatch(runtime.worker, ChainReader(client, profile))
        health = HealthRecorder(runtime.worker, profile)
        async with asyncio.TaskGroup() as group:
            group.create_task(_listen(runtime, profile, hint))
            while True:
                hint.clear()
                looked = await look(watch, client, health, profile.stall_s)
                # A node that is asked to serve less is not woken by hints either.
                await asyncio.sleep(looked.rest_s)
                if looked.step is Step.IDLE and not looked.rest_s:
                    await _wait(hint, profile.poll_s)
                elif looked.step is Step.LOST:
                    await pause(0)


async def _wait(hint: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(hint.wait(), seconds * random.uniform(0.9, 1.1))  # noqa: S311


async def _listen(runtime: Runtime, profile: ChainProfile, hint: asyncio.Event) -> None:
    """Hear of blocks and deposits sooner. Only a hint: what is missed here the sweep finds."""
    failures = 0
    while profile.ws_url:
        try:
            async with runtime.http.ws_connect(profile.ws_url, heartbeat=20) as socket:
                await _subscribe(socket, profile)
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        failures = 0
                        hint.set()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.info("chain.hints_lost", error=repr(error)[:200])
        failures += 1
        await pause(failures, ceiling_s=HINT_PAUSE_MAX_S)


async def _subscribe(socket: aiohttp.ClientWebSocketResponse, profile: ChainProfile) -> None:
    """Blocks, and deposits where one filter is enough to hear of all of them."""
    wanted: list[list[object]] = [["newHeads"]]
    if not profile.rules.by_address:
        wanted += [["logs", one] for one in profile.rules.deposits(None)]
    for place, what in enumerate(wanted):
        await socket.send_json(
            {"jsonrpc": "2.0", "id": place, "method": "eth_subscribe", "params": what}
        )


async def observe_balances(runtime: Runtime) -> None:
    """Answer what wallets hold, on each chain, as long as anyone asks."""
    async with asyncio.TaskGroup() as group:
        for profile in chains(runtime.settings):
            group.create_task(_observe_balances(runtime, profile))


async def _observe_balances(runtime: Runtime, profile: ChainProfile) -> None:
    async with RpcClient(profile.rpc_url, timeout_s=profile.rpc_timeout_s) as client:
        reader = ChainReader(client, profile)
        failures = 0
        while True:
            try:
                answered = await answer_open_requests(runtime.worker, reader)
            except (ChainFault, Moved) as error:
                failures += 1
                log.info("balances.not_read", error=repr(error)[:200])
                await pause(failures)
                continue
            failures = 0
            if not answered:
                await asyncio.sleep(profile.poll_s)


async def answer_open_requests(database: Database, reader: ChainReader) -> int:
    """Answer the oldest open questions; how many were answered.

    The block is one the sweep has passed, so that every deposit up to it is stated.
    """
    profile = reader.profile
    chain_id = profile.chain_id
    requests = await select_balance_requests(database, chain_id, BALANCES_AT_ONCE)
    if not requests:
        return 0
    glance = await reader.glance(None)
    final = final_number(glance.head.number, profile.confirmations)
    number = max(0, final if glance.finalized is None else glance.finalized)
    await _until_swept(database, chain_id, number, profile.poll_s)
    addresses = [bytes.fromhex(request.address.removeprefix("0x")) for request in requests]
    block, held = await reader.balances(addresses, number)
    observed = [
        Observed(request, balances, block) for request, balances in zip(requests, held, strict=True)
    ]
    async with database.transaction() as tx:
        return await answer_balances(tx, observed)


async def _until_swept(database: Database, chain_id: int, number: int, poll_s: float) -> None:
    """Raises `Unavailable` when the sweep does not get there soon."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30):
            while True:
                cursor = await chain.select_cursor(database, chain_id)
                if cursor is not None and cursor.block.number >= number:
                    return
                await asyncio.sleep(poll_s)
    raise Unavailable(f"the sweep has not reached block {number}")


async def measure_unmatched(runtime: Runtime) -> None:
    """Tell Prometheus of money that waits too long for an owner."""
    while True:
        for profile in chains(runtime.settings):
            waiting = await chain.count_unmatched(
                runtime.worker, profile.chain_id, profile.unmatched_after_s
            )
            UNMATCHED.labels(profile.chain_id).set(waiting)
        await asyncio.sleep(10)
