"""Call invoices off that nobody has paid."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from invoice import store
from invoice.commands.deciding import decide_each
from invoice.domain import documents
from invoice.domain.states import Decision, Invoice
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class VoidInvoice:
    """Which invoice, why, and who says so."""

    tenant_id: UUID
    invoice_id: UUID
    reason: str
    by: str
    expected_version: int | None = None


async def void_invoices(tx: Tx, requests: Sequence[VoidInvoice]) -> Sequence[Invoice | Refusal]:
    """Void each open invoice without money; `InvoiceVoided`."""

    def decide(invoice: Invoice, request: VoidInvoice) -> Decision:
        return documents.void(invoice, reason=request.reason, by=request.by)

    outcomes, changed = await decide_each(tx, requests, decide)
    await store.update_states(tx, changed)
    return outcomes
