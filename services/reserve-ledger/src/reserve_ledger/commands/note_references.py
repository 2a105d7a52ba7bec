"""How providers name our payments: what reconciliation matches by."""

from collections.abc import Sequence

from invoiceos_contracts import Event
from invoiceos_contracts.payment_v1 import PaymentConflicted, PaymentSucceeded
from messaging import Received, Tx
from reserve_ledger.store.statements import Named, insert_references


async def note_references(tx: Tx, events: Sequence[Received[Event]]) -> None:
    """Keep the name of each payment that came."""
    named = [
        Named(fact.tenant_id, fact.payment_id, fact.provider, fact.provider_reference)
        for fact in (event.fact for event in events)
        if isinstance(fact, PaymentSucceeded | PaymentConflicted)
    ]
    if named:
        await insert_references(tx, named)
