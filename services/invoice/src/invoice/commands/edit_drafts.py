"""Change drafts; one whose issue failed becomes a draft again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from invoice import store
from invoice.commands.deciding import decide_each
from invoice.domain import documents
from invoice.domain.states import Decision, Invoice, Line
from invoice.domain.totals import work_out
from invoice.errors import CustomerNotFound, Unacceptable
from invoice.store import parties as party_store
from messaging import Refusal, Tx
from money import MoneyError

Changes = tuple[Mapping[str, Any], tuple[Line, ...] | None]
"""Terms to change, by their names in `Terms`, and the lines where they are replaced."""


@dataclass(frozen=True, slots=True)
class EditDraft:
    """What to change; amounts are read in the draft's own asset, so it is a function of that."""

    tenant_id: UUID
    invoice_id: UUID
    changes: Callable[[str], Changes]
    customer_id: UUID | None = None
    """The customer it names anew, who must exist."""
    expected_version: int | None = None


async def edit_drafts(tx: Tx, requests: Sequence[EditDraft]) -> Sequence[Invoice | Refusal]:
    """Work each draft out anew and store it; `InvoiceUpdated`."""
    named = [(request.tenant_id, request.customer_id) for request in requests]
    keys = [(tenant, customer) for tenant, customer in named if customer is not None]
    known = await party_store.known_customers(tx, keys) if keys else set()

    def decide(invoice: Invoice, request: EditDraft) -> Decision:
        documents.require_draft(invoice)
        customer = request.customer_id
        if customer is not None and (request.tenant_id, customer) not in known:
            raise CustomerNotFound
        try:
            changes, lines = request.changes(invoice.terms.asset)
        except MoneyError as error:
            raise Unacceptable(error) from error
        terms = replace(invoice.terms, **changes)
        return documents.edit(invoice, work_out(terms, invoice.lines if lines is None else lines))

    outcomes, changed = await decide_each(tx, requests, decide)
    await store.update_drafts(tx, changed)
    await store.update_states(tx, changed)
    return outcomes
