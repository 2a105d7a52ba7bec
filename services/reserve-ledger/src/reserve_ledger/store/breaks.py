"""Breaks as they are worked: who has them, what was proposed, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from invoiceos_contracts import PLATFORM
from messaging import Tx
from reserve_ledger.domain.breaks import Adjustment, Worked

_WORKED = "id, state, assignee, resolution, reason, proposed_by, approved_by"


async def lock_breaks(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Worked]:
    """These breaks, locked in one order until the transaction ends."""
    rows = await tx.fetch(
        f"""
        select {_WORKED} from reconciliation_break
        where tenant_id = $1 and id = any($2::uuid[]) order by id for update
        """,
        PLATFORM,
        sorted(set(ids)),
    )
    return {row["id"]: Worked(**row) for row in rows}


async def update_breaks(tx: Tx, breaks: Sequence[Worked]) -> None:
    """Save where they stand."""
    await tx.execute(
        """
        update reconciliation_break b
        set state = n.state, assignee = n.assignee, resolution = n.resolution, reason = n.reason,
            proposed_by = n.proposed_by, approved_by = n.approved_by
        from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::text[])
            as n(id, state, assignee, resolution, reason, proposed_by, approved_by)
        where b.tenant_id = $1 and b.id = n.id
        """,
        PLATFORM,
        [one.id for one in breaks],
        [one.state for one in breaks],
        [one.assignee for one in breaks],
        [one.resolution for one in breaks],
        [one.reason for one in breaks],
        [one.proposed_by for one in breaks],
        [one.approved_by for one in breaks],
    )


async def insert_notes(tx: Tx, notes: Sequence[tuple[UUID, str, str]]) -> None:
    """Keep what people wrote: break, actor, text."""
    await tx.execute(
        """
        insert into reconciliation_note (tenant_id, break_id, id, actor, text, at)
        select $1, break_id, id, actor, text, $2
        from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[]) as n(break_id, id, actor, text)
        """,
        PLATFORM,
        tx.now,
        [break_id for break_id, _, _ in notes],
        [tx.new_id() for _ in notes],
        [actor for _, actor, _ in notes],
        [text for _, _, text in notes],
    )


@dataclass(frozen=True, slots=True)
class Approved:
    """An approved resolution that is to be carried out."""

    id: UUID
    ledger_key: str
    adjustment: Adjustment

    @property
    def tenant_id(self) -> UUID:
        """Whose books it is in: those of the payment, else the platform's own."""
        kind, _, rest = self.ledger_key.partition(":")
        return UUID(rest.partition("/")[0]) if kind in ("pay", "txn") else PLATFORM


async def lock_approved(tx: Tx, limit: int) -> list[Approved]:
    """Approved breaks that nobody else is carrying out."""
    rows = await tx.fetch(
        """
        select b.id, b.resolution, b.asset, b.account, b.amount_minor, b.ledger_key,
               i.account as booked_on, i.amount_minor as booked_minor
        from reconciliation_break b
        left join reconciliation_item i on i.tenant_id = b.tenant_id
            and i.reconciliation_id = b.reconciliation_id and i.side = 'ledger'
            and i.key = b.ledger_key
        where b.tenant_id = $1 and b.state = 'approved' order by b.id limit $2
        for update of b skip locked
        """,
        PLATFORM,
        limit,
    )
    return [
        Approved(
            row["id"],
            row["ledger_key"],
            Adjustment(
                resolution=row["resolution"],
                asset=row["asset"],
                account=row["account"],
                amount_minor=row["amount_minor"],
                booked_on=row["booked_on"],
                booked_minor=row["booked_minor"],
            ),
        )
        for row in rows
    ]


async def close_breaks(tx: Tx, closed: Sequence[tuple[UUID, str, UUID | None]]) -> None:
    """Close these: break, why, and the transaction that was posted for it."""
    await tx.execute(
        """
        update reconciliation_break b
        set state = 'closed', closed_at = $2, closed_because = n.because,
            transaction_id = n.transaction_id
        from unnest($3::uuid[], $4::text[], $5::uuid[]) as n(id, because, transaction_id)
        where b.tenant_id = $1 and b.id = n.id
        """,
        PLATFORM,
        tx.now,
        [break_id for break_id, _, _ in closed],
        [because for _, because, _ in closed],
        [transaction for _, _, transaction in closed],
    )


async def lock_for_sign_off(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Any]:
    """These reconciliations, locked until the transaction ends."""
    rows = await tx.fetch(
        """
        select id, source, asset, cut_off, step, proved, created_by, break_count,
               encode(content_hash, 'hex') as content_hash
        from reconciliation where tenant_id = $1 and id = any($2::uuid[]) order by id for update
        """,
        PLATFORM,
        sorted(set(ids)),
    )
    return {row["id"]: row for row in rows}


async def sign_off(tx: Tx, reconciliation_id: UUID, signed_by: str) -> None:
    """A second person agrees."""
    await tx.execute(
        """
        update reconciliation set step = 'done', signed_by = $3, signed_at = $4
        where tenant_id = $1 and id = $2
        """,
        PLATFORM,
        reconciliation_id,
        signed_by,
        tx.now,
    )
