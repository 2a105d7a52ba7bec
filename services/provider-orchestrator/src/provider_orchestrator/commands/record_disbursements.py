"""What providers said of refunds and payouts."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Tx
from provider_orchestrator.commands.end_disbursements import lock_around, save_ended
from provider_orchestrator.domain.adapters import Answer
from provider_orchestrator.domain.disbursements import answered


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a call."""

    tenant_id: UUID
    id: UUID
    answer: Answer
    first: bool
    """Nothing of the order can have been accepted before this call."""


async def record_disbursements(tx: Tx, heard: Sequence[Heard]) -> None:
    """Move each on by its answer; whatever is heard after the end changes nothing."""
    keys = [(one.tenant_id, one.id) for one in heard]
    batches, before = await lock_around(tx, keys)
    after = dict(before)
    for one, key in zip(heard, keys, strict=True):
        after[key], facts = answered(after[key], one.answer, first=one.first, now=tx.now)
        tx.stage(facts)
    await save_ended(
        tx,
        [(before[key], one) for key, one in after.items() if one is not before[key]],
        batches,
    )
