"""A breach of the reserve can freeze issuing, until a person lifts it."""

from collections.abc import Sequence

from invoice.store.freeze import save_freeze
from invoiceos_contracts.ledger_v1 import ReserveBreached, ReserveFreezeLifted
from messaging import Received, Tx


async def follow_freeze(
    tx: Tx, events: Sequence[Received[ReserveBreached | ReserveFreezeLifted]]
) -> None:
    """The last word counts, in the order in which the ledger said them, in whatever they come.

    A breach without a freeze changes nothing: that is the ledger's policy, not ours.
    """
    said = [
        event
        for event in events
        if isinstance(event.fact, ReserveFreezeLifted) or event.fact.frozen
    ]
    if not said:
        return
    last = max(said, key=lambda event: event.envelope.aggregate_version)
    fact = last.fact
    breached = isinstance(fact, ReserveBreached)
    await save_freeze(
        tx,
        frozen=breached,
        version=last.envelope.aggregate_version,
        at=fact.breached_at if isinstance(fact, ReserveBreached) else fact.lifted_at,
    )
