"""Breaks are worked as a queue: assigned, talked about, a resolution proposed, and approved."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Refusal, Tx
from messaging.failpoints import failpoint
from reserve_ledger.commands.post_transactions import post_transactions
from reserve_ledger.domain.breaks import ADJUSTED, Action, Worked, legs_of, worked
from reserve_ledger.domain.entries import Entry
from reserve_ledger.errors import BreakNotFound
from reserve_ledger.store import breaks as store
from reserve_ledger.store import chain as books
from reserve_ledger.store.breaks import Approved

AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Step:
    """What somebody wants to do with a break."""

    tenant_id: UUID
    break_id: UUID
    action: Action
    actor: str
    text: str
    resolution: str | None = None


async def work_breaks(tx: Tx, steps: Sequence[Step]) -> list[Worked | Refusal]:
    """Take the steps in their order; what people write is kept beside the break."""
    found = await store.lock_breaks(tx, [step.break_id for step in steps])
    answers: list[Worked | Refusal] = []
    notes: list[tuple[UUID, str, str]] = []
    changed: dict[UUID, Worked] = {}
    for step in steps:
        before = found.get(step.break_id)
        if before is None:
            answers.append(BreakNotFound())
            continue
        after = worked(before, step.action, step.actor, text=step.text, resolution=step.resolution)
        answers.append(after)
        if isinstance(after, Worked):
            found[after.id] = changed[after.id] = after
            notes.append((after.id, step.actor, f"{step.action}: {step.text}"))
    if changed:
        await store.update_breaks(tx, list(changed.values()))
        await store.insert_notes(tx, notes)
        tx.wake()
    return answers


async def post_adjustments(tx: Tx) -> int:
    """Carry out what was approved, by posting and in no other way; how many there were.

    The break names the transaction, and as its cause lets it be posted once only.
    """
    approved = await store.lock_approved(tx, AT_ONCE)
    if not approved:
        return 0
    heads = await books.lock_heads(tx, (one.tenant_id for one in approved))
    entries = {one.id: _entry(tx, one) for one in approved if legs_of(one.adjustment)}
    failpoint("adjustment.posting")
    await post_transactions(tx, heads, list(entries.values()))
    closed = []
    for one in approved:
        entry = entries.get(one.id)
        because, posted = ("adjusted", entry.id) if entry else ("accepted", None)
        closed.append((one.id, because, posted))
    await store.close_breaks(tx, closed)
    return len(approved)


def _entry(tx: Tx, one: Approved) -> Entry:
    return Entry(
        tenant_id=one.tenant_id,
        id=tx.new_id(),
        template=ADJUSTED,
        cause_event_id=one.id,
        legs=legs_of(one.adjustment),
    )
