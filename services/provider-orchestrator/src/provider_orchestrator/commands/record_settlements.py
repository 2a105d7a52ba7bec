"""What providers say of the money they hold becomes facts, each once."""

from collections.abc import Sequence
from dataclasses import dataclass

from messaging import Tx, failpoint
from provider_orchestrator.domain.settling import Settlement, settle
from provider_orchestrator.store import settling as store
from provider_orchestrator.store.settling import Due


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a look at an attempt's money."""

    due: Due
    said: Settlement


async def record_settlements(tx: Tx, looked: Sequence[Looked]) -> None:
    """State what is new: fees, releases, disputes and their ends; and when to look again."""
    ordered = sorted(looked, key=lambda one: (one.due.tenant_id, one.due.attempt_id))
    known = await store.lock_books(tx, [(one.due.tenant_id, one.due.attempt_id) for one in ordered])
    for one in ordered:
        if one.due.attempt_id in known:
            settle(known[one.due.attempt_id], one.said, tx.now, tx.new_id)
    books = list(known.values())
    if books:
        await store.save_held(tx, [payment for one in books for payment in one.payments])
    if opened := [dispute for one in books for dispute in one.opened]:
        # As they were opened: what was decided meanwhile is written as their end.
        await store.insert_disputes(tx, opened)
    if closed := [dispute for one in books for dispute in one.closed]:
        await store.close_disputes(tx, closed)
    tx.stage(fact for one in books for fact in one.facts)
    await store.save_watches(
        tx, [(one.due, known.get(one.due.attempt_id), one.said.names) for one in ordered]
    )
    failpoint("settlement.recorded")
