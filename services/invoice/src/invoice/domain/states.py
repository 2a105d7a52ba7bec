"""The invoice as it is decided upon: three axes, its terms, its wallet, its money."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from invoice.domain.links import PaymentLink
from invoiceos_contracts import Event, Sealed
from invoiceos_contracts.base import DocumentStatus, SettlementStatus, TimelinessStatus
from money import EXPONENT_MAX, Discount, Rounding, Tax, TaxRounding, asset

D, S, T = DocumentStatus, SettlementStatus, TimelinessStatus
SETTLED: Final = frozenset({S.PAID, S.OVERPAID})
RETURNED: Final = frozenset({S.PARTIALLY_REFUNDED, S.REFUNDED, S.CHARGED_BACK})
"""Money went back, and less is left than was asked for."""
ISSUED: Final = frozenset({D.OPEN, D.CLOSED})
"""Documents whose settlement follows the money."""

Axes = tuple[DocumentStatus, SettlementStatus, TimelinessStatus]

LABELS: Final[Mapping[Axes, str]] = {
    (D.DRAFT, S.UNPAID, T.ON_TIME): "Draft",
    (D.DELETED, S.UNPAID, T.ON_TIME): "Deleted",
    (D.ISSUING, S.UNPAID, T.ON_TIME): "Being issued",
    (D.ISSUE_FAILED, S.UNPAID, T.ON_TIME): "Could not be issued",
    (D.OPEN, S.UNPAID, T.ON_TIME): "Awaiting payment",
    (D.OPEN, S.UNPAID, T.OVERDUE): "Overdue",
    (D.OPEN, S.UNPAID, T.EXPIRED): "Expired unpaid",
    (D.OPEN, S.PROCESSING, T.ON_TIME): "Payment on its way",
    (D.OPEN, S.PROCESSING, T.OVERDUE): "Overdue, payment on its way",
    (D.OPEN, S.PROCESSING, T.EXPIRED): "Expired, payment on its way",
    (D.OPEN, S.PARTIAL, T.ON_TIME): "Partly paid",
    (D.OPEN, S.PARTIAL, T.OVERDUE): "Partly paid, overdue",
    (D.OPEN, S.PARTIAL, T.EXPIRED): "Partly paid, expired",
    (D.OPEN, S.PAID, T.ON_TIME): "Paid",
    (D.OPEN, S.PAID, T.SETTLED_LATE): "Paid after the due date",
    (D.OPEN, S.PAID, T.PAID_LATE): "Paid after expiry",
    (D.OPEN, S.OVERPAID, T.ON_TIME): "Overpaid",
    (D.OPEN, S.OVERPAID, T.SETTLED_LATE): "Overpaid after the due date",
    (D.OPEN, S.OVERPAID, T.PAID_LATE): "Overpaid after expiry",
    (D.CLOSED, S.PAID, T.ON_TIME): "Paid and closed",
    (D.CLOSED, S.PAID, T.SETTLED_LATE): "Paid after the due date and closed",
    (D.CLOSED, S.PAID, T.PAID_LATE): "Paid after expiry and closed",
    (D.CLOSED, S.OVERPAID, T.ON_TIME): "Overpaid and closed",
    (D.CLOSED, S.OVERPAID, T.SETTLED_LATE): "Overpaid after the due date and closed",
    (D.CLOSED, S.OVERPAID, T.PAID_LATE): "Overpaid after expiry and closed",
    (D.OPEN, S.PARTIALLY_REFUNDED, T.ON_TIME): "Partly refunded",
    (D.OPEN, S.PARTIALLY_REFUNDED, T.OVERDUE): "Partly refunded, overdue",
    (D.OPEN, S.PARTIALLY_REFUNDED, T.EXPIRED): "Partly refunded, expired",
    (D.OPEN, S.PARTIALLY_REFUNDED, T.SETTLED_LATE): "Paid after the due date, partly refunded",
    (D.OPEN, S.PARTIALLY_REFUNDED, T.PAID_LATE): "Paid after expiry, partly refunded",
    (D.OPEN, S.REFUNDED, T.ON_TIME): "Refunded",
    (D.OPEN, S.REFUNDED, T.OVERDUE): "Refunded, overdue",
    (D.OPEN, S.REFUNDED, T.EXPIRED): "Refunded, expired",
    (D.OPEN, S.REFUNDED, T.SETTLED_LATE): "Paid after the due date, refunded",
    (D.OPEN, S.REFUNDED, T.PAID_LATE): "Paid after expiry, refunded",
    (D.OPEN, S.CHARGED_BACK, T.ON_TIME): "Charged back",
    (D.OPEN, S.CHARGED_BACK, T.OVERDUE): "Charged back, overdue",
    (D.OPEN, S.CHARGED_BACK, T.EXPIRED): "Charged back, expired",
    (D.OPEN, S.CHARGED_BACK, T.SETTLED_LATE): "Paid after the due date, charged back",
    (D.OPEN, S.CHARGED_BACK, T.PAID_LATE): "Paid after expiry, charged back",
    (D.CLOSED, S.PARTIALLY_REFUNDED, T.ON_TIME): "Partly refunded and closed",
    (D.CLOSED, S.PARTIALLY_REFUNDED, T.SETTLED_LATE): "Paid late, partly refunded and closed",
    (D.CLOSED, S.PARTIALLY_REFUNDED, T.PAID_LATE): (
        "Paid after expiry, partly refunded and closed"
    ),
    (D.CLOSED, S.REFUNDED, T.ON_TIME): "Refunded and closed",
    (D.CLOSED, S.REFUNDED, T.SETTLED_LATE): "Paid after the due date, refunded and closed",
    (D.CLOSED, S.REFUNDED, T.PAID_LATE): "Paid after expiry, refunded and closed",
    (D.CLOSED, S.CHARGED_BACK, T.ON_TIME): "Charged back and closed",
    (D.CLOSED, S.CHARGED_BACK, T.SETTLED_LATE): "Paid after the due date, charged back, closed",
    (D.CLOSED, S.CHARGED_BACK, T.PAID_LATE): "Paid after expiry, charged back and closed",
    (D.VOID, S.UNPAID, T.ON_TIME): "Void",
    (D.VOID, S.UNPAID, T.OVERDUE): "Void, was overdue",
    (D.VOID, S.UNPAID, T.EXPIRED): "Void, was expired",
}
"""Every combination of the axes that can be reached, in plain words."""


class Sighting(StrEnum):
    """What the payment topic said last of a payment."""

    UNSEEN = "unseen"
    SEEN = "seen"
    REVERTED = "reverted"
    REVERTED_FIRST = "reverted_first"
    """Taken back before we were told that it had been seen; the next sighting is that one."""
    ENDED = "ended"
    """Somebody tried to collect it and came to nothing, for good."""


class BookingState(StrEnum):
    """What became of a booking of the ledger."""

    HELD = "held"
    """It came before the invoice was open; it counts as soon as it is."""
    COUNTED = "counted"
    CREDITED = "credited"
    """Kept as the payer's credit: the invoice takes no money, or not of this currency."""
    REVERSED = "reversed"


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment on its way."""

    payment_id: UUID
    sighting: Sighting
    final_reverts: int
    """How often it was taken back after it had been final."""
    amount_minor: int
    asset: str


@dataclass(frozen=True, slots=True)
class Booking:
    """One booking of the ledger."""

    transaction_id: UUID
    payment_id: UUID
    state: BookingState
    amount_minor: int
    asset: str
    micros: int
    """Its worth in millionths of the invoice's currency; 0 where it cannot count."""
    booked_at: datetime


