"""Looks at what is held, again and again, and says what it saw."""

import asyncio

import structlog

from chassis.runtime import Runtime
from messaging import Database
from messaging.faults import pause
from provider_orchestrator.commands.state_reserves import state_reserves
from provider_orchestrator.domain.chain import final_number
from provider_orchestrator.domain.reserves import ChainSource, Looked
from provider_orchestrator.providers.chain.client import ChainFault, RpcClient
from provider_orchestrator.providers.tempo.adapter import Moved, Tempo
from provider_orchestrator.settings import OrchestratorSettings
from provider_orchestrator.store import chain

log = structlog.get_logger()


async def observe_reserves(runtime: Runtime) -> None:
    """State what the master holds and what we issued, every `reserve_observe_s`."""
    settings: OrchestratorSettings = runtime.settings
    async with RpcClient(settings.tempo_rpc_url, timeout_s=settings.tempo_rpc_timeout_s) as client:
        tempo = Tempo(client, settings)
        failures = 0
        while True:
            try:
                await look_at_reserves(runtime.worker, tempo, settings)
            except (ChainFault, Moved) as error:
                failures += 1
                log.info("reserves.not_read", error=repr(error)[:200])
                await pause(failures)
                continue
            failures = 0
            await asyncio.sleep(settings.reserve_observe_s)


async def look_at_reserves(database: Database, tempo: Tempo, settings: OrchestratorSettings) -> int:
    """Look once, outside any transaction, and state it; how many sources were stated.

    The block is a final one that the sweep has passed, and by its hash on the branch that was
    swept: what a node shows of another branch belongs to other deposits. Raises `Moved`.
    """
    chain_id = settings.tempo_chain_id
    cursor = await chain.select_cursor(database, chain_id)
    if cursor is None:
        return 0
    final = final_number(cursor.block.number, settings.tempo_confirmations)
    known = await chain.newest_block(database, chain_id, final)
    if known is None:
        return 0
    block, held, supply = await tempo.reserves(known.number)
    token_of = {code: token for token, code in settings.tokens.items()}
    looked = [
        Looked(ChainSource.holding(chain_id, settings.master, token_of[code], code), minor, block)
        for code, minor in held.items()
    ]
    looked += [
        Looked(ChainSource.supply(chain_id, token_of[code], code), minor, block)
        for code, minor in supply.items()
    ]
    async with database.transaction() as tx:
        await chain.lock_watch(tx, [chain_id])
        standing = await chain.newest_block(tx, chain_id, block.number)
        if standing is None or standing.hash != block.hash:
            raise Moved
        return await state_reserves(tx, looked)
