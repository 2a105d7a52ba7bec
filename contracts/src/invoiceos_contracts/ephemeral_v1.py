"""Facts of `invoiceos.ephemeral.v1`: the life of each ephemeral wallet and its end."""

from typing import ClassVar

from invoiceos_contracts.base import Amount, Event, Moment, Shape
from invoiceos_contracts.ids import InvoiceId, PaymentId, WalletId
from invoiceos_contracts.wallet_v1 import DestroyedItem


class EphemeralEvent(Event):
    """Belongs to an ephemeral wallet's history."""

    TOPIC: ClassVar[str] = "invoiceos.ephemeral.v1"
    OWNER: ClassVar[str] = "ephemeral-manager"
    KEY: ClassVar[tuple[str, str]] = ("wallet_id", "wal")

    wallet_id: WalletId
    invoice_id: InvoiceId


class Guard(Shape):
    """The values that were looked at before a step that cannot be undone."""

    drained: bool
    watch_window_over: bool
    unknown_payments: int
    open_disputes: int
    open_refunds: int
    legal_hold: bool


class EphemeralWalletActivated(EphemeralEvent):
    """The time to live began."""

    TYPE: ClassVar[str] = "invoiceos.ephemeral.activated.v1"

    until: Moment
    watch_window_s: int


class EphemeralWalletExtended(EphemeralEvent):
    """The time to live was made longer."""

    TYPE: ClassVar[str] = "invoiceos.ephemeral.extended.v1"

    until: Moment
    by: str


class EphemeralWalletExpired(EphemeralEvent):
    """The time to live is over."""

    TYPE: ClassVar[str] = "invoiceos.ephemeral.expired.v1"

    since: Moment


class EphemeralWalletDraining(EphemeralEvent):
    """What the wallet holds moves to the treasury; nothing to move on a forwarding address."""

    TYPE: ClassVar[str] = "invoiceos.ephemeral.draining.v1"

    reason: str


class EphemeralWalletDrained(EphemeralEvent):
    """The wallet holds nothing."""

    TYPE: ClassVar[str] = "invoiceos.ephemeral.drained.v1"

    reason: str


class EphemeralWalletWatching(EphemeralEvent):
    """The wallet is watched for late money."""

    TYPE: ClassVar[str] = "invoiceos.ephemeral.watching.v1"

    until: Moment


class LateFundsDetected(EphemeralEvent):
    """Money came while the wallet was being watched, or after its end."""

    TYPE: ClassVar[str] = "invoiceos.ephemeral.late_funds_detected.v1"

    payment_id: PaymentId
    amount: Amount
    policy: str


class LateFundsResolved(EphemeralEvent):
    """The late money is booked."""

    TYPE: ClassVar[str] = "invoiceos.ephemeral.late_funds_resolved.v1"

    payment_id: PaymentId
    amount: Amount
    policy: str


class EphemeralWalletDestroying(EphemeralEvent):
    """The guard was passed: every holder of something of this wallet destroys it now."""

    TYPE: ClassVar[str] = "invoiceos.ephemeral.destroying.v1"

    rail: str
    chain_id: int | None
    address: str
    guard: Guard


class CertificateBody(Shape):
    """What a destruction certificate certifies; the signature is over its canonical JSON."""

    version: int
    certificate_number: int
    """1, 2, 3 ... per tenant, no gap."""
    tenant_id: str
    wallet_id: str
    invoice_id: str
    rail: str
    chain_id: int | None
    address: str
    created_at: Moment
    destroyed_at: Moment
    reason: str
    destroyed: tuple[DestroyedItem, ...]
    kept: tuple[str, ...]
    final_block: int | None
    final_block_hash: str | None
    balances: tuple[Amount, ...]
    guard: Guard
    policy: str
    previous_hash: str
    """Hash of the tenant's certificate before this one; 64 zeros for the first."""


class Certificate(Shape):
    """Evidence that a wallet was destroyed by the stated procedure."""

    body: CertificateBody
    hash: str
    """SHA-256 of the canonical JSON of `body`, hexadecimal."""
    signature: str
    """Ed25519 over the 32 bytes of `hash`; base64."""
    key_id: str
    """SHA-256 of the public key, first 16 hexadecimal digits."""
    public_key: str
    """Base64; to be compared with the key the platform publishes."""


class EphemeralWalletDestroyed(EphemeralEvent):
    """The wallet is gone; this is its certificate."""

    TYPE: ClassVar[str] = "invoiceos.ephemeral.destroyed.v1"

    certificate: Certificate
