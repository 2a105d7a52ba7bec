"""A wallet is ready: its address is watched from now on, for ever."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog

from invoiceos_contracts.wallet_v1 import WalletReady
from messaging import Received, Tx
from provider_orchestrator.commands.admit_transfers import Match, admit_transfers
from provider_orchestrator.domain.chain import final_number
from provider_orchestrator.domain.transfers import Finality, Watched, raw_of
from provider_orchestrator.domain.watching import Watching
from provider_orchestrator.store import chain, payments

log = structlog.get_logger()


async def watch_wallets(
    tx: Tx, events: Sequence[Received[WalletReady]], *, chains: Mapping[int, Watching]
) -> None:
    """Watch addresses; money that came before we knew them becomes payments now.

    Where deposits are looked for by address, nobody has looked for these: that is noted, and done.
    """
    asked = [(e, w) for e in events if (w := _watched(e.fact, chains)) is not None]
    if not asked:
        return
    chain_ids = sorted({watched.chain_id for _, watched in asked})
    await chain.lock_watch(tx, chain_ids)
    await payments.insert_watched(tx, [watched for _, watched in asked])
    owners = await payments.select_watched(tx, [(w.chain_id, w.address) for _, w in asked])
    _report_taken([watched for _, watched in asked], owners)
    causes = {event.fact.wallet_id: event.id for event, _ in asked}
    missed = [(w.chain_id, w.address, e.envelope.time) for e, w in asked if _by_address(w, chains)]
    if missed:
        await chain.insert_missed(tx, missed)
    for chain_id in chain_ids:
        mine = [w for w in owners if w.chain_id == chain_id and not _by_address(w, chains)]
        await _admit_waiting(tx, mine, causes, chains[chain_id].confirmations)


def _by_address(watched: Watched, chains: Mapping[int, Watching]) -> bool:
    return chains[watched.chain_id].by_address


async def _admit_waiting(
    tx: Tx, owners: Sequence[Watched], causes: Mapping[UUID, UUID], confirmations: int
) -> None:
    if not owners:
        return
    mine = {w.address: w for w in owners}
    waiting = await chain.take_unmatched(tx, owners)
    cursor = await chain.select_cursor(tx, owners[0].chain_id)
    if not waiting or cursor is None:
        return
    number = final_number(cursor.block.number, confirmations)
    matches = [Match(t, mine[t.address], causes.get(mine[t.address].wallet_id)) for t in waiting]
    await admit_transfers(tx, matches, Finality(confirmations, number, cursor.block.at))


def _report_taken(asked: Sequence[Watched], owners: Sequence[Watched]) -> None:
    """Two wallets at one address are a fault of whoever gave it out; the first keeps the money."""
    wallet_at = {(owner.chain_id, owner.address): owner.wallet_id for owner in owners}
    for watched in asked:
        if wallet_at.get((watched.chain_id, watched.address)) != watched.wallet_id:
            log.error("address.taken", wallet_id=str(watched.wallet_id))


def _watched(fact: WalletReady, chains: Mapping[int, Watching]) -> Watched | None:
    """None for other rails, and for an address that is none of a chain of this kind."""
    address = raw_of(fact.address, 20)
    watching = None if fact.chain_id is None else chains.get(fact.chain_id)
    if watching is None or fact.rail != watching.rail or address is None:
        return None
    return Watched(
        tenant_id=fact.tenant_id,
        wallet_id=fact.wallet_id,
        invoice_id=fact.invoice_id,
        chain_id=watching.chain_id,
        address=address,
        memo=raw_of(fact.memo or "", 32),
        accepted_assets=tuple(sorted(set(fact.accepted_assets))),
        due_minor=fact.due.amount_minor,
        due_asset=fact.due.asset,
        provider=watching.provider,
        rail=watching.rail,
        salt=raw_of(fact.salt or "", 32),
    )
