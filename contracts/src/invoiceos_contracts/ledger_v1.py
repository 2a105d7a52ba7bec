"""Facts of `invoiceos.ledger.v1`: what was booked, and that the reserve covers what circulates."""

from typing import ClassVar
from uuid import UUID

from invoiceos_contracts.base import Amount, AssetCode, Event, Moment, Shape
from invoiceos_contracts.ids import (
    DisputeId,
    InvoiceId,
    PaymentId,
    ReservationId,
    StatementId,
    TenantId,
    TransactionId,
    WalletId,
)


class LedgerEvent(Event):
    """Belongs to the history of one ledger transaction."""

    TOPIC: ClassVar[str] = "invoiceos.ledger.v1"
    OWNER: ClassVar[str] = "reserve-ledger"
    KEY: ClassVar[tuple[str, str]] = ("transaction_id", "txn")

    transaction_id: TransactionId
    sequence: int
    """Place in the tenant's ledger: 1, 2, 3 ..., no gap."""
    template: str
    """Posting template and its version, for example `invoice_paid.v1`."""


class FundsBooked(LedgerEvent):
    """A final payment is in the books."""

    TYPE: ClassVar[str] = "invoiceos.ledger.funds_booked.v1"

    invoice_id: InvoiceId
    wallet_id: WalletId
    payment_id: PaymentId
    applied: Amount
    """What counts towards the invoice, in the asset that was paid."""
    excess: Amount
    """What is kept as the payer's credit, in the asset that was paid."""
    fee: Amount
    """Platform fee, part of `applied`."""
    booked_at: Moment


class FundsReversed(LedgerEvent):
    """A booking was undone by an exact reversal."""

    TYPE: ClassVar[str] = "invoiceos.ledger.funds_reversed.v1"

    invoice_id: InvoiceId
    wallet_id: WalletId
    payment_id: PaymentId
    reverses: TransactionId
    applied: Amount
    """What no longer counts towards the invoice, as a positive amount."""
    excess: Amount
    cause: str
    booked_at: Moment


class Posting(Shape):
    """One leg: positive is a debit, negative a credit."""

    account: str
    amount: Amount


class PlacedPosting(Posting):
    """One leg, with the address that refines its account."""

    address: str | None = None
    """For example `merchant:available:shop-7`; null in events from before there were addresses."""


class TransactionPosted(LedgerEvent):
    """A transaction was posted: its legs sum to zero per asset."""

    TYPE: ClassVar[str] = "invoiceos.ledger.transaction_posted.v1"

    invoice_id: InvoiceId | None
    cause_event_id: UUID
    postings: tuple[PlacedPosting, ...]
    posted_at: Moment
    previous_hash: str
    hash: str
    """SHA-256 over the previous hash and the canonical transaction, hexadecimal."""
    reverses: TransactionId | None = None
    """The transaction that this one undoes."""
    reference: str | None = None
    """The caller's name for it, unique within the tenant; null where an event led to it."""
    effective_at: Moment | None = None
    """When it counts, where that is not when it was posted."""
    payment_id: PaymentId | None = None


class ReservePosition(Shape):
    """Where one asset stands, in its minor units."""

    asset: AssetCode
    reserve: tuple[Posting, ...]
    """By reserve account."""
    reserve_minor: int
    circulation_minor: int
    """What is owed to merchants, payers and holders."""
    own_funds_minor: int
    """Fees earned less costs: the only part by which the reserve may exceed the circulation."""
    difference_minor: int
    """reserve - circulation - own funds; anything but 0 is a breach."""


class LedgerHead(Shape):
    """Where a tenant's chain of transactions stood."""

    tenant_id: TenantId
    sequence: int
    hash: str


class ObservedReserve(Shape):
    """What one place held when it was last looked at, in minor units of one asset."""

    source: str
    kind: str
    """chain, supply, provider or bank."""
    asset: AssetCode
    balance_minor: int
    opening_minor: int
    """What was there before the first payment we know of."""
    deposits_minor: int | None
    """All that ever came in by payments up to this moment; null where nobody can say."""
    held_elsewhere_minor: int
    """Part of the deposits that is kept at another place, such as a guard."""
    block_number: int | None
    block_hash: str | None
    as_of: Moment


