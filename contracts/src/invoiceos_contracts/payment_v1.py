"""Facts of `invoiceos.payment.v1`: money on its way, arrived, taken back, or unexpected."""

from typing import ClassVar

from invoiceos_contracts.base import Amount, AssetCode, Event, Moment, Shape
from invoiceos_contracts.ids import (
    DisputeId,
    InvoiceId,
    PaymentId,
    PaymentIntentId,
    RefundId,
    RoutingDecisionId,
    WalletId,
)


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
    held_at: str | None = None
    """Where the money lies: `treasury`, `deposit` (an address that is still to be swept) or
    `clearing` (with the provider, who pays it out later); null is the treasury."""
    intent_id: PaymentIntentId | None = None
    """The intent it was collected by; null where the payer sent it unasked."""


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


class IntentEvent(Event):
    """Belongs to a payment that is being collected: nothing has come yet."""

    TOPIC: ClassVar[str] = "invoiceos.payment.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("payment_id", "pay")

    payment_id: PaymentId
    invoice_id: InvoiceId
    wallet_id: WalletId
    intent_id: PaymentIntentId
    """What collects it; one intent may collect payments of several invoices at once."""
    amount: Amount
    """What is to be collected for this invoice."""


class PaymentCreated(IntentEvent):
    """Somebody wants to pay: from now on no other intent may charge for this invoice."""

    TYPE: ClassVar[str] = "invoiceos.payment.created.v1"

    method: str | None
    """How the payer wants to pay, for example card; null leaves it open."""
    manual_capture: bool
    """Whether the money is only reserved with the payer until somebody captures it."""
    expires_at: Moment


class AttemptEvent(IntentEvent):
    """Belongs to one attempt to collect, at one provider."""

    provider: str
    rail: str
    attempt: int
    """1 at first, one more with each attempt after a definite end of the one before."""


class PaymentRouted(AttemptEvent):
    """It was decided which provider collects."""

    TYPE: ClassVar[str] = "invoiceos.payment.routed.v1"

    decision_id: RoutingDecisionId
    reason: str


class PaymentSubmitted(AttemptEvent):
    """The provider was asked; our reference and key were stored before."""

    TYPE: ClassVar[str] = "invoiceos.payment.submitted.v1"


class PaymentRequiresAction(AttemptEvent):
    """The payer has to do something, on a page of the provider for example."""

    TYPE: ClassVar[str] = "invoiceos.payment.requires_action.v1"

    action: str
    """redirect or deposit; more may come."""


class PaymentProcessing(AttemptEvent):
    """The provider has accepted it and has not finished."""

    TYPE: ClassVar[str] = "invoiceos.payment.processing.v1"


class PaymentAuthorized(AttemptEvent):
    """The money is reserved with the payer and can be captured, in whole or in part."""

    TYPE: ClassVar[str] = "invoiceos.payment.authorized.v1"

    provider_reference: str
    expires_at: Moment | None


class PaymentCaptured(AttemptEvent):
    """What was authorised was taken; `PaymentSucceeded` says that it is final."""

    TYPE: ClassVar[str] = "invoiceos.payment.captured.v1"

    captured: Amount
    released: Amount
    """What was authorised and not taken: the payer has it again."""


class PaymentVoided(AttemptEvent):
    """What was authorised was given up before capture."""

    TYPE: ClassVar[str] = "invoiceos.payment.voided.v1"

    cause: str


class PaymentRerouted(AttemptEvent):
    """The attempt before ended without money, definitely; this one is made elsewhere."""

    TYPE: ClassVar[str] = "invoiceos.payment.rerouted.v1"

    decision_id: RoutingDecisionId
    cause: str
    """Why the attempt before ended."""


class PaymentCanceled(IntentEvent):
    """Nobody wants it any more, and nothing was taken."""

    TYPE: ClassVar[str] = "invoiceos.payment.canceled.v1"

    cause: str


class PaymentExpired(IntentEvent):
    """The payer did not finish in time, and nothing was taken."""

    TYPE: ClassVar[str] = "invoiceos.payment.expired.v1"


class PaymentFeeKnown(PaymentEvent):
    """What the provider kept of a payment, where it said so only after it succeeded."""

    TYPE: ClassVar[str] = "invoiceos.payment.fee_known.v1"

    fee: Amount
    """The whole fee."""


class PaymentFundsAvailable(PaymentEvent):
    """The provider no longer holds the money back: it can be paid out."""

    TYPE: ClassVar[str] = "invoiceos.payment.funds_available.v1"

    available_at: Moment


class PaymentDisputed(PaymentEvent):
    """The payer disputes the payment, and the provider has taken the money back meanwhile."""

    TYPE: ClassVar[str] = "invoiceos.payment.disputed.v1"

    dispute_id: DisputeId
    provider_reference: str
    """Names the dispute at the provider."""
    disputed: Amount
    fee: Amount | None
    """What the provider charges for it."""
    reason: str
    respond_by: Moment | None


class PaymentDisputeClosed(PaymentEvent):
    """A dispute is decided."""

    TYPE: ClassVar[str] = "invoiceos.payment.dispute_closed.v1"

    dispute_id: DisputeId
    disputed: Amount
    outcome: str
    """won or lost."""


class RefundEvent(Event):
    """Belongs to a refund's history: money on its way back to where it came from."""

    TOPIC: ClassVar[str] = "invoiceos.payment.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("refund_id", "rfd")

    refund_id: RefundId
    payment_id: PaymentId
    invoice_id: InvoiceId
    provider: str
    """The one that captured the payment."""
    rail: str
    amount: Amount
    """What is given back."""
    source: str
    """Whose money it is: `merchant`, or `payer_credit` for what was paid too much or too late."""


class RefundRequested(RefundEvent):
    """Somebody wants money given back; the ledger reserves it before anything is sent."""

    TYPE: ClassVar[str] = "invoiceos.payment.refund_requested.v1"

    reason: str | None
    requested_by: str
    held_at: str | None = None
    """Where the money is to leave from: `treasury` or `clearing`; null where nobody said."""


class RefundApproved(RefundEvent):
    """Whoever has to agree has agreed."""

    TYPE: ClassVar[str] = "invoiceos.payment.refund_approved.v1"

    approved_by: tuple[str, ...]
    """Empty where the rules ask nobody."""


class RefundSubmitted(RefundEvent):
    """The provider was asked to give it back."""

    TYPE: ClassVar[str] = "invoiceos.payment.refund_submitted.v1"


class RefundSucceeded(RefundEvent):
    """The payer has it, or the provider owes it to the payer and not to us."""

    TYPE: ClassVar[str] = "invoiceos.payment.refund_succeeded.v1"

    provider_reference: str
    fee: Amount | None
    held_at: str | None
    """Where the money was: `treasury` or `clearing`; null is the treasury."""
    final_at: Moment


class RefundFailed(RefundEvent):
    """The provider did not give it back, definitely; what was reserved is free again."""

    TYPE: ClassVar[str] = "invoiceos.payment.refund_failed.v1"

    cause: str


class RefundCanceled(RefundEvent):
    """It was given up before anything was sent: nobody agreed, or there was not enough money."""

    TYPE: ClassVar[str] = "invoiceos.payment.refund_canceled.v1"

    cause: str


class RefundOutcomeUnknown(RefundEvent):
    """The provider did not say what became of it; it is asked until it is known."""

    TYPE: ClassVar[str] = "invoiceos.payment.refund_outcome_unknown.v1"

    cause: str
