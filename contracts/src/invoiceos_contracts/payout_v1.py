"""Facts of `invoiceos.payout.v1`: money on its way out to whom a tenant owes it."""

from typing import ClassVar

from invoiceos_contracts.base import Amount, Event, Moment
from invoiceos_contracts.ids import PayoutBatchId, PayoutId


class PayoutEvent(Event):
    """Belongs to one payout's history."""

    TOPIC: ClassVar[str] = "invoiceos.payout.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("payout_id", "pyo")

    payout_id: PayoutId
    batch_id: PayoutBatchId | None
    """The batch it is a line of; null where it stands alone."""
    amount: Amount


class PayoutRequested(PayoutEvent):
    """Somebody wants money sent; the ledger reserves it before anything is sent."""

    TYPE: ClassVar[str] = "invoiceos.payout.requested.v1"

    reference: str
    """The tenant's own, unique among its payouts."""
    requested_by: str
    approvals_needed: int
    """How many people have to agree, none of whom asked for it."""
    held_at: str | None = None
    """Where the money is to leave from: `treasury` or `clearing`; null where nobody said."""


class PayoutApproved(PayoutEvent):
    """Enough people have agreed."""

    TYPE: ClassVar[str] = "invoiceos.payout.approved.v1"

    approved_by: tuple[str, ...]
    """Empty where the rules ask nobody."""


class PayoutCanceled(PayoutEvent):
    """It was given up before anything was sent; what was reserved is free again."""

    TYPE: ClassVar[str] = "invoiceos.payout.canceled.v1"

    cause: str
    """rejected, canceled, insufficient_funds, not_in_treasury or frozen; more may come."""
    by: str | None


class PayoutSubmitted(PayoutEvent):
    """A provider was asked to send it; our reference and key were stored before."""

    TYPE: ClassVar[str] = "invoiceos.payout.submitted.v1"

    provider: str
    rail: str
    attempt: int


class PayoutSucceeded(PayoutEvent):
    """It is sent, finally."""

    TYPE: ClassVar[str] = "invoiceos.payout.succeeded.v1"

    provider: str
    rail: str
    provider_reference: str
    """Names the payout at the provider; unique there."""
    fee: Amount | None
    held_at: str | None
    """Where the money was: `treasury` or `clearing`; null is the treasury."""
    final_at: Moment


class PayoutFailed(PayoutEvent):
    """It was not sent, definitely; what was reserved is free again."""

    TYPE: ClassVar[str] = "invoiceos.payout.failed.v1"

    cause: str


class PayoutOutcomeUnknown(PayoutEvent):
    """The provider did not say what became of it; nobody sends it again until that is known."""

    TYPE: ClassVar[str] = "invoiceos.payout.outcome_unknown.v1"

    provider: str
    rail: str
    cause: str


class PayoutBatchEvent(Event):
    """Belongs to the history of a batch of payouts."""

    TOPIC: ClassVar[str] = "invoiceos.payout.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("batch_id", "pob")

    batch_id: PayoutBatchId
    lines: int
    """Payouts in the batch."""
    totals: tuple[Amount, ...]
    """What the batch asks for, by asset."""


class PayoutBatchCreated(PayoutBatchEvent):
    """Somebody asked for many payouts at once."""

    TYPE: ClassVar[str] = "invoiceos.payout.batch_created.v1"

    requested_by: str
    approvals_needed: int


class PayoutBatchApproved(PayoutBatchEvent):
    """Enough people have agreed to the whole batch."""

    TYPE: ClassVar[str] = "invoiceos.payout.batch_approved.v1"

    approved_by: tuple[str, ...]


class PayoutBatchCompleted(PayoutBatchEvent):
    """Every line has ended."""

    TYPE: ClassVar[str] = "invoiceos.payout.batch_completed.v1"

    succeeded: int
    failed: int
    canceled: int
