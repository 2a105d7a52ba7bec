"""Holds as they are shown."""

from uuid import UUID

from pydantic import AwareDatetime

from invoiceos_contracts.base import AssetCode, Shape
from invoiceos_contracts.ids import HoldId, TransactionId
from messaging import Tx
from reserve_ledger.domain.tenant_postings import Hold, HoldState
from reserve_ledger.errors import HoldNotFound
from reserve_ledger.store.holds import HOLD_COLUMNS, hold_of


class HoldView(Shape):
    """Money that is promised."""

    id: HoldId
    reference: str
    address: str
    asset: AssetCode
    amount_minor: int
    captured_minor: int
    state: HoldState
    expires_at: AwareDatetime | None
    transaction_id: TransactionId | None
    """What captured it."""
    actor: str
    created_at: AwareDatetime
    ended_at: AwareDatetime | None


async def hold(tx: Tx, tenant_id: UUID, hold_id: UUID) -> HoldView:
    """One hold; raises `HoldNotFound`."""
    row = await tx.fetchrow(
        f"select {HOLD_COLUMNS} from hold h where h.tenant_id = $1 and h.id = $2",
        tenant_id,
        hold_id,
    )
    if row is None:
        raise HoldNotFound
    return view_of(hold_of(row))


async def holds(
    tx: Tx, tenant_id: UUID, *, state: str | None, before: UUID | None, limit: int
) -> list[HoldView]:
    """Newest first."""
    rows = await tx.fetch(
        f"""
        select {HOLD_COLUMNS} from hold h
        where h.tenant_id = $1 and ($2::text is null or h.state = $2)
          and ($3::uuid is null or h.id < $3)
        order by h.id desc limit $4
        """,
        tenant_id,
        state,
        before,
        limit,
    )
    return [view_of(hold_of(row)) for row in rows]


def view_of(found: Hold) -> HoldView:
    """A hold as it is shown."""
    return HoldView(
        id=found.id,
        reference=found.reference,
        address=found.address,
        asset=found.asset,
        amount_minor=found.amount_minor,
        captured_minor=found.captured_minor,
        state=found.state,
        expires_at=found.expires_at,
        transaction_id=found.transaction_id,
        actor=found.actor,
        created_at=found.created_at,
        ended_at=found.ended_at,
    )
