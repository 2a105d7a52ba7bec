"""What partners are told: the outcome of each request, and the facts of their own tenant."""

from collections.abc import Sequence

from gateway.store import partners as store
from invoiceos_contracts import PLATFORM, Event
from invoiceos_contracts.partner_v1 import (
    InvoiceRequestAccepted,
    InvoiceRequestRefused,
    InvoiceRequestRejected,
)
from invoiceos_contracts.registry import OUTCOMES, PARTNER_EVENTS
from messaging import Received, Tx

Outcome = InvoiceRequestAccepted | InvoiceRequestRefused | InvoiceRequestRejected


async def tell_outcomes(tx: Tx, outcomes: Sequence[Received[Outcome]]) -> None:
    """Copy each request's first outcome, and no second one, to its partner's topic."""
    first = {item.fact.invoice_request_id: item for item in reversed(outcomes)}
    answers = [(item.tenant_id, request, *_answer(item.fact)) for request, item in first.items()]
    told = await store.answer_entries(tx, answers, tx.now)
    tx.forward(
        (OUTCOMES.topic(item.fact.partner), item)
        for item in outcomes
        if item.fact.invoice_request_id in told and first[item.fact.invoice_request_id] is item
    )


def _answer(fact: Outcome) -> tuple[str, str | None]:
    if isinstance(fact, InvoiceRequestAccepted):
        return "accepted", None
    return "refused" if isinstance(fact, InvoiceRequestRefused) else "rejected", fact.code


async def copy_facts(tx: Tx, facts: Sequence[Received[Event]]) -> None:
    """Copy each fact, as it stands, to the partners of its tenant that want its type."""
    kinds = {(f.tenant_id, f.fact.TYPE) for f in facts if f.tenant_id != PLATFORM}
    wanting = await store.wanting(tx, kinds)
    tx.forward(
        (PARTNER_EVENTS.topic(name), item)
        for item in facts
        for name in wanting.get((item.tenant_id, item.fact.TYPE), ())
    )
