"""Facts of `invoiceos.provider.v1`: how the providers are, and what they hold."""

from typing import ClassVar
from uuid import UUID

from invoiceos_contracts.base import Amount, Event, Health, Moment
from invoiceos_contracts.ids import InvoiceId, WalletId


class ProviderHealthChanged(Event):
    """A provider's circuit changed state."""

    TYPE: ClassVar[str] = "invoiceos.provider.health_changed.v1"
    TOPIC: ClassVar[str] = "invoiceos.provider.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("provider_id", "prv")

    provider_id: UUID
    provider: str
    rail: str
    currency: str | None = None
    """The currency whose circuit it is; null where it is that of the rail as a whole."""
    old: Health
    new: Health
    score_ppm: int
    """Smoothed share of good answers, parts per million."""
    samples: int
    effective_samples: int | None = None
    """How many of them the score really rests on: the smoothing forgets."""
    cause: str
    at: Moment


class WalletBalanceObserved(Event):
    """What a wallet held at a final block, every deposit up to that block having been announced."""

    TYPE: ClassVar[str] = "invoiceos.provider.wallet_balance_observed.v1"
    TOPIC: ClassVar[str] = "invoiceos.provider.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("wallet_id", "wal")

    wallet_id: WalletId
    invoice_id: InvoiceId
    rail: str
    chain_id: int | None
    address: str
    block_number: int
    block_hash: str
    balances: tuple[Amount, ...]
    payments_pending: int
    """Payments to this wallet that were seen and are not final."""
    observed_at: Moment
