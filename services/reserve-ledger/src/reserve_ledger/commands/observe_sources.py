"""What a source holds was observed: a difference is stated at once, not with the next posting."""

from collections.abc import Sequence

from invoiceos_contracts.provider_v1 import ReserveSourceObserved
from messaging import Received, Tx
from reserve_ledger.commands.state_reserve import state_reserve
from reserve_ledger.domain import reserve, sources
from reserve_ledger.domain.sources import Source, opening_of
from reserve_ledger.store import sources as store


async def observe_sources(tx: Tx, events: Sequence[Received[ReserveSourceObserved]]) -> None:
    """Keep what was seen; state the reserve anew where that breaches it or restores it.

    The first look at a chain fixes what was there before us. Later looks that come out of order
    change nothing.
    """
    await store.lock_statements(tx)
    newest: dict[object, Source] = {}
    for event in events:
        seen = _source(event.fact)
        before = newest.setdefault(seen.source_id, seen)
        if (seen.block_number or 0, seen.as_of) > (before.block_number or 0, before.as_of):
            newest[seen.source_id] = seen
    await save_sources(tx, list(newest.values()))


async def save_sources(tx: Tx, seen: Sequence[Source]) -> None:
    """Save what was seen, under the lock of the statements; state what that changes."""
    await store.upsert_sources(tx, seen)
    view = await store.select_view(tx)
    totals = await store.select_totals(tx)
    now = sources.breaches(reserve.positions(totals), view.comparisons(totals))
    if now != view.breaches:
        await state_reserve(tx, {}, [])


def _source(fact: ReserveSourceObserved) -> Source:
    return Source(
        source_id=fact.source_id,
        source=fact.source,
        kind=fact.kind,
        asset=fact.asset,
        balance_minor=fact.balance_minor,
        opening_minor=opening_of(
            fact.kind, fact.balance_minor, fact.held_elsewhere_minor, fact.deposits_minor
        ),
        deposits_minor=fact.deposits_minor,
        held_elsewhere_minor=fact.held_elsewhere_minor,
        unannounced_minor=fact.unannounced_minor,
        block_number=fact.block_number,
        block_hash=fact.block_hash,
        as_of=fact.as_of,
    )
