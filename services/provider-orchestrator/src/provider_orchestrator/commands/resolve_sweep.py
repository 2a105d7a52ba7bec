"""A sweep has ended: what it moved is stated, and what it cost; the rest waits again."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from invoiceos_contracts import PLATFORM, Amount
from invoiceos_contracts.base import MAX_MINOR
from invoiceos_contracts.provider_v1 import DepositSwept, NetworkFeePaid
from messaging import Tx
from provider_orchestrator.domain.sweeps import Landed, State, Sweep, rest_until
from provider_orchestrator.domain.transfers import CREATE2
from provider_orchestrator.store import chain, sweeps


async def resolve_sweep(tx: Tx, sweep: Sweep, landed: Landed | None) -> bool:
    """Record the end; None: it can never happen. False when it is too early, or was recorded.

    It is too early while a payment that the sweep may have moved does not count yet: what a sweep
    moved is told with the payments it was made of.
    """
    if landed is not None and not await _is_recorded(tx, sweep, landed):
        return False
    state = State.VOID
    if landed is not None:
        state = State.DONE if landed.succeeded else State.REVERTED
    if not await sweeps.end_sweep(tx, sweep.id, state, landed, tx.now):
        return False
    emptied: Sequence[Any] = ()
    if landed is not None and landed.succeeded:
        emptied = await sweeps.mark_swept(tx, sweep, landed)
        await sweeps.take_unswept(tx, sweep, emptied)
    left = await sweeps.release_unswept(tx, sweep.id)
    resting: list[tuple[UUID, UUID, str, Any]] = [
        (r["tenant_id"], r["wallet_id"], r["asset"], rest_until(r["refusals"], tx.now))
        for r in left
    ]
    if resting:
        await sweeps.rest_unswept(tx, resting)
    if landed is not None:
        tx.stage(_swept(sweep, landed, row) for row in emptied)
        tx.stage([_fee(sweep, landed)])
    return True


async def _is_recorded(tx: Tx, sweep: Sweep, landed: Landed) -> bool:
    cursor = await chain.select_cursor(tx, sweep.chain_id)
    if cursor is None or cursor.block.number < landed.block_number:
        return False
    return await sweeps.count_not_final(tx, sweep.chain_id, landed.block_number) == 0


def _swept(sweep: Sweep, landed: Landed, row: Any) -> DepositSwept:
    return DepositSwept(
        tenant_id=row["tenant_id"],
        wallet_id=row["wallet_id"],
        invoice_id=row["invoice_id"],
        provider=CREATE2,
        rail=sweep.rail,
        chain_id=sweep.chain_id,
        address="0x" + row["address"].hex(),
        amount=Amount(amount_minor=min(int(row["units"]), MAX_MINOR), asset=sweep.asset),
        payments=tuple(row["payments"]),
        block_number=landed.block_number,
        transaction_hash="0x" + landed.transaction_hash.hex(),
        swept_at=landed.block_at,
    )


def _fee(sweep: Sweep, landed: Landed) -> NetworkFeePaid:
    return NetworkFeePaid(
        tenant_id=PLATFORM,
        fee_id=sweep.id,
        provider=CREATE2,
        rail=sweep.rail,
        chain_id=sweep.chain_id,
        transaction_hash="0x" + landed.transaction_hash.hex(),
        purpose="sweep",
        fee=None,
        wei=str(landed.fee_wei),
        paid_at=landed.block_at,
    )
