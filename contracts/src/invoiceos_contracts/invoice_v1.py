"""Facts of `invoiceos.invoice.v1`: the document, its settlement and its timeliness."""

from typing import ClassVar

from invoiceos_contracts.base import (
    Amount,
    AssetCode,
    Document,
    Event,
    Mode,
    Moment,
    Sealed,
    Settlement,
    Shape,
    Timeliness,
)
from invoiceos_contracts.ids import (
    CustomerId,
    DisputeId,
    InvoiceId,
    PaymentId,
    RefundId,
    TransactionId,
    WalletId,
)


class InvoiceStatus(Shape):
    """The three independent axes, as they are after the fact."""

    document: Document
    settlement: Settlement
    timeliness: Timeliness


class WalletPreference(Shape):
    """What the issuer wishes of the wallet; the mode selector has the last word."""

    mode: Mode | None = None
    """None leaves the choice to the selector."""
    ttl_s: int
    """Seconds from issue until the wallet expires."""
    watch_window_s: int
    """Seconds a drained or expired wallet is watched for late money before it is destroyed."""


class SelectorInput(Shape):
    """What the mode selector may know of the invoice."""

    recurring: bool = False
    instalments: int = 1
    payer_known: bool = False
    bulk_size: int = 1
    payer_invoices: int | None = None
    """Earlier invoices to the same payer that were issued, of the last 50; null: no payer known."""
    payer_settled: int | None = None
    """How many of those are settled."""
    payer_pays_by_token: bool | None = None
    """Whether the payer has paid one of those on chain: he has a wallet."""
    issuer_late_ppm: int | None = None
    """Share of the issuer's last 200 invoices whose money came late, parts per million."""


class LineSummary(Shape):
    """One line as a reader of the invoice sees it."""

    description: str
    quantity: str
    total: Amount


class InvoiceEvent(Event):
    """Belongs to an invoice's history and shows where the invoice stands after it."""

    TOPIC: ClassVar[str] = "invoiceos.invoice.v1"
    OWNER: ClassVar[str] = "invoice"
    KEY: ClassVar[tuple[str, str]] = ("invoice_id", "inv")

    invoice_id: InvoiceId
    number: str | None
    """Given at issue, consecutive per tenant."""
    status: InvoiceStatus
    total: Amount
    due: Amount
    """What remains to be paid, never negative."""
    received: Amount
    """What has been booked, rounded down to the invoice's minor unit."""
    received_micros: int
    """What has been booked, exactly, in millionths of one unit of the invoice's currency."""


class InvoiceCreated(InvoiceEvent):
    """A draft came to be."""

    TYPE: ClassVar[str] = "invoiceos.invoice.created.v1"

    customer_id: CustomerId | None
    reference: str | None
    due_at: Moment


class InvoiceUpdated(InvoiceEvent):
    """A draft was changed."""

    TYPE: ClassVar[str] = "invoiceos.invoice.updated.v1"

    customer_id: CustomerId | None
    reference: str | None
    due_at: Moment


class InvoiceDeleted(InvoiceEvent):
    """A draft was thrown away."""

    TYPE: ClassVar[str] = "invoiceos.invoice.deleted.v1"


class InvoiceIssuing(InvoiceEvent):
    """The issuer asked for the invoice to be issued; it now needs a wallet."""

    TYPE: ClassVar[str] = "invoiceos.invoice.issuing.v1"

    asset: AssetCode
    customer_id: CustomerId | None
    due_at: Moment
    wallet: WalletPreference
    selector: SelectorInput
    attempt: int
    """1 at first, one more with each retry after `InvoiceIssueFailed`."""


class InvoiceIssued(InvoiceEvent):
    """The invoice is open: it has its number, its wallet and its payment link."""

    TYPE: ClassVar[str] = "invoiceos.invoice.issued.v1"
    SENSITIVE: ClassVar[frozenset[str]] = frozenset({"recipient"})

    issued_at: Moment
    due_at: Moment
    payment_link: str
    customer_id: CustomerId | None
    issuer_name: str
    recipient: Sealed | None
    """E-mail address and name of the customer, sealed; None where the invoice has no recipient."""
    wallet_id: WalletId
    mode: Mode
    rail: str
    chain_id: int | None
    address: str
    memo: str | None
    accepted_assets: tuple[AssetCode, ...]
    expires_at: Moment
    watch_window_s: int
    lines: tuple[LineSummary, ...]


