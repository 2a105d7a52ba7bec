"""Fetching what lies at deposit addresses: one transaction of the operator at a time.

Each step finds out what the last one left behind from what is stored and from the chain alone, so
it does not matter where a process died, or how many of them do this at once.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

import structlog

from chassis.runtime import Runtime
from messaging import Database, Tx
from messaging.failpoints import failpoint
from messaging.faults import pause
from provider_orchestrator.commands.begin_sweep import begin_sweep, replace_signed
from provider_orchestrator.commands.resolve_sweep import resolve_sweep
from provider_orchestrator.domain.sweeps import (
    Item,
    Signed,
    Sweep,
    Waiting,
    choose,
    dearer,
    rest_until,
)
from provider_orchestrator.providers.chain.client import ChainFault, RpcClient
from provider_orchestrator.providers.chain.keys import key_in
from provider_orchestrator.providers.chain.reader import ChainReader, Moved
from provider_orchestrator.providers.evm_create2.adapter import profile_of
from provider_orchestrator.providers.evm_create2.sweeping import (
    GWEI,
    Factory,
    Fees,
    Operator,
    flush_data,
)
from provider_orchestrator.settings import EvmChain, OrchestratorSettings
from provider_orchestrator.store import sweeps

log = structlog.get_logger()
LOOKED_AT = 500
"""Addresses whose balance is read for one choice."""


class Swept(Enum):
    """What one step came to."""

    IDLE = auto()
    """Nothing is worth a transaction now."""
    SENT = auto()
    WAITING = auto()
    """One is on its way."""
    RESOLVED = auto()
    LOST = auto()
    """Another replica was first."""


class Sweeper:
    """Sweeps one chain as one operator; several replicas may do so at once."""

    def __init__(
        self, database: Database, client: RpcClient, chain: EvmChain, operator: Operator
    ) -> None:
        """Nothing is asked or written yet."""
        self._database = database
        self._chain = chain
        self._operator = operator
        self._reader = ChainReader(client, profile_of(chain))
        self._factory = Factory(client, self._reader, chain)

    async def step(self) -> Swept:
        """Go on with what is in flight, else begin; raises a `ChainFault` or `Moved`."""
        sweep = await sweeps.select_in_flight(
            self._database, self._chain.chain_id, self._operator.address
        )
        if sweep is not None:
            return await self._pursue(sweep)
        items = await self._choice()
        return await self._begin(items) if items else Swept.IDLE

    async def _choice(self) -> list[Item]:
        now = datetime.now(UTC)
        waiting = await sweeps.select_waiting(self._database, self._chain.chain_id, now, LOOKED_AT)
        if not waiting:
            return []
        head = (await self._reader.glance(None)).head
        _, found = await self._reader.balances([one.address for one in waiting], head.number)
        held = {
            (one.wallet_id, one.asset): balances.get(one.asset, 0)
            for one, balances in zip(waiting, found, strict=True)
        }
        empty = [one for one in waiting if not held[one.wallet_id, one.asset]]
        if empty:
            await self._leave_alone(empty, now)
        wait = timedelta(seconds=self._chain.sweep_wait_s)
        return choose(waiting, held, dust=self._chain.dust_minor, wait=wait, now=now)

    async def _leave_alone(self, empty: Sequence[Waiting], now: datetime) -> None:
        """The treasury may have fetched it itself, or the node lags: look again later."""
        log.warning("deposit.empty", wallets=[str(one.wallet_id) for one in empty][:10])
        rows = [(o.tenant_id, o.wallet_id, o.asset, rest_until(4, now)) for o in empty]
        async with self._database.transaction() as tx:
            await sweeps.rest_unswept(tx, rows)

    async def _begin(self, items: Sequence[Item]) -> Swept:
        fees = await self._factory.fees()
        if fees is None:
            return Swept.IDLE
        asset = items[0].waiting.asset
        token = next(at for at, code in self._chain.tokens_by_address.items() if code == asset)
        salts = sorted(item.waiting.salt for item in items)
        gas = await self._factory.gas(self._operator, flush_data(salts, token))
        sweep = Sweep(
            id=Tx.new_id(),
            chain_id=self._chain.chain_id,
            rail=self._chain.rail,
            operator=self._operator.address,
            nonce=await self._factory.nonce(self._operator),
            asset=asset,
            token=token,
        )
        signed = self._factory.sign(self._operator, sweep, salts, (fees, gas), datetime.now(UTC))
        async with self._database.transaction() as tx:
            won = await begin_sweep(tx, sweep, signed, items)
        if not won:
            return Swept.LOST
        failpoint("sweep.signed")
        await self._send(sweep, signed)
        failpoint("sweep.sent")
        return Swept.SENT

    async def _pursue(self, sweep: Sweep) -> Swept:
        """Find out what became of it; send the same bytes again as long as they can still count."""
        signed = await sweeps.select_signed(self._database, sweep.id)
        standing = await self._factory.standing(sweep, signed)
        if standing.landed is not None or standing.nonce_used:
            failpoint("sweep.landed")
            async with self._database.transaction() as tx:
                ended = await resolve_sweep(tx, sweep, standing.landed)
            failpoint("sweep.resolved")
            return Swept.RESOLVED if ended else Swept.WAITING
        if not standing.in_block:
            await self._send(sweep, await self._newest(sweep, signed))
        return Swept.WAITING

    async def _newest(self, sweep: Sweep, signed: Sequence[Signed]) -> Signed:
        """The last that was signed; after a long wait one that offers more, stored before sent."""
        last, now = signed[-1], datetime.now(UTC)
        if now - last.signed_at < timedelta(seconds=self._chain.replace_after_s):
            return last
        market = await self._factory.fees()
        fees = Fees(dearer(last.max_fee_wei), dearer(last.tip_wei))
        if market is None or fees.max_fee_wei > self._chain.fee_gwei_max * GWEI:
            return last
        fees = Fees(max(fees.max_fee_wei, market.max_fee_wei), max(fees.tip_wei, market.tip_wei))
        salts = await sweeps.select_salts(self._database, sweep.id)
        terms = (fees, last.gas_limit)
        more = self._factory.sign(self._operator, sweep, salts, terms, now)
        async with self._database.transaction() as tx:
            await replace_signed(tx, sweep, more)
        failpoint("sweep.replaced")
        return more

    async def _send(self, sweep: Sweep, signed: Signed) -> None:
        """Whatever the node says, what became of it is asked of the chain."""
        try:
            await self._factory.send(signed)
        except ChainFault as error:
            log.info("sweep.not_taken", sweep=str(sweep.id), error=str(error)[:200])


async def sweep_deposits(runtime: Runtime) -> None:
    """Sweep every chain that an operator's key was given for."""
    settings: OrchestratorSettings = runtime.settings
    async with asyncio.TaskGroup() as group:
        # A worker that ends makes its process unready; one with nothing to do waits.
        group.create_task(asyncio.Event().wait())
        for chain in settings.evm_chains:
            if chain.operator_key_file is not None:
                operator = Operator.of(key_in(chain.operator_key_file))
                group.create_task(_sweep_chain(runtime.worker, chain, operator))


async def _sweep_chain(database: Database, chain: EvmChain, operator: Operator) -> None:
    failures = 0
    async with RpcClient(chain.rpc_url, timeout_s=chain.rpc_timeout_s) as client:
        sweeper = Sweeper(database, client, chain, operator)
        while True:
            try:
                step = await sweeper.step()
            except (ChainFault, Moved) as error:
                failures += 1
                log.info("sweep.not_served", chain=chain.chain_id, error=repr(error)[:200])
                await pause(failures, ceiling_s=60)
                continue
            failures = 0
            if step in {Swept.IDLE, Swept.WAITING, Swept.LOST}:
                await asyncio.sleep(chain.poll_s)
