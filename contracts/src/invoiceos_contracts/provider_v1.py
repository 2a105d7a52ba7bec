"""Facts of `invoiceos.provider.v1`: how the providers are, and what they hold."""

from typing import ClassVar
from uuid import UUID

from invoiceos_contracts.base import Amount, AssetCode, Event, Health, Moment, Shape
from invoiceos_contracts.ids import InvoiceId, PaymentId, WalletId


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


class ProviderMethodsDeclared(Event):
    """How payers can pay through a provider on a rail, as it is configured now."""

    TYPE: ClassVar[str] = "invoiceos.provider.methods_declared.v1"
    TOPIC: ClassVar[str] = "invoiceos.provider.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("provider_id", "prv")

    provider_id: UUID
    provider: str
    rail: str
    methods: tuple[str, ...]
    """card, paypal; more may come. Empty where it is no longer configured."""
    assets: tuple[AssetCode, ...]
    """In which it takes payments."""
    amount_max_minor: int
    """The most that one payment may be, in minor units of its asset."""
    pages: tuple[str, ...]
    """Where its own pages are, as sources of a content security policy; payers are sent there."""


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


class DepositSwept(Event):
    """Money that lay at a wallet's own address is in the treasury now, at a final block."""

    TYPE: ClassVar[str] = "invoiceos.provider.deposit_swept.v1"
    TOPIC: ClassVar[str] = "invoiceos.provider.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("wallet_id", "wal")

    wallet_id: WalletId
    invoice_id: InvoiceId
    provider: str
    rail: str
    chain_id: int
    address: str
    amount: Amount
    """What was moved: all payments to the address since it was last swept."""
    payments: tuple[PaymentId, ...]
    """Which they are."""
    block_number: int
    transaction_hash: str
    swept_at: Moment


class NetworkFeePaid(Event):
    """The platform paid for a transaction on a chain."""

    TYPE: ClassVar[str] = "invoiceos.provider.network_fee_paid.v1"
    TOPIC: ClassVar[str] = "invoiceos.provider.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("fee_id", "fee")

    fee_id: UUID
    provider: str
    rail: str
    chain_id: int
    transaction_hash: str
    purpose: str
    """sweep, refund or payout; more may come."""
    fee: Amount | None
    """Null where the chain's own coin is none of our assets; then `wei` alone says it."""
    wei: str
    """The fee in the smallest unit of the chain's own coin, a decimal number."""
    paid_at: Moment


class ProviderPayoutEvent(Event):
    """Belongs to the history of a payout that a provider makes to our bank account."""

    TOPIC: ClassVar[str] = "invoiceos.provider.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("provider_payout_id", "ppo")

    provider_payout_id: UUID
    """Of this tenant's part: a provider pays out for all tenants at once."""
    provider: str
    provider_reference: str
    amount: Amount
    """This tenant's part."""


class ProviderPayoutAnnounced(ProviderPayoutEvent):
    """The provider has sent it."""

    TYPE: ClassVar[str] = "invoiceos.provider.payout_announced.v1"

    arrives_at: Moment | None


class ProviderPayoutArrived(ProviderPayoutEvent):
    """It is in the bank."""

    TYPE: ClassVar[str] = "invoiceos.provider.payout_arrived.v1"

    arrived_at: Moment


class ProviderPayoutFailed(ProviderPayoutEvent):
    """It came back: the provider holds it again."""

    TYPE: ClassVar[str] = "invoiceos.provider.payout_failed.v1"

    cause: str


class ReserveSource(Event):
    """Belongs to the history of one place where money is held, in one asset."""

    TOPIC: ClassVar[str] = "invoiceos.provider.v1"
    OWNER: ClassVar[str] = "provider-orchestrator"
    KEY: ClassVar[tuple[str, str]] = ("source_id", "src")

    source_id: UUID
    """Stands for source and asset together."""
    source: str
    """Where: `tempo:4217:0x..` for an address, `stripe` for an account at a provider."""
    asset: AssetCode


class ReserveSourceObserved(ReserveSource):
    """What is held at one place, as the place itself said: a final block, a provider's balance."""

    TYPE: ClassVar[str] = "invoiceos.provider.reserve_source_observed.v1"

    kind: str
    """chain, supply (what circulates of a token we issue), provider or bank."""
    balance_minor: int
    deposits_minor: int | None = None
    """All that ever came in by payments up to this moment; null where nobody can say."""
    held_elsewhere_minor: int = 0
    """Part of the deposits that a receive policy keeps at a guard."""
    unannounced_minor: int = 0
    """Part of the deposits that no payment was stated for yet: not final, or nobody's."""
    block_number: int | None = None
    block_hash: str | None = None
    as_of: Moment
    """Time of the block, or when the provider answered."""


class StatementLine(Shape):
    """One movement as the other side lists it."""

    reference: str
    """Names the movement there: `0x<transaction>:<log index>`, a balance transaction's id."""
    ordinal: int = 1
    """1, and 2, 3 ... where the statement has the same reference again."""
    amount_minor: int
    """Positive came in, negative went out."""
    at: Moment
    related: str | None = None
    """What it is about: a charge, a capture, an address."""
    memo: str | None = None
    group: str | None = None
    """The payout or batch it was part of."""
    status: str | None = None
    """captured, refunded, disputed, paid_out or fee, where the other side says so."""


class ProviderStatementLinesObserved(ReserveSource):
    """A page of the other side's own statement; pages overlap harmlessly."""

    TYPE: ClassVar[str] = "invoiceos.provider.statement_lines_observed.v1"

    statement: str
    """Names the statement at its source: the days or blocks it covers."""
    page: int
    """1, 2, 3 ..."""
    last_page: bool
    starts_at: Moment
    ends_at: Moment
    opening_minor: int | None = None
    closing_minor: int | None = None
    lines: tuple[StatementLine, ...]
