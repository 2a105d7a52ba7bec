"""Facts of `invoiceos.wallet.v1`: how each invoice got the place it is paid into."""

from typing import ClassVar

from invoiceos_contracts.base import Amount, AssetCode, Event, Mode, Moment, Shape
from invoiceos_contracts.ids import InvoiceId, WalletId


class WalletEvent(Event):
    """Belongs to a wallet's history."""

    TOPIC: ClassVar[str] = "invoiceos.wallet.v1"
    OWNER: ClassVar[str] = "wallet-factory"
    KEY: ClassVar[tuple[str, str]] = ("wallet_id", "wal")

    wallet_id: WalletId
    invoice_id: InvoiceId


class WalletModeSelected(WalletEvent):
    """The selector decided, and says why."""

    TYPE: ClassVar[str] = "invoiceos.wallet.mode_selected.v1"

    mode: Mode
    rule: str
    """Name and version of the rule or model that decided."""
    reasons: tuple[str, ...]


class WalletReady(WalletEvent):
    """The invoice has a place to be paid."""

    TYPE: ClassVar[str] = "invoiceos.wallet.ready.v1"

    mode: Mode
    rail: str
    chain_id: int | None
    address: str
    memo: str | None
    """32 bytes, hexadecimal; a commitment that reveals nothing of the invoice."""
    accepted_assets: tuple[AssetCode, ...]
    due: Amount
    ttl_s: int
    watch_window_s: int
    expires_at: Moment
    decision: str
    """The rule that chose the rail."""
    salt: str | None = None
    """On a rail where money has to be fetched from the address: the CREATE2 salt, 32 bytes."""


class WalletFailed(WalletEvent):
    """No rail could serve the request."""

    TYPE: ClassVar[str] = "invoiceos.wallet.failed.v1"

    reason: str
    tried: tuple[str, ...]


class DestroyedItem(Shape):
    """One thing that no longer exists."""

    what: str
    fingerprint: str
    """SHA-256 of what was destroyed, hexadecimal."""


class WalletSecretsDestroyed(WalletEvent):
    """What the factory held of a wallet is gone, and was read back as absent."""

    TYPE: ClassVar[str] = "invoiceos.wallet.secrets_destroyed.v1"

    items: tuple[DestroyedItem, ...]
    kept: tuple[str, ...]
    """What stays, and why: said so that the certificate is the whole truth."""
    destroyed_at: Moment