class ReserveComparison(Shape):
    """The book beside what was observed, over all sources of a kind, in minor units."""

    kind: str
    asset: AssetCode
    book_minor: int
    observed_minor: int
    """Without what was there before the first payment."""
    in_transit_minor: int
    """Came in by payments and is not booked yet; negative where more was booked since."""
    difference_minor: int
    """observed - book - in transit."""
    leaving_minor: int
    """What payouts and refunds on their way may already have taken: so much may be missing."""
    breached: bool
    """Whether the difference is neither 0 nor explained by what is leaving; only chains and supply
    are known to the unit, so only they are judged at once."""


class ReserveSeries(Event):
    """Belongs to the one series of statements of the platform."""

    TOPIC: ClassVar[str] = "invoiceos.ledger.v1"
    OWNER: ClassVar[str] = "reserve-ledger"
    KEY: ClassVar[tuple[str, str]] = ("statement_series_id", "stm")

    statement_series_id: StatementId
    sequence: int
    """The statement that showed it."""


class ReserveBreached(ReserveSeries):
    """What is held is no longer what the book says, by this much."""

    TYPE: ClassVar[str] = "invoiceos.ledger.reserve_breached.v1"

    kind: str
    """chain, supply, provider or bank; book where the book itself does not add up."""
    asset: AssetCode
    difference_minor: int
    frozen: bool
    """Whether issuing and payouts stand still from now on, until a person lifts it."""
    breached_at: Moment


class ReserveRestored(ReserveSeries):
    """What was breached agrees again, to the unit. A freeze stays until a person lifts it."""

    TYPE: ClassVar[str] = "invoiceos.ledger.reserve_restored.v1"

    kind: str
    asset: AssetCode
    frozen: bool
    restored_at: Moment


class ReserveFreezeLifted(ReserveSeries):
    """A person decided that issuing and payouts go on."""

    TYPE: ClassVar[str] = "invoiceos.ledger.reserve_freeze_lifted.v1"

    reason: str
    lifted_by: str
    lifted_at: Moment


class ReserveLiabilitiesProved(ReserveSeries):
    """What is owed in an asset as of a statement: the root of a tree whose leaves are holders."""

    TYPE: ClassVar[str] = "invoiceos.ledger.reserve_liabilities_proved.v1"

    proof_id: UUID
    """Names the proof; each holder gets a path under it."""
    asset: AssetCode
    leaf_count: int
    total_minor: int
    """The sum of all leaves."""
    root: str
    """SHA-256, hexadecimal."""
    signature: str
    """Ed25519 over SHA-256 of asset, count, root, statement and total in canonical form; base64."""
    key_id: str


class LedgerHeadPublished(Event):
    """Where a tenant's ledger stood, signed: what is in it up to here can never be changed unseen.

    On a compacted topic: the newest of each ledger stays for ever.
    """

    TYPE: ClassVar[str] = "invoiceos.ledger_head.published.v1"
    TOPIC: ClassVar[str] = "invoiceos.ledger_head.v1"
    OWNER: ClassVar[str] = "reserve-ledger"
    KEY: ClassVar[tuple[str, str]] = ("ledger_id", "ldg")

    ledger_id: UUID
    """The tenant's ledger; the tenant's own id."""
    sequence: int
    """The last transaction that is in it."""
    hash: str
    """Hash of that transaction, and so of all before it; hexadecimal."""
    published_at: Moment
    signature: str
    """Ed25519 over SHA-256 of ledger, sequence, hash and time in canonical form; base64."""
    key_id: str