class ReturnKind(StrEnum):
    """How money of a payment goes back."""

    REFUND = "refund"
    CHARGEBACK = "chargeback"


@dataclass(frozen=True, slots=True)
class Return:
    """Money of one payment that went back, or that somebody disputes."""

    id: UUID
    """Of the refund or the dispute."""
    payment_id: UUID
    kind: ReturnKind
    is_gone: bool
    """False of a dispute that is open or won."""
    amount_minor: int
    asset: str
    micros: int
    """Its worth in millionths of the invoice's currency; 0 where it cannot count."""
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One line as sold, with what the calculator made of it."""

    description: str
    quantity: str
    unit_price_minor: int
    discount: Discount | None = None
    taxes: tuple[Tax, ...] = ()
    net_minor: int = 0
    tax_minor: int = 0
    total_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the issuer asked for, apart from the lines. Frozen with the issue."""

    asset: str
    customer_id: UUID | None
    reference: str | None
    due_at: datetime
    payable_until: datetime | None = None
    discount: Discount | None = None
    tax_rounding: TaxRounding = TaxRounding.PER_LINE
    rounding: Rounding = Rounding.HALF_UP
    tolerance_ppm: int = 0
    tolerance_minor: int = 0
    mode: str | None = None
    ttl_s: int | None = None
    watch_window_s: int
    recurring: bool = False
    instalments: int = 1
    bulk_size: int = 1


