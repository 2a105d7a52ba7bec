"""A second person signs a proved reconciliation off; the world hears of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.ledger_v1 import ReserveFreezeLifted, ReserveReconciled
from messaging import Refusal, Tx
from reserve_ledger.domain.reserve import SERIES
from reserve_ledger.errors import (
    MakerCannotApprove,
    NotFrozen,
    ReconciliationNotFound,
    ReconciliationNotProved,
    ReconciliationNotReady,
)
from reserve_ledger.store import breaks as store
from reserve_ledger.store import sources


@dataclass(frozen=True, slots=True)
class SignOff:
    """Who signs what."""

    tenant_id: UUID
    reconciliation_id: UUID
    actor: str


async def sign_off(tx: Tx, requests: Sequence[SignOff]) -> list[UUID | Refusal]:
    """Each that is ready, proved, and made by somebody else."""
    found = await store.lock_for_sign_off(tx, [r.reconciliation_id for r in requests])
    answers: list[UUID | Refusal] = []
    for request in requests:
        row = found.get(request.reconciliation_id)
        refusal = _refusal(row, request)
        if refusal is not None:
            answers.append(refusal)
            continue
        del found[request.reconciliation_id]
        await store.sign_off(tx, request.reconciliation_id, request.actor)
        tx.stage([_reconciled(row, request)])
        answers.append(request.reconciliation_id)
    return answers


def _refusal(row: Any, request: SignOff) -> Refusal | None:
    if row is None:
        return ReconciliationNotFound()
    if row["step"] != "sign_off":
        return ReconciliationNotReady()
    if row["created_by"] == request.actor:
        return MakerCannotApprove()
    return None if row["proved"] else ReconciliationNotProved()


def _reconciled(row: Any, request: SignOff) -> ReserveReconciled:
    return ReserveReconciled(
        tenant_id=PLATFORM,
        reconciliation_id=row["id"],
        source=row["source"],
        asset=row["asset"],
        cut_off=row["cut_off"],
        breaks_open=row["break_count"],
        content_hash=row["content_hash"],
        created_by=row["created_by"],
        signed_by=request.actor,
    )


@dataclass(frozen=True, slots=True)
class Lift:
    """Who lifts the freeze, and why."""

    tenant_id: UUID
    actor: str
    reason: str


async def lift_freeze(tx: Tx, requests: Sequence[Lift]) -> list[Lift | Refusal]:
    """Let issuing and payouts go on."""
    answers: list[Lift | Refusal] = []
    for request in requests:
        sequence = await sources.lift_freeze(tx, request.actor, request.reason)
        if sequence is None:
            answers.append(NotFrozen())
            continue
        fact = ReserveFreezeLifted(
            tenant_id=PLATFORM,
            statement_series_id=SERIES,
            sequence=sequence,
            reason=request.reason,
            lifted_by=request.actor,
            lifted_at=tx.now,
        )
        tx.stage([fact])
        answers.append(request)
    return answers
