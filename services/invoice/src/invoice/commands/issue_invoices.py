"""Issue invoices: from here on each waits for its wallet."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from invoice import store
from invoice.commands.deciding import decide_each
from invoice.domain import documents
from invoice.domain.states import Decision, Invoice
from invoice.store.freeze import is_frozen
from invoice.store.histories import select_histories, select_payers
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class IssueInvoice:
    """Which invoice; `send` leaves one that is issued already as it is."""

    tenant_id: UUID
    invoice_id: UUID
    expected_version: int | None = None
    send: bool = False


async def issue_invoices(tx: Tx, requests: Sequence[IssueInvoice]) -> Sequence[Invoice | Refusal]:
    """Move each draft, or invoice whose issue failed, to issuing; `InvoiceIssuing`."""
    payers = await select_payers(tx, [(one.tenant_id, one.invoice_id) for one in requests])
    frozen = await is_frozen(tx)
    before = await select_histories(tx, [one.tenant_id for one in requests], payers)

    def decide(invoice: Invoice, request: IssueInvoice) -> Decision:
        step = documents.send if request.send else documents.issue
        past = before.of(invoice.tenant_id, invoice.terms.customer_id)
        return step(invoice, tx.now, past, frozen=frozen)

    outcomes, changed = await decide_each(tx, requests, decide)
    await store.update_states(tx, changed)
    return outcomes
