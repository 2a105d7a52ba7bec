"""Post entries: the one way into the books, whatever the cause."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from messaging import Tx
from messaging.failpoints import failpoint
from reserve_ledger.commands.state_reserve import state_reserve
from reserve_ledger.domain.chain import AccountKey, Head, Ledger, Posted
from reserve_ledger.domain.entries import Entry
from reserve_ledger.domain.facts import facts_of
from reserve_ledger.store.balances import enter, open_ledgers


async def post_transactions(
    tx: Tx, heads: Mapping[UUID, Head], entries: Sequence[Entry]
) -> list[Posted]:
    """Append entries to their tenants' chains, in this order, and state the reserve once.

    `heads` are those the caller locked with `lock_heads` before it read what it decided on.
    A busy account is written once a batch, however many entries touch it.
    """
    if not entries:
        return []
    touched = {entry.tenant_id: heads[entry.tenant_id] for entry in entries}
    ledgers = await open_ledgers(
        tx, touched, ((e.tenant_id, leg) for e in entries for leg in e.legs)
    )
    before = totals_of(ledgers.values())
    posted = [ledgers[entry.tenant_id].post(entry) for entry in entries]
    await save_posted(tx, ledgers, before, posted)
    return posted


async def save_posted(
    tx: Tx,
    ledgers: Mapping[UUID, Ledger],
    before: Mapping[AccountKey, int],
    posted: Sequence[Posted],
) -> None:
    """Save what was posted to these ledgers since their totals were `before`, and state it."""
    if not posted:
        return
    touched = [ledgers[tenant] for tenant in sorted({p.entry.tenant_id for p in posted})]
    await enter(tx, posted, touched)
    failpoint("ledger.entered")
    tx.stage((fact, _cause(p.entry)) for p in posted for fact in facts_of(p))
    after = totals_of(ledgers.values())
    changes = {key: minor - before.get(key, 0) for key, minor in after.items()}
    await state_reserve(tx, changes, [ledger.head for ledger in touched])
    failpoint("ledger.stated")


def totals_of(ledgers: Iterable[Ledger]) -> dict[AccountKey, int]:
    """Net balance of each code and asset over all of these ledgers, in minor units."""
    totals: dict[AccountKey, int] = {}
    for ledger in ledgers:
        for key, balance in ledger.balances.items():
            totals[key] = totals.get(key, 0) + balance.net_minor
    return totals


def _cause(entry: Entry) -> UUID | None:
    """The event that led to it; none where somebody asked for it."""
    return None if entry.cause_event_id == entry.id else entry.cause_event_id
