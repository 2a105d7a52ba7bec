"""Create drafts, and issue them at once where that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from invoice import store
from invoice.commands.create_customers import NewPerson, customer_of
from invoice.domain import documents
from invoice.domain.documents import Past
from invoice.domain.states import Decision, Invoice
from invoice.domain.totals import Worked
from invoice.errors import CustomerNotFound
from invoice.store import parties as party_store
from invoice.store.freeze import is_frozen
from invoice.store.histories import select_histories
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class CreateInvoice:
    """A draft that was worked out already; `person` is stored as a new customer beside it."""

    tenant_id: UUID
    worked: Worked
    person: NewPerson | None = None
    issue: bool = False
    cause: UUID | None = None
    """Id of the event that asked for it; None where a person did."""
    invoice_id: UUID | None = None
    """The id it must have, where who asks gave it one that no invoice has; else a new one."""


async def create_invoices(tx: Tx, requests: Sequence[CreateInvoice]) -> Sequence[Invoice | Refusal]:
    """Store each draft with its lines; `InvoiceCreated`, and `InvoiceIssuing` where asked for."""
    named = [(r.tenant_id, r.worked.terms.customer_id) for r in requests]
    keys = [(tenant, customer) for tenant, customer in named if customer is not None]
    known = await party_store.known_customers(tx, keys) if keys else set()
    before = await select_histories(tx, [r.tenant_id for r in requests if r.issue], known)
    frozen = any(r.issue for r in requests) and await is_frozen(tx)
    customers, invoices = [], []
    outcomes: list[Invoice | Refusal] = []
    for request in requests:
        worked = request.worked
        if request.person is not None:
            customer = customer_of(tx, request.tenant_id, request.person)
            customers.append(customer)
            worked = replace(worked, terms=replace(worked.terms, customer_id=customer.id))
        elif _names_a_stranger(request, known):
            outcomes.append(CustomerNotFound())
            continue
        try:
            past = before.of(request.tenant_id, worked.terms.customer_id)
            invoice, facts = _create(tx, request, worked, past, frozen=frozen)
        except Refusal as refusal:
            outcomes.append(refusal)
            if request.person is not None:
                customers.pop()
            continue
        invoices.append(invoice)
        outcomes.append(invoice)
        tx.stage((fact, request.cause) for fact in facts)
    await party_store.upsert_customers(tx, customers)
    await store.insert_invoices(tx, invoices)
    return outcomes


def _names_a_stranger(request: CreateInvoice, known: set[store.Key]) -> bool:
    customer = request.worked.terms.customer_id
    return customer is not None and (request.tenant_id, customer) not in known


def _create(
    tx: Tx, request: CreateInvoice, worked: Worked, past: Past, *, frozen: bool
) -> Decision:
    invoice, created = documents.draft(
        request.tenant_id, request.invoice_id or tx.new_id(), worked, tx.now
    )
    if not request.issue:
        return invoice, created
    issuing, more = documents.issue(invoice, tx.now, past, frozen=frozen)
    return issuing, created + more
