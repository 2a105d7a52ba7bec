"""What is to be posted: a transaction with its legs, and what it says beside them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reserve_ledger.domain.catalogue import Legs, Template
from reserve_ledger.domain.templates import Split


@dataclass(frozen=True, slots=True)
class Funds:
    """What a transaction means for an invoice's settlement."""

    wallet_id: UUID
    payment_id: UUID
    split: Split
    cause: str = ""
    """Why the funds left; empty where they came."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction to be posted."""

    tenant_id: UUID
    id: UUID
    template: Template
    cause_event_id: UUID
    """The event that led to it; its own id where somebody asked for it."""
    legs: Legs
    invoice_id: UUID | None = None
    payment_id: UUID | None = None
    reverses: UUID | None = None
    funds: Funds | None = None
    reference: str | None = None
    """The caller's name for it: one transaction a tenant."""
    effective_at: datetime | None = None
    """When it counts, where that is not when it is posted."""
    metadata: str | None = None
    """Canonical JSON of an object of texts."""
    actor: str | None = None
    """Who asked for it."""
