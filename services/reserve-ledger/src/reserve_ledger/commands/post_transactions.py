"""Post entries: the one way into the books, whatever the cause."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from messaging import Tx
from reserve_ledger import store
from reserve_ledger.commands.state_reserve import state_reserve
from reserve_ledger.domain.books import Entry
from reserve_ledger.domain.chain import AccountKey, Balance, Head, Ledger, Posted
from reserve_ledger.domain.facts import facts_of


async def post_transactions(
    tx: Tx, heads: Mapping[UUID, Head], entries: Sequence[Entry]
) -> list[Posted]:
    """Append entries to their tenants' chains, in this order, and state the reserve once.

    `heads` are those the caller locked with `store.lock_heads` before it read what it decided on.
    A busy account is written once a batch, however many entries touch it.
    """
    if not entries:
        return []
    before = await store.select_balances(
        tx, ((e.tenant_id, (leg.account, leg.asset)) for e in entries for leg in e.legs)
    )
    ledgers = {entry.tenant_id: Ledger(heads[entry.tenant_id], {}) for entry in entries}
    for (tenant, account), balance in before.items():
        ledgers[tenant].balances[account] = balance
    posted = [ledgers[entry.tenant_id].post(entry) for entry in entries]
    after = {
        (tenant, account): balance
        for tenant, ledger in ledgers.items()
        for account, balance in ledger.balances.items()
    }
    touched = [ledgers[tenant].head for tenant in sorted(ledgers)]
    await store.insert_transactions(tx, posted)
    await store.upsert_balances(tx, after)
    await store.update_heads(tx, touched)
    tx.stage((fact, p.entry.cause_event_id) for p in posted for fact in facts_of(p))
    await state_reserve(tx, _changes(before, after), touched)
    return posted


def _changes(
    before: Mapping[tuple[UUID, AccountKey], Balance],
    after: Mapping[tuple[UUID, AccountKey], Balance],
) -> dict[AccountKey, int]:
    """By how much each account and asset changed over all tenants, minor units."""
    changes: dict[AccountKey, int] = {}
    for (tenant, account), balance in after.items():
        change = balance.net_minor - before.get((tenant, account), Balance()).net_minor
        changes[account] = changes.get(account, 0) + change
    return changes
