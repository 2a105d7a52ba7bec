"""What a provider's adapter is asked for and answers; each folder under `providers` is one.

An adapter knows its provider's wire and words, and nothing of payments, leases, rules or tables. It
never raises for what a provider does: every call comes to an `Answer` with an `Outcome`. Whatever
calls it holds no transaction, and has stored the order with its key before the first call.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from provider_orchestrator.domain.outcomes import Outcome


class Kind(StrEnum):
    """What is to be done."""

    COLLECT = "collect"
    """Take money from a payer, or make ready for the payer to send it."""
    CAPTURE = "capture"
    """Take what was authorised, in whole or in part; the rest is released."""
    VOID = "void"
    """Give up what was authorised or begun. Done when the answer's status is `CANCELED`; that it
    is `SUCCEEDED` says that it was captured before, and how much."""
    REFUND = "refund"
    PAYOUT = "payout"


class Status(StrEnum):
    """Where an object stands at the provider, in our words: a closed list."""

    REQUIRES_ACTION = "requires_action"
    """The payer has to do something: `Answer.action` says what."""
    APPROVED = "approved"
    """The payer agreed, and nothing is taken: `send` the same order again, now with its
    `provider_reference`, and the adapter takes or reserves the money (PayPal)."""
    PROCESSING = "processing"
    """Accepted and not finished; it can still go either way."""
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    """Captured, given back or paid out: finally."""
    FAILED = "failed"
    """It came to nothing, definitely: declined, refused, returned."""
    CANCELED = "canceled"
    """Given up, by us or by time: nothing happened and nothing can any more."""
    NOT_FOUND = "not_found"
    """The provider does not know it, yet. `Answer.cannot_happen` says whether that is proof."""


@dataclass(frozen=True, slots=True)
class Order:
    """One operation, as stored before the first call: repeated, it is the same to the letter."""

    kind: Kind
    id: UUID
    """Of the attempt, the refund or the payout: our reference at the provider."""
    tenant_id: UUID
    key: UUID
    """Idempotency key, version 4; the same in every repetition of this operation."""
    amount_minor: int
    asset: str
    created_at: datetime
    """When it was stored: keys and signed transactions live for a time from here."""
    rail: str = ""
    method: str | None = None
    """How the payer pays, for example card."""
    instrument: str | None = None
    """What the payer left at the provider to be charged without a page: its token there, never a
    card's number."""
    manual_capture: bool = False
    provider_reference: str | None = None
    """The object's own name at the provider, once it is known."""
    parent_reference: str | None = None
    """Of what is captured, voided or given back: the payment's name at the provider."""
    parent_minor: int | None = None
    """What the parent's amount was: a refund or capture of all of it need not say how much."""
    invoice_reference: str = ""
    """Public id of the invoice or intent, for the provider's reports; never its number."""
    description: str = ""
    """What the payer reads."""
    return_url: str | None = None
    """Where the payer comes back to."""
    destination: Mapping[str, str] = field(default_factory=dict)
    """Of a payout: where to, in the rail's own fields, for example `address` or `email`."""
    prepared: bytes | None = None
    """What `Adapter.prepare` made, for example a signed transaction."""


class ActionKind(StrEnum):
    """What the payer has to do."""

    REDIRECT = "redirect"
    """Go to `url`."""
    DEPOSIT = "deposit"
    """Send to `address`."""


@dataclass(frozen=True, slots=True)
class Action:
    """What the payer has to do next, and until when."""

    kind: ActionKind
    url: str | None = None
    address: str | None = None
    chain: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call came to."""

    outcome: Outcome
    status: Status | None = None
    """Where the object stands; None where the call did not tell."""
    provider_reference: str | None = None
    amount_minor: int | None = None
    """What really moved (captured, given back, paid out), in minor units of `asset`: the truth,
    whatever was ordered."""
    asset: str | None = None
    authorized_minor: int | None = None
    fee_minor: int | None = None
    """What the provider kept of it, in minor units of `asset`; None where it does not say."""
    action: Action | None = None
    available_at: datetime | None = None
    """From when on the money can be paid out, where the provider says so."""
    cause: str = ""
    """Our code for why it is not `SUCCEEDED`: insufficient_funds, card_declined, timeout ..."""
    retryable_elsewhere: bool = False
    """Of a decline: whether another provider may well say yes (a soft decline)."""
    cannot_happen: bool = False
    """Of an inquiry: it did not happen and never can, by the provider's own rules."""
    retry_after_s: float | None = None
    latency_us: int = 0
    raw: Mapping[str, Any] = field(default_factory=dict)
    """What the provider said, kept beside what we made of it; without secrets and card data."""


