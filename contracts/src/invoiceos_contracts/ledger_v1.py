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
    """insufficient_funds or frozen; more may come."""
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