@dataclass(frozen=True, slots=True)
class Sums:
    """The document worked out, in minor units of its asset."""

    subtotal_minor: int
    discount_minor: int
    net_minor: int
    tax_minor: int
    total_minor: int


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who asks for the money, as at issue."""

    name: str = "Unnamed issuer"
    address: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parties:
    """Issuer and customer as they were at issue; what is personal stays sealed."""

    issuer: Issuer
    contact: Sealed | None = None
    postal: Sealed | None = None
    has_email: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """Where the invoice is paid."""

    wallet_id: UUID
    mode: str
    rail: str
    chain_id: int | None
    address: str
    memo: str | None
    accepted_assets: tuple[str, ...]
    watch_window_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """An invoice with all that a decision about it needs."""

    tenant_id: UUID
    id: UUID
    version: int = 1
    document: DocumentStatus = D.DRAFT
    settlement: SettlementStatus = S.UNPAID
    timeliness: TimelinessStatus = T.ON_TIME
    terms: Terms
    sums: Sums
    lines: tuple[Line, ...] = ()
    """Empty where they were not loaded: money is decided without them."""
    received_micros: int = 0
    attempt: int = 0
    number: str | None = None
    link_hash: bytes | None = None
    issued_at: datetime | None = None
    overdue_since: datetime | None = None
    expired_since: datetime | None = None
    expires_at: datetime | None = None
    wallet: Wallet | None = None
    wallet_destroyed_at: datetime | None = None
    parties: Parties | None = None
    reason: str | None = None
    """Why its issue failed or it was voided."""
    created_at: datetime
    updated_at: datetime
    payments: Mapping[UUID, Payment] = field(default_factory=dict)
    bookings: Mapping[UUID, Booking] = field(default_factory=dict)
    returns: Mapping[UUID, Return] = field(default_factory=dict)

    @property
    def axes(self) -> Axes:
        """The three axes together."""
        return self.document, self.settlement, self.timeliness

    @property
    def label(self) -> str:
        """The three axes in plain words."""
        return LABELS[self.axes]

    @property
    def is_settled(self) -> bool:
        """Nothing more is asked of the payer: giving money back makes nothing owed again."""
        return self.settlement in SETTLED or (self.settlement in RETURNED and self.is_covered)

    @property
    def asked_micros(self) -> int:
        """What the invoice asks for, in millionths of its currency."""
        return self.sums.total_minor * int(10 ** (EXPONENT_MAX - asset(self.terms.asset).exponent))

    @property
    def tolerance_micros(self) -> int:
        """How much may be missing from a payment in full."""
        per_minor = int(10 ** (EXPONENT_MAX - asset(self.terms.asset).exponent))
        share = self.asked_micros * self.terms.tolerance_ppm // 1_000_000
        return max(share, self.terms.tolerance_minor * per_minor)

    @property
    def is_covered(self) -> bool:
        """What was booked was enough, whatever went back since."""
        return self.asked_micros - self.received_micros <= self.tolerance_micros


@dataclass(frozen=True, slots=True)
class Opening:
    """What an invoice is given when it opens."""

    number: str
    link: PaymentLink
    parties: Parties


Decision = tuple[Invoice, list[Event]]
"""The invoice after a decision, and the facts that it made true; the same invoice and none where
there was nothing to do."""
