"""The ledger says whether money that is to leave was set apart."""

from collections.abc import Sequence

from invoiceos_contracts.ledger_v1 import FundsReservationRefused, FundsReserved
from messaging import Received, Tx
from provider_orchestrator.commands.end_disbursements import lock_around, save_ended
from provider_orchestrator.domain.disbursements import canceled, reserved

PURPOSES = frozenset({"refund", "payout"})


async def follow_reservations(
    tx: Tx, events: Sequence[Received[FundsReserved | FundsReservationRefused]]
) -> None:
    """What has its money may go once it is agreed to; what has none is given up.

    An answer for something that ended, was answered before or is not ours changes nothing.
    """
    ours = [event for event in events if event.fact.purpose in PURPOSES]
    keys = [(event.fact.tenant_id, event.fact.reservation_id) for event in ours]
    batches, before = await lock_around(tx, keys)
    after = dict(before)
    for event, key in zip(ours, keys, strict=True):
        one = after.get(key)
        if one is None:
            continue
        if isinstance(event.fact, FundsReserved):
            after[key] = reserved(one, tx.now)
        elif one.reserved_at is None:
            after[key], facts = canceled(one, event.fact.cause, None)
            tx.stage((fact, event.id) for fact in facts)
    await save_ended(
        tx,
        [(before[key], one) for key, one in after.items() if one is not before[key]],
        batches,
    )
    tx.wake()