class ProviderFault(Exception):
    """The provider did not tell; the outcome says in which way."""

    def __init__(self, outcome: Outcome, cause: str) -> None:
        """Say how it went and why."""
        super().__init__(cause)
        self.outcome = outcome
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Webhook:
    """A request from a provider, as it came: nothing in it is believed."""

    body: bytes
    headers: Mapping[str, str]
    """Names in lower case."""


class NotAuthentic(Exception):
    """The signature is wrong, missing, too old or replayed."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What a verified webhook points at. It is a reason to read the object again, never a fact."""

    event_id: str
    """The provider's own, unique there; the same in every delivery."""
    event_type: str
    references: tuple[str, ...] = ()
    """Objects to read again: names at the provider, or our references."""
    at: datetime | None = None
    answer: bytes = b""
    """Body of our answer where the provider wants one."""
    confirm_url: str | None = None
    """To be fetched once, where the provider asks who receives wants to (SNS)."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a provider says it holds for us, at a moment."""

    asset: str
    available_minor: int
    pending_minor: int
    at: datetime


class LineKind(StrEnum):
    """What a line of a statement is about."""

    PAYMENT = "payment"
    REFUND = "refund"
    FEE = "fee"
    DISPUTE = "dispute"
    PAYOUT = "payout"
    """Of ours, to somebody."""
    TRANSFER = "transfer"
    """Of the provider, to our bank."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One movement on the provider's own statement."""

    id: str
    """Unique at the provider."""
    kind: LineKind
    asset: str
    gross_minor: int
    """Signed: positive is for us."""
    fee_minor: int
    at: datetime
    provider_reference: str | None = None
    """The object it is of."""
    our_reference: str | None = None
    available_at: datetime | None = None
    transfer_reference: str | None = None
    """The transfer to the bank that it went out with, where that is known."""
    raw: Mapping[str, Any] = field(default_factory=dict)


class Adapter(Protocol):
    """One provider. Its folder's module `adapter` has `adapter(session) -> Adapter | None`.

    `session` is an aiohttp session for the life of the process; the result is None where the
    provider is not configured. Each folder has its own settings, found by nobody else.
    """

    @property
    def name(self) -> str:
        """Name of the folder, in facts, rules and addresses of webhooks."""

    def prepare(self, orders: Sequence[Order], now: datetime) -> Sequence[bytes | None]:
        """What has to be stored before the first call of each, without calling anyone."""

    async def send(self, order: Order) -> Answer:
        """Carry out an order, or repeat it: the provider does it once for one key.

        An adapter refuses to repeat (`Outcome.UNKNOWN`, cause `key_expired`) when the key has
        outlived what the provider remembers. Only an answer with a `status` says what became of
        the order: where an earlier call is unknown, a repetition that is INFRA, THROTTLED, AUTH or
        OUR_FAULT says nothing of it.
        """

    async def find(self, order: Order) -> Answer:
        """Where an order stands: by the provider's own reference, else by ours. Moves nothing.

        `outcome` is how the question went, and OK whatever `status` says; without a `status`
        nothing was learned. `NOT_FOUND` is proof only together with `cannot_happen`.
        """

    async def probe(self, rail: str) -> Answer:
        """A cheap question that moves nothing, to learn whether the provider is well."""

    async def hint(self, webhook: Webhook) -> Hint:
        """What a webhook points at; raises `NotAuthentic`.

        It may have to fetch the provider's public key first, from the provider's own host, once:
        call it outside transactions. Raises `ProviderFault` where the key cannot be had; the
        webhook is then not answered with success, and comes again.
        """

    async def holdings(self) -> Sequence[Holding]:
        """What it holds for us; raises `ProviderFault` when it does not say."""

    def statement(self, since: datetime, until: datetime) -> AsyncIterator[StatementLine]:
        """Movements from `since` to just before `until`, oldest first; raises as `holdings`."""
