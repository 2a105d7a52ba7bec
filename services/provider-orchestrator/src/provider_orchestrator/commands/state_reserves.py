"""What is held at a final block, and what moved since the last time, is stated."""

from collections.abc import Iterator, Sequence

from invoiceos_contracts import Event
from messaging import Tx
from provider_orchestrator.domain.chain import last_block_within
from provider_orchestrator.domain.reserves import (
    Deposits,
    Listing,
    Looked,
    SourceKind,
    observed,
    pages,
    statement_of,
)
from provider_orchestrator.store import reserves as store

LINES_MAX = 5000
"""Movements listed in one transaction, unless a single block holds more."""


async def state_reserves(tx: Tx, looked: Sequence[Looked]) -> int:
    """State each source that was not looked at in this block before; how many there were.

    The block is one the sweep has passed and stands on: every deposit up to it is recorded, and no
    other, so what the chain shows and what is known of it belong to one moment. The caller keeps
    sweeps out meanwhile.
    """
    stated = 0
    for one in sorted(looked, key=lambda each: each.at.source.id):
        holds = one.at.source.kind is SourceKind.CHAIN
        deposits = await store.deposits_up_to(tx, one) if holds else None
        if not await store.insert_observation(tx, one, deposits):
            continue
        await store.trim_observations(tx, one, store.DEEP)
        tx.stage([observed(one, deposits)])
        if deposits is not None:
            tx.stage(await _listed(tx, one, deposits))
        stated += 1
    return stated


async def _listed(tx: Tx, looked: Looked, deposits: Deposits) -> Iterator[Event]:
    """The movements since the last listing, as pages of a statement."""
    known = await store.select_listing(tx, looked.at.source.id)
    closing = looked.balance_minor + deposits.held_elsewhere
    if known is None:
        await store.upsert_listing(tx, looked.at, looked.block, closing)
        return iter(())
    since, opening = known
    if since.number >= looked.block.number:
        return iter(())
    found = await store.select_movements(
        tx, looked.at, (since.number, looked.block.number), LINES_MAX
    )
    cut = last_block_within([block.number for block, _ in found], LINES_MAX)
    kept = [each for each in found if cut is None or each[0].number <= cut]
    whole = cut is None
    listing = Listing(
        looked=looked,
        since=since,
        opening_minor=opening,
        closing_minor=closing if whole else None,
        until=looked.block if whole else kept[-1][0],
        lines=[line for _, line in kept],
    )
    await store.upsert_listing(tx, looked.at, listing.until, listing.closing_minor)
    moved = bool(listing.lines) or listing.closing_minor != opening
    return iter(pages(statement_of(listing))) if moved else iter(())
