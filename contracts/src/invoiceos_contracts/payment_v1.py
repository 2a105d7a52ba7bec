"""Facts of `invoiceos.payment.v1`: money on its way, arrived, taken back, or unexpected."""

from typing import ClassVar

from invoiceos_contracts.base import Amount, AssetCode, Event, Moment, Shape
from invoiceos_contracts.ids import InvoiceId, PaymentId, WalletId


class OnChain(Shape):
    """Where on a chain the payment stands."""

    chain_id: int
    block_number: int
    block_hash: str
    transaction_hash: str
    log_index: int


class PaymentEvent(Event):
    """Belongs to a payment's history."""

    TOPIC: ClassVar[str] = "invoiceos.payment.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("payment_id", "pay")

    payment_id: PaymentId
    invoice_id: InvoiceId
    wallet_id: WalletId
    provider: str
    rail: str
    amount: Amount
    """What came, in the asset that was paid."""


class PaymentSeen(PaymentEvent):
    """A payment is on its way; not yet final."""

    TYPE: ClassVar[str] = "invoiceos.payment.seen.v1"

    chain: OnChain | None
    payer: str | None
    confirmations_needed: int


class PaymentSucceeded(PaymentEvent):
    """The payment is final."""

    TYPE: ClassVar[str] = "invoiceos.payment.succeeded.v1"

    chain: OnChain | None
    payer: str | None
    provider_reference: str
    """Names the payment at the provider; unique there."""
    fee: Amount | None
    """What the provider kept, where it is known."""
    final_at: Moment
    invoice_due: Amount
    """What the invoice asked for when its wallet was made."""
    memo_matches: bool | None
    """None where the payer sent no memo."""


class PaymentReverted(PaymentEvent):
    """The chain took the payment back."""

    TYPE: ClassVar[str] = "invoiceos.payment.reverted.v1"

    cause: str
    was_final: bool
    """True when `PaymentSucceeded` or `PaymentConflicted` had been stated: it must be unbooked."""


class PaymentConflicted(PaymentEvent):
    """Something came, but not what was asked for; it is booked to suspense, never as paid."""

    TYPE: ClassVar[str] = "invoiceos.payment.conflicted.v1"

    cause: str
    """wrong_asset or blocked."""
    chain: OnChain | None
    payer: str | None
    expected: tuple[AssetCode, ...]
    provider_reference: str


class PaymentFailed(PaymentEvent):
    """The payment came to nothing."""

    TYPE: ClassVar[str] = "invoiceos.payment.failed.v1"

    cause: str
    retryable: bool


class PaymentOutcomeUnknown(PaymentEvent):
    """The provider did not say what became of it; nobody may charge again until it is known."""

    TYPE: ClassVar[str] = "invoiceos.payment.outcome_unknown.v1"

    cause: str


class PaymentResolved(PaymentEvent):
    """An unknown or conflicting payment is settled."""

    TYPE: ClassVar[str] = "invoiceos.payment.resolved.v1"

    outcome: str
    cause: str
