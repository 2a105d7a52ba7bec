"""What invoices ask for is known here, so that nobody has to be asked when one is paid."""

from collections.abc import Sequence

from invoiceos_contracts.base import TimelinessStatus
from invoiceos_contracts.invoice_v1 import InvoiceEvent, InvoiceIssued, InvoiceLinkTold
from messaging import Received, Tx
from provider_orchestrator.domain.links import link_in
from provider_orchestrator.store.invoices import Payable, save_payables


async def follow_invoices(tx: Tx, events: Sequence[Received[InvoiceEvent]]) -> None:
    """Take over where each invoice stands; the last fact of each is enough."""
    last: dict[tuple[object, object], Payable] = {}
    for event in events:
        fact = event.fact
        key = (fact.tenant_id, fact.invoice_id)
        issued = fact if isinstance(fact, InvoiceIssued) else None
        named = fact if isinstance(fact, InvoiceIssued | InvoiceLinkTold) else None
        wallet = named.wallet_id if named else None
        link = link_in(named.payment_link) if named else None
        before = last.get(key)
        last[key] = Payable(
            tenant_id=fact.tenant_id,
            invoice_id=fact.invoice_id,
            wallet_id=wallet or (before.wallet_id if before else None),
            document=str(fact.status.document),
            asset=fact.due.asset,
            due_minor=fact.due.amount_minor,
            version=event.envelope.aggregate_version,
            expired=fact.status.timeliness == TimelinessStatus.EXPIRED,
            number=fact.number,
            received_micros=fact.received_micros,
            link_hash=link.hash if link else before.link_hash if before else None,
            customer_id=issued.customer_id if issued else before.customer_id if before else None,
            overdue=fact.status.timeliness == TimelinessStatus.OVERDUE,
        )
    await save_payables(tx, list(last.values()))
