"""What a tenant may post by itself, and what it can hold back: only what is owed to it.

All of these accounts are liabilities, so a transaction among them moves what is owed and never how
much: the reserve covers it as it did before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from messaging import Refusal
from reserve_ledger.domain.addresses import code_of, own_address
from reserve_ledger.domain.catalogue import Leg, Legs, Template
from reserve_ledger.domain.chain import Ledger, Posted, is_balanced
from reserve_ledger.domain.chart import ESCROW, MERCHANT_AVAILABLE, PAYER_UNAPPLIED
from reserve_ledger.domain.entries import Entry
from reserve_ledger.domain.templates import reversal
from reserve_ledger.errors import (
    AccountNotYours,
    AddressUnknown,
    InsufficientFunds,
    PostingsUnbalanced,
    ReferenceReused,
    TransactionNotReversible,
)

POSTED: Final = Template("posted", 1)
REVERSED: Final = Template("posted_reversed", 1)
CAPTURED: Final = Template("hold_captured", 1)
OWNED: Final = frozenset({MERCHANT_AVAILABLE, ESCROW, PAYER_UNAPPLIED})
"""Pending money and the payers' own credit move by payments alone: they are kept by payment."""


@dataclass(frozen=True, slots=True)
class Line:
    """One posting as it was asked for: positive is a debit, negative a credit."""

    address: str
    asset: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class PostingRequest:
    """A transaction that somebody asks for."""

    tenant_id: UUID
    actor: str
    lines: tuple[Line, ...]
    reference: str
    effective_at: datetime | None = None
    metadata: str | None = None
    """Canonical JSON of an object of texts."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a request."""

    entry: Entry
    balances: tuple[int, ...]
    """Of each leg's address after it, in minor units."""
    posted: Posted | None = None
    """None for a dry run."""


def leg_of(line: Line) -> Leg | Refusal:
    """The leg of a line, or why it cannot be."""
    code = code_of(line.address)
    if code is None:
        return AddressUnknown(f"{line.address} is no address of the chart", address=line.address)
    own = line.address == own_address(code)
    if code not in OWNED or (code == PAYER_UNAPPLIED and own):
        return AccountNotYours(address=line.address)
    return Leg(code, line.asset, line.amount_minor, None if own else line.address)


def legs_of(lines: Sequence[Line]) -> Legs | Refusal:
    """The legs of a request, or why they cannot be posted."""
    legs: list[Leg] = []
    for line in lines:
        leg = leg_of(line)
        if isinstance(leg, Refusal):
            return leg
        legs.append(leg)
    return tuple(legs) if is_balanced(legs) else PostingsUnbalanced()


def entry_of(request: PostingRequest, legs: Legs, new_id: UUID) -> Entry:
    """What is to be posted for a request."""
    return Entry(
        tenant_id=request.tenant_id,
        id=new_id,
        template=POSTED,
        cause_event_id=new_id,
        legs=legs,
        reference=request.reference,
        effective_at=request.effective_at,
        metadata=request.metadata,
        actor=request.actor,
    )


def again(request: PostingRequest, legs: Legs, before: Posted) -> Written | Refusal:
    """The same request again is answered as before; another under its name is refused."""
    entry = before.entry
    asked = (legs, request.effective_at, request.metadata, POSTED)
    if asked != (entry.legs, entry.effective_at, entry.metadata, entry.template):
        return ReferenceReused(transaction_id=str(entry.id))
    return Written(entry, before.address_balances, before)


def reversal_of(before: Posted, actor: str, new_id: UUID) -> Entry | Refusal:
    """What undoes a transaction, linked to it."""
    entry = before.entry
    if entry.template not in (POSTED, CAPTURED):
        return TransactionNotReversible()
    return Entry(
        tenant_id=entry.tenant_id,
        id=new_id,
        template=REVERSED,
        cause_event_id=new_id,
        legs=reversal(entry.legs),
        reverses=entry.id,
        actor=actor,
    )


def short_of(ledger: Ledger, legs: Legs) -> InsufficientFunds | None:
    """Why these legs cannot be posted; None where there is enough."""
    leg = ledger.shortfall(legs)
    if leg is None:
        return None
    return InsufficientFunds(
        address=leg.address or own_address(leg.account),
        asset=leg.asset,
        available_minor=max(0, ledger.account(leg).available_minor),
    )


def previewed(ledger: Ledger, legs: Legs) -> tuple[int, ...]:
    """Balances of the legs' addresses, were they posted."""
    moved: dict[tuple[str, str], int] = {}
    balances = []
    for leg in legs:
        key = (leg.address or own_address(leg.account), leg.asset)
        moved[key] = moved.get(key, 0) + leg.amount_minor
        balances.append(ledger.account(leg).net_minor + moved[key])
    return tuple(balances)


class HoldState(StrEnum):
    """Where a hold stands."""

    HELD = "held"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Hold:
    """Money that is promised: it is still there, and not available."""

    tenant_id: UUID
    id: UUID
    reference: str
    address: str
    asset: str
    amount_minor: int
    state: HoldState
    actor: str
    created_at: datetime
    captured_minor: int = 0
    expires_at: datetime | None = None
    transaction_id: UUID | None = None
    ended_at: datetime | None = None

    def leg(self, amount_minor: int) -> Leg:
        """So much of it."""
        found = leg_of(Line(self.address, self.asset, amount_minor))
        assert isinstance(found, Leg)
        return found

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be captured or voided."""
        return self.state is HoldState.HELD and (self.expires_at is None or now < self.expires_at)

    def ended(
        self,
        state: HoldState,
        at: datetime,
        captured_minor: int = 0,
        transaction_id: UUID | None = None,
    ) -> "Hold":
        """The hold once it is over; what was not captured is available again."""
        return replace(
            self,
            state=state,
            ended_at=at,
            captured_minor=captured_minor,
            transaction_id=transaction_id,
        )