class InvoiceLinkTold(InvoiceEvent):
    """The payment link of an open invoice, told again for whoever did not keep it at issue."""

    TYPE: ClassVar[str] = "invoiceos.invoice.link_told.v1"

    wallet_id: WalletId
    payment_link: str


class InvoiceIssueFailed(InvoiceEvent):
    """No rail could serve the invoice; it can be issued again."""

    TYPE: ClassVar[str] = "invoiceos.invoice.issue_failed.v1"

    reason: str
    tried: tuple[str, ...]


class InvoiceVoided(InvoiceEvent):
    """The invoice was called off before any money was booked."""

    TYPE: ClassVar[str] = "invoiceos.invoice.voided.v1"

    reason: str
    by: str


class InvoiceReopened(InvoiceEvent):
    """Money arrived for an invoice that had been given up."""

    TYPE: ClassVar[str] = "invoiceos.invoice.reopened.v1"

    reason: str
    by: str


class InvoiceClosed(InvoiceEvent):
    """Settled, its wallet destroyed: only credit notes can follow."""

    TYPE: ClassVar[str] = "invoiceos.invoice.closed.v1"

    reason: str
    by: str


class InvoiceProcessing(InvoiceEvent):
    """A payment was seen that is not final yet."""

    TYPE: ClassVar[str] = "invoiceos.invoice.processing.v1"

    payment_id: PaymentId
    amount: Amount


class SettlementEvent(InvoiceEvent):
    """A booking changed what has been received."""

    booking_id: TransactionId
    amount: Amount
    """This booking, in the asset that was paid; negative for a reversal."""


class InvoicePartiallyPaid(SettlementEvent):
    """Booked, and less than due."""

    TYPE: ClassVar[str] = "invoiceos.invoice.partially_paid.v1"

    shortage: Amount


class InvoicePaid(SettlementEvent):
    """Booked in full, or short by no more than the tolerance."""

    TYPE: ClassVar[str] = "invoiceos.invoice.paid.v1"

    shortage: Amount


class InvoiceOverpaid(SettlementEvent):
    """Booked, and more than due; the excess is the payer's credit."""

    TYPE: ClassVar[str] = "invoiceos.invoice.overpaid.v1"

    excess: Amount


class InvoicePaymentReversed(SettlementEvent):
    """A booking was undone because the chain or the provider took the payment back."""

    TYPE: ClassVar[str] = "invoiceos.invoice.payment_reversed.v1"

    shortage: Amount


class ReturnEvent(InvoiceEvent):
    """Money that had been booked went back to the payer."""

    payment_id: PaymentId
    amount: Amount
    """What went back, in the asset that was paid."""
    left: Amount
    """What is left of all that was received, rounded down to the invoice's minor unit."""


class InvoiceRefunded(ReturnEvent):
    """Money was given back; `received` goes on to say what had come."""

    TYPE: ClassVar[str] = "invoiceos.invoice.refunded.v1"

    refund_id: RefundId


class InvoiceChargedBack(ReturnEvent):
    """A dispute was lost: the payer has the money again."""

    TYPE: ClassVar[str] = "invoiceos.invoice.charged_back.v1"

    dispute_id: DisputeId


class InvoicePaymentFailed(InvoiceEvent):
    """A payment that had been seen came to nothing."""

    TYPE: ClassVar[str] = "invoiceos.invoice.payment_failed.v1"

    payment_id: PaymentId
    reason: str


class InvoiceOverdue(InvoiceEvent):
    """The due date passed with money outstanding."""

    TYPE: ClassVar[str] = "invoiceos.invoice.overdue.v1"

    since: Moment


class InvoiceExpired(InvoiceEvent):
    """The time to pay is over; the wallet is still watched."""

    TYPE: ClassVar[str] = "invoiceos.invoice.expired.v1"

    since: Moment


class InvoiceSettledLate(InvoiceEvent):
    """An overdue invoice was settled."""

    TYPE: ClassVar[str] = "invoiceos.invoice.settled_late.v1"

    since: Moment
    """When it had become overdue."""


class InvoiceLatePayment(SettlementEvent):
    """Money came after expiry, or for an invoice that no longer takes any."""

    TYPE: ClassVar[str] = "invoiceos.invoice.late_payment.v1"

    policy: str
    """accept: applied to the invoice; credit: kept as the payer's credit."""
