"""Facts of bulk orders: one row is one invoice with an ephemeral wallet of its own.

ephemeral-manager states what is asked for and gives each row the id its invoice will have; invoice
makes the invoices, or says why one cannot be made. What becomes of an invoice are its own facts.
"""

from typing import ClassVar

from invoiceos_contracts.base import Amount, Event, Moment
from invoiceos_contracts.ids import BulkJobId, CustomerId, InvoiceId


class BulkRowRequested(Event):
    """A row of a bulk order is to become an invoice with an ephemeral wallet."""

    TYPE: ClassVar[str] = "invoiceos.bulk.row_requested.v1"
    TOPIC: ClassVar[str] = "invoiceos.bulk.v1"
    OWNER: ClassVar[str] = "ephemeral-manager"
    KEY: ClassVar[tuple[str, str]] = ("invoice_id", "inv")

    invoice_id: InvoiceId
    """The id the invoice will have: asked for twice, it is made once."""
    job_id: BulkJobId
    reference: str
    """The caller's own name of the row, unique in the tenant."""
    amount: Amount
    description: str
    """The invoice's one line."""
    due_at: Moment
    customer_id: CustomerId | None
    ttl_s: int
    """Seconds the wallet takes money."""
    watch_window_s: int
    bulk_size: int
    """Rows of the order."""


class BulkRowRefused(Event):
    """No invoice was made for a row: it breaks a rule of invoices."""

    TYPE: ClassVar[str] = "invoiceos.bulk.row_refused.v1"
    TOPIC: ClassVar[str] = "invoiceos.bulk-answer.v1"
    OWNER: ClassVar[str] = "invoice"
    KEY: ClassVar[tuple[str, str]] = ("invoice_id", "inv")

    invoice_id: InvoiceId
    """The id it would have had."""
    job_id: BulkJobId
    code: str
    """Stable; the same as the REST API's."""
    detail: str
