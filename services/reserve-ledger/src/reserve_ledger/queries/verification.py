"""Whether the books are still what they were: the chain recomputed from its rows."""

from typing import Final
from uuid import UUID

from chassis.evidence import GENESIS
from invoiceos_contracts.base import Shape
from messaging import Tx
from reserve_ledger.domain.chain import AccountKey, Fault, Walk
from reserve_ledger.queries.accounts import balances_at
from reserve_ledger.queries.transactions import stretch

STEP: Final = 250
"""Transactions recomputed at a time; others get their turn in between."""


class Verification(Shape):
    """What came of recomputing a stretch of the chain from its rows."""

    ok: bool
    from_sequence: int
    to_sequence: int
    """The last transaction that was found whole."""
    head_sequence: int
    first_bad_sequence: int | None
    reason: str | None
    """missing, not_chained, altered, unbalanced, balance_altered or head_altered."""
    next_from_sequence: int | None
    """Where to go on; null at the end of the chain."""


async def verify_chain(
    tx: Tx, tenant_id: UUID, *, from_sequence: int = 1, limit: int = 1000
) -> Verification:
    """Recompute up to `limit` transactions from the rows; the first fault ends it."""
    head_sequence, head_hash = await _head(tx, tenant_id)
    first = min(from_sequence, head_sequence + 1)
    last = min(head_sequence, first + limit - 1)
    walk = await _walk_from(tx, tenant_id, first - 1)
    fault = await _follow(tx, tenant_id, walk, last)
    at_end = last == head_sequence
    if fault is None and at_end:
        fault = await _wrong_at_head(tx, tenant_id, walk, head_hash)
    return Verification(
        ok=fault is None,
        from_sequence=first,
        to_sequence=walk.sequence,
        head_sequence=head_sequence,
        first_bad_sequence=fault.sequence if fault else None,
        reason=fault.reason if fault else None,
        next_from_sequence=None if fault or at_end else last + 1,
    )


async def _head(tx: Tx, tenant_id: UUID) -> tuple[int, str | None]:
    """Last sequence, and the hash it should have; None where the kept head is of another one.

    Read in one statement, so that what is posted meanwhile shows in all of it or in nothing.
    """
    row = await tx.fetchrow(
        """
        select coalesce((select max(sequence) from ledger_transaction where tenant_id = $1), 0)
                   as last,
               coalesce((select sequence from ledger_head where tenant_id = $1), 0) as head,
               (select encode(hash, 'hex') from ledger_head where tenant_id = $1) as hash
        """,
        tenant_id,
    )
    agree = row["last"] == row["head"]
    return max(row["last"], row["head"]), (row["hash"] or GENESIS) if agree else None


async def _walk_from(tx: Tx, tenant_id: UUID, sequence: int) -> Walk:
    """A walk that starts behind a transaction, whose stored hash and balances it trusts."""
    if sequence == 0:
        return Walk()
    trusted = await stretch(tx, tenant_id, sequence - 1, sequence)
    before = await balances_at(tx, tenant_id, sequence, None)
    return Walk(sequence, trusted[0].hash if trusted else GENESIS, before)


async def _follow(tx: Tx, tenant_id: UUID, walk: Walk, last: int) -> Fault | None:
    while walk.sequence < last:
        rows = await stretch(tx, tenant_id, walk.sequence, min(last, walk.sequence + STEP))
        if not rows:
            return Fault(walk.sequence + 1, "missing")
        fault = walk.follow(rows)
        if fault is not None:
            return fault
    return None


async def _wrong_at_head(
    tx: Tx, tenant_id: UUID, walk: Walk, head_hash: str | None
) -> Fault | None:
    """Whether the kept head and the kept balances are those the chain ends with.

    Balances are judged only while the head is still where the walk ended.
    """
    if walk.hash != head_hash:
        return Fault(walk.sequence, "head_altered")
    rows = await tx.fetch(
        """
        select b.is_code, b.place, b.asset, b.net_minor
        from ledger_head h left join (
            select tenant_id, true as is_code, account as place, asset,
                   debit_minor - credit_minor as net_minor
            from account_balance where tenant_id = $1
            union all
            select tenant_id, false, address, asset, debit_minor - credit_minor
            from account where tenant_id = $1) b using (tenant_id)
        where h.tenant_id = $1 and h.sequence = $2
        """,
        tenant_id,
        walk.sequence,
    )
    kept: dict[bool, dict[AccountKey, int]] = {True: {}, False: {}}
    for row in rows:
        if row["net_minor"]:
            kept[row["is_code"]][row["place"], row["asset"]] = row["net_minor"]
    if rows and (kept[True] != walk.balances or walk.differs_from(kept[False])):
        return Fault(walk.sequence, "balance_altered")
    return None