class ReserveReconciled(Event):
    """Two people agree: up to a moment, book and statement of a source are explained."""

    TYPE: ClassVar[str] = "invoiceos.ledger.reserve_reconciled.v1"
    TOPIC: ClassVar[str] = "invoiceos.ledger.v1"
    OWNER: ClassVar[str] = "reserve-ledger"
    KEY: ClassVar[tuple[str, str]] = ("reconciliation_id", "rec")

    reconciliation_id: UUID
    """The reconciliation, of one source in one asset."""
    source: str
    asset: AssetCode
    cut_off: Moment
    """Everything up to here is matched or listed as a break."""
    breaks_open: int
    """How many differences it carries on, each named and classed."""
    content_hash: str
    """SHA-256 over what was compared, hexadecimal."""
    created_by: str
    signed_by: str
    """Another person than the one who began it."""


class ReserveStated(Event):
    """With each batch of postings: the reserve covers what circulates, signed."""

    TYPE: ClassVar[str] = "invoiceos.ledger.reserve_stated.v1"
    TOPIC: ClassVar[str] = "invoiceos.ledger.v1"
    OWNER: ClassVar[str] = "reserve-ledger"
    KEY: ClassVar[tuple[str, str]] = ("statement_series_id", "stm")

    statement_series_id: StatementId
    sequence: int
    """1, 2, 3 ..., no gap."""
    positions: tuple[ReservePosition, ...]
    covered: bool
    ledger_head: str
    """Hash over the heads of the ledgers this batch touched, chained to the statement before."""
    previous_hash: str
    stated_at: Moment
    signature: str
    """Ed25519 over `ledger_head` and the canonical positions; base64."""
    key_id: str
    ledgers: tuple[LedgerHead, ...] = ()
    """The ledgers this batch touched, with the heads that `ledger_head` is made of."""
    observed: tuple[ObservedReserve, ...] = ()
    """The reserve by source, as each source itself said."""
    comparisons: tuple[ReserveComparison, ...] = ()
    observed_signature: str | None = None
    """Ed25519 over `ledger_head`, and over ledgers, observed and comparisons in canonical form."""


class ChargebackBooked(LedgerEvent):
    """What became of disputed money, in the books."""

    TYPE: ClassVar[str] = "invoiceos.ledger.chargeback_booked.v1"

    invoice_id: InvoiceId
    payment_id: PaymentId
    dispute_id: DisputeId
    amount: Amount
    outcome: str
    """opened, won or lost."""
    booked_at: Moment


class ReservationEvent(Event):
    """Belongs to the history of money set apart for a refund or a payout."""

    TOPIC: ClassVar[str] = "invoiceos.ledger.v1"
    OWNER: ClassVar[str] = "reserve-ledger"
    KEY: ClassVar[tuple[str, str]] = ("reservation_id", "rsv")

    reservation_id: ReservationId
    """The id of the refund or the payout it is for."""
    purpose: str
    """refund or payout."""
    amount: Amount
    invoice_id: InvoiceId | None
    """Of a refund."""
    payment_id: PaymentId | None
    """Of a refund."""


class FundsReserved(ReservationEvent):
    """The money is set apart: it can be sent."""

    TYPE: ClassVar[str] = "invoiceos.ledger.funds_reserved.v1"

    transaction_id: TransactionId
    booked_at: Moment


class FundsReservationRefused(ReservationEvent):
    """There is not enough, or nothing may leave now: nothing was set apart, nothing may be sent."""

    TYPE: ClassVar[str] = "invoiceos.ledger.funds_reservation_refused.v1"

    cause: str
    """insufficient_funds, not_in_treasury (it is owed, and lies elsewhere) or frozen; more may
    come."""
    available: Amount


class FundsReleased(ReservationEvent):
    """The money was not sent, definitely: it is available again."""

    TYPE: ClassVar[str] = "invoiceos.ledger.funds_released.v1"

    transaction_id: TransactionId
    cause: str
    booked_at: Moment


class ReservationSettled(ReservationEvent):
    """The money was sent, finally, and is out of the books."""

    TYPE: ClassVar[str] = "invoiceos.ledger.reservation_settled.v1"

    transaction_id: TransactionId
    booked_at: Moment
