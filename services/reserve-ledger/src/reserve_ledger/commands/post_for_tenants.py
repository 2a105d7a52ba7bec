"""Post what tenants ask for, and reverse it: many requests at once, each answered on its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Refusal, Tx
from messaging.failpoints import failpoint
from reserve_ledger.commands.post_transactions import save_posted, totals_of
from reserve_ledger.domain.catalogue import Leg
from reserve_ledger.domain.chain import Ledger, Posted
from reserve_ledger.domain.tenant_postings import (
    PostingRequest,
    Written,
    again,
    entry_of,
    legs_of,
    previewed,
    reversal_of,
    short_of,
)
from reserve_ledger.errors import TransactionNotFound, TransactionReversed
from reserve_ledger.store import posted as store
from reserve_ledger.store.balances import open_books


async def post_for_tenants(tx: Tx, requests: Sequence[PostingRequest]) -> list[Written | Refusal]:
    """Post each request on the balances the ones before it left, under the lock on the chain.

    A reference names one transaction: the same request again is answered as it was.
    """
    legs = [legs_of(request.lines) for request in requests]
    touched = [
        (request.tenant_id, leg)
        for request, found in zip(requests, legs, strict=True)
        if not isinstance(found, Refusal)
        for leg in found
    ]
    ledgers, known = await _opened(tx, touched, [(r.tenant_id, r.reference) for r in requests])
    before = totals_of(ledgers.values())
    answers: list[Written | Refusal] = []
    posted: list[Posted] = []
    for request, found in zip(requests, legs, strict=True):
        name = (request.tenant_id, request.reference)
        if isinstance(found, Refusal):
            answers.append(found)
        elif name in known:
            answers.append(again(request, found, known[name]))
        elif short := short_of(ledgers[request.tenant_id], found):
            answers.append(short)
        else:
            entry = entry_of(request, found, tx.new_id())
            ledger = ledgers[request.tenant_id]
            if request.dry_run:
                answers.append(Written(entry, previewed(ledger, found)))
                continue
            known[name] = ledger.post(entry)
            posted.append(known[name])
            answers.append(Written(entry, known[name].address_balances, known[name]))
    await save(tx, ledgers, before, posted)
    return answers


@dataclass(frozen=True, slots=True)
class ReversalRequest:
    """Who wants which transaction undone."""

    tenant_id: UUID
    transaction_id: UUID
    actor: str


async def reverse_transactions(
    tx: Tx, requests: Sequence[ReversalRequest]
) -> list[Written | Refusal]:
    """Undo each by a transaction of its own, linked to it; nothing is ever edited."""
    keys = [(request.tenant_id, request.transaction_id) for request in requests]
    found = await store.select_named(tx, keys)
    touched = [(tenant, leg) for (tenant, _), one in found.items() for leg in one.entry.legs]
    ledgers, _ = await _opened(tx, touched, ())
    undone = await store.select_reversals(tx, keys)
    before = totals_of(ledgers.values())
    answers: list[Written | Refusal] = []
    posted: list[Posted] = []
    for request, key in zip(requests, keys, strict=True):
        if key not in found:
            answers.append(TransactionNotFound())
            continue
        if key in undone:
            answers.append(TransactionReversed(reversed_by=str(undone[key])))
            continue
        entry = reversal_of(found[key], request.actor, tx.new_id())
        refused = entry if isinstance(entry, Refusal) else short_of(ledgers[key[0]], entry.legs)
        if isinstance(entry, Refusal) or refused is not None:
            answers.append(refused or TransactionNotFound())
            continue
        done = ledgers[request.tenant_id].post(entry)
        undone[key] = entry.id
        posted.append(done)
        answers.append(Written(entry, done.address_balances, done))
    await save(tx, ledgers, before, posted)
    return answers


async def _opened(
    tx: Tx, touched: Sequence[tuple[UUID, Leg]], references: Sequence[tuple[UUID, str]]
) -> tuple[dict[UUID, Ledger], dict[tuple[UUID, str], Posted]]:
    """The ledgers of what is touched, locked, and the transactions that have these references."""
    if not touched:
        return {}, {}
    ledgers, used = await open_books(tx, touched, references)
    if not used:
        return ledgers, {}
    found = await store.select_named(tx, [(tenant, one) for (tenant, _), one in used.items()])
    return ledgers, {name: found[name[0], one] for name, one in used.items()}


async def save(
    tx: Tx,
    ledgers: dict[UUID, Ledger],
    before: dict[tuple[str, str], int],
    posted: Sequence[Posted],
) -> None:
    """Save what was posted, and state the reserve."""
    if not posted:
        return
    failpoint("ledger.asked")
    await save_posted(tx, ledgers, before, posted)
