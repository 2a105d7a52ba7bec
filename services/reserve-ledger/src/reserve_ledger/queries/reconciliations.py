"""Reconciliations and breaks, for the people who work on them."""

from typing import Any
from uuid import UUID

from pydantic import AwareDatetime

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.base import Shape
from messaging import Tx
from reserve_ledger.errors import BreakNotFound, ReconciliationNotFound

STEPS = ("staging", "matching", "classifying", "proving", "sign_off", "done")


class ReconciliationView(Shape):
    """A reconciliation of one source, and how far it is."""

    id: UUID
    source: str
    asset: str
    starts_at: AwareDatetime
    cut_off: AwareDatetime
    step: str
    """staging, matching, classifying, proving, sign_off, done."""
    steps_made: int
    steps: int
    external_count: int
    ledger_count: int
    matched_count: int
    break_count: int
    content_hash: str | None
    """SHA-256 over what was staged, hexadecimal."""
    proved: bool | None
    proof: dict[str, Any] | None
    """Opening, movements and closing of each side, and what is off."""
    created_by: str
    created_at: AwareDatetime
    signed_by: str | None
    signed_at: AwareDatetime | None


class Note(Shape):
    """What somebody did or wrote."""

    actor: str
    text: str
    at: AwareDatetime


class BreakView(Shape):
    """Something that does not agree, and what is done about it."""

    id: UUID
    reconciliation_id: UUID
    source: str
    asset: str
    kind: str
    """timing, amount, missing_in_ledger, missing_externally, duplicate, misdirected, status."""
    severity: str
    external_key: str
    ledger_key: str
    reference: str | None
    amount_minor: int
    """What the other side says more than the ledger."""
    age_s: int
    since: AwareDatetime
    why: str
    state: str
    assignee: str | None
    resolution: str | None
    reason: str | None
    proposed_by: str | None
    approved_by: str | None
    transaction_id: UUID | None
    closed_because: str | None
    notes: tuple[Note, ...] = ()


class FreezeView(Shape):
    """Whether issuing and payouts stand still."""

    frozen: bool
    sequence: int | None
    """The statement that showed the breach."""
    frozen_at: AwareDatetime | None
    lifted_at: AwareDatetime | None
    lifted_by: str | None
    reason: str | None


_RECONCILIATION = """id, source, asset, starts_at, cut_off, step, external_count, ledger_count,
    matched_count, break_count, encode(content_hash, 'hex') as content_hash, proved, proof,
    created_by, created_at, signed_by, signed_at"""
_BREAK = """b.id, b.reconciliation_id, b.source, b.asset, b.class as kind, b.severity,
    b.external_key, b.ledger_key, b.reference, b.amount_minor,
    extract(epoch from coalesce(b.closed_at, now()) - b.since)::bigint as age_s, b.since, b.why,
    b.state, b.assignee, b.resolution, b.reason, b.proposed_by, b.approved_by, b.transaction_id,
    b.closed_because"""


async def reconciliations(
    tx: Tx, *, ids: list[UUID] | None = None, before: UUID | None = None, limit: int
) -> list[ReconciliationView]:
    """The newest first; of these ids alone where given."""
    rows = await tx.fetch(
        f"""
        select {_RECONCILIATION} from reconciliation
        where tenant_id = $1 and ($2::uuid is null or id < $2)
          and ($3::uuid[] is null or id = any($3))
        order by id desc limit $4
        """,
        PLATFORM,
        before,
        ids,
        limit,
    )
    return [
        ReconciliationView(**row, steps_made=STEPS.index(row["step"]), steps=len(STEPS) - 1)
        for row in rows
    ]


async def reconciliation(tx: Tx, reconciliation_id: UUID) -> ReconciliationView:
    """One; raises `ReconciliationNotFound`."""
    found = await reconciliations(tx, ids=[reconciliation_id], limit=1)
    if not found:
        raise ReconciliationNotFound
    return found[0]


async def breaks(
    tx: Tx, *, state: str | None, kind: str | None, after: UUID | None, limit: int
) -> list[BreakView]:
    """The queue, the oldest first; those that are not closed where no state is named."""
    rows = await tx.fetch(
        f"""
        select {_BREAK} from reconciliation_break b
        where b.tenant_id = $1 and ($2::uuid is null or b.id > $2)
          and case when $3::text is null then b.state <> 'closed' else b.state = $3 end
          and ($4::text is null or b.class = $4)
        order by b.id limit $5
        """,
        PLATFORM,
        after,
        state,
        kind,
        limit,
    )
    return [BreakView(**row) for row in rows]


async def break_of(tx: Tx, break_id: UUID) -> BreakView:
    """One with its notes; raises `BreakNotFound`."""
    row = await tx.fetchrow(
        f"select {_BREAK} from reconciliation_break b where b.tenant_id = $1 and b.id = $2",
        PLATFORM,
        break_id,
    )
    if row is None:
        raise BreakNotFound
    notes = await tx.fetch(
        """
        select actor, text, at from reconciliation_note
        where tenant_id = $1 and break_id = $2 order by id
        """,
        PLATFORM,
        break_id,
    )
    return BreakView(**row, notes=tuple(Note(**note) for note in notes))


async def freeze(tx: Tx) -> FreezeView:
    """Whether anything stands still."""
    row = await tx.fetchrow(
        "select frozen, sequence, frozen_at, lifted_at, lifted_by, reason from reserve_freeze"
    )
    return FreezeView(**row)
