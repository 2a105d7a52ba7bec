"""Throw drafts away."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from invoice import store
from invoice.commands.deciding import decide_each
from invoice.domain import documents
from invoice.domain.states import Invoice
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class DeleteDraft:
    """Which draft."""

    tenant_id: UUID
    invoice_id: UUID
    expected_version: int | None = None


async def delete_drafts(tx: Tx, requests: Sequence[DeleteDraft]) -> Sequence[Invoice | Refusal]:
    """Mark each draft as deleted: nobody is shown it again; `InvoiceDeleted`."""
    outcomes, changed = await decide_each(tx, requests, lambda found, _: documents.delete(found))
    await store.update_states(tx, changed)
    return outcomes
