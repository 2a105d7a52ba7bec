"""Money meets the address it came to: a payment begins, or begins again."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from invoiceos_contracts import Event
from messaging import Tx
from provider_orchestrator.domain.transfers import Finality, Payment, Transfer, Watched, appear
from provider_orchestrator.store import payments as store
from provider_orchestrator.store.sweeps import note_unswept


@dataclass(frozen=True, slots=True)
class Match:
    """A transfer, whose address it came to, and the event that brought them together."""

    transfer: Transfer
    watched: Watched
    cause: UUID | None = None


async def admit_transfers(tx: Tx, matches: Sequence[Match], finality: Finality) -> None:
    """State what became of each transfer, in the order of the chain.

    The caller holds the chain's lock. A transfer whose payment stands changes nothing.
    """
    if not matches:
        return
    keys = [(match.watched.tenant_id, match.transfer.payment_id) for match in matches]
    now: dict[UUID, Payment] = await store.lock_payments(tx, keys)
    touched: dict[UUID, Payment] = {}
    facts: list[tuple[Event, UUID | None]] = []
    for match in matches:
        known = now.get(match.transfer.payment_id)
        payment, said = appear(match.transfer, match.watched, known, finality)
        if payment is not known:
            now[payment.id] = touched[payment.id] = payment
        facts += [(fact, match.cause) for fact in said]
    if touched:
        await store.save_payments(tx, list(touched.values()))
        await note_unswept(tx, list(touched.values()))
    tx.stage(facts)
