"""A wallet is ready: its address is watched from now on, for ever."""

from collections.abc import Sequence

import structlog

from invoiceos_contracts.wallet_v1 import WalletReady
from messaging import Received, Tx
from provider_orchestrator.commands.admit_transfers import Match, admit_transfers
from provider_orchestrator.domain.chain import final_number
from provider_orchestrator.domain.transfers import RAIL, Finality, Watched, raw_of
from provider_orchestrator.store import chain, payments

log = structlog.get_logger()


async def watch_wallets(
    tx: Tx, events: Sequence[Received[WalletReady]], *, confirmations: int
) -> None:
    """Watch addresses; money that came before we knew them becomes payments now."""
    asked = [(event, watched) for event in events if (watched := _watched(event.fact)) is not None]
    if not asked:
        return
    chain_ids = sorted({watched.chain_id for _, watched in asked})
    await chain.lock_watch(tx, chain_ids)
    await payments.insert_watched(tx, [watched for _, watched in asked])
    owners = await payments.select_watched(tx, [(w.chain_id, w.address) for _, w in asked])
    _report_taken([watched for _, watched in asked], owners)
    causes = {event.fact.wallet_id: event.id for event, _ in asked}
    for chain_id in chain_ids:
        mine = {w.address: w for w in owners if w.chain_id == chain_id}
        waiting = await chain.take_unmatched(tx, list(mine.values()))
        cursor = await chain.select_cursor(tx, chain_id)
        if not waiting or cursor is None:
            continue
        number = final_number(cursor.block.number, confirmations)
        matches = [
            Match(t, mine[t.address], causes.get(mine[t.address].wallet_id)) for t in waiting
        ]
        await admit_transfers(tx, matches, Finality(confirmations, number, cursor.block.at))


def _report_taken(asked: Sequence[Watched], owners: Sequence[Watched]) -> None:
    """Two wallets at one address are a fault of whoever gave it out; the first keeps the money."""
    wallet_at = {(owner.chain_id, owner.address): owner.wallet_id for owner in owners}
    for watched in asked:
        if wallet_at.get((watched.chain_id, watched.address)) != watched.wallet_id:
            log.error("address.taken", wallet_id=str(watched.wallet_id))


def _watched(fact: WalletReady) -> Watched | None:
    """None for other rails, and for an address that is none of a chain of this kind."""
    address = raw_of(fact.address, 20)
    if fact.rail != RAIL or fact.chain_id is None or address is None:
        return None
    return Watched(
        tenant_id=fact.tenant_id,
        wallet_id=fact.wallet_id,
        invoice_id=fact.invoice_id,
        chain_id=fact.chain_id,
        address=address,
        memo=raw_of(fact.memo or "", 32),
        accepted_assets=tuple(sorted(set(fact.accepted_assets))),
        due_minor=fact.due.amount_minor,
        due_asset=fact.due.asset,
    )
