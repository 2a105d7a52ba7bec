"""How payers can pay is known here, so that the page of an invoice offers what really works."""

from collections.abc import Sequence

from invoice.store.methods import Circuit, Declared, save_circuits, save_methods
from invoiceos_contracts.base import HealthState
from invoiceos_contracts.provider_v1 import ProviderHealthChanged, ProviderMethodsDeclared
from messaging import Received, Tx


async def follow_methods(tx: Tx, events: Sequence[Received[ProviderMethodsDeclared]]) -> None:
    """Take over what each provider takes; the last word of each counts."""
    last = {
        (event.fact.provider, event.fact.rail): Declared(
            provider=event.fact.provider,
            rail=event.fact.rail,
            methods=event.fact.methods,
            assets=event.fact.assets,
            amount_max_minor=event.fact.amount_max_minor,
            pages=event.fact.pages,
            version=event.envelope.aggregate_version,
        )
        for event in sorted(events, key=lambda event: event.envelope.aggregate_version)
    }
    await save_methods(tx, list(last.values()))


async def follow_circuits(tx: Tx, events: Sequence[Received[ProviderHealthChanged]]) -> None:
    """Take over whose circuit is open; the last word of each rail and currency counts."""
    last = {
        (event.fact.provider, event.fact.rail, event.fact.currency): Circuit(
            provider=event.fact.provider,
            rail=event.fact.rail,
            currency=event.fact.currency or "*",
            open=event.fact.new == HealthState.OPEN,
            version=event.envelope.aggregate_version,
        )
        for event in sorted(events, key=lambda event: event.envelope.aggregate_version)
    }
    await save_circuits(tx, list(last.values()))
