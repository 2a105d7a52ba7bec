"""Disputes: whose money goes with a chargeback, and whose comes back with it.

First the payer's own credit of that payment, then what is pending of it, then what the merchant
has available; what is short is the platform's loss. Won or lost outweighs opened, whichever comes
first.
"""

from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from invoiceos_contracts.payment_v1 import PaymentDisputeClosed, PaymentDisputed
from reserve_ledger.domain.catalogue import Legs, Template, fill

OPENED: Final = "opened"
WON: Final = "won"
LOST: Final = "lost"
DISPUTE_WON: Final = Template("chargeback_won", 1)


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute, and what of whose money it took."""

    tenant_id: UUID
    id: UUID
    payment_id: UUID
    invoice_id: UUID
    provider: str
    asset: str
    amount_minor: int
    outcome: str
    cause_event_id: UUID
    """The event that first told of it."""
    credit_minor: int = 0
    pending_minor: int = 0
    available_minor: int = 0
    short_minor: int = 0
    fee_asset: str | None = None
    fee_minor: int = 0
    transaction_id: UUID | None = None
    """The transaction that took the money; None where none did."""
    sequence: int | None = None
    template: str | None = None
    ended_by: UUID | None = None
    """The transaction that gave it back."""

    @property
    def is_taken(self) -> bool:
        """Whether the money is gone in the books."""
        return self.transaction_id is not None and self.ended_by is None

    def legs(self) -> tuple[Template, Legs]:
        """What takes the money."""
        amounts = {
            "credit": self.credit_minor,
            "pending": self.pending_minor,
            "available": self.available_minor,
            "short": self.short_minor,
        }
        return fill("chargeback_opened", self.asset, amounts, {"provider": self.provider})

    def from_whom(self, credit: int, pending: int, available: int) -> "Dispute":
        """Divided over what there is of each."""
        left = self.amount_minor
        parts = []
        for there in (credit, pending, available):
            part = min(left, max(0, there))
            parts.append(part)
            left -= part
        return replace(
            self,
            credit_minor=parts[0],
            pending_minor=parts[1],
            available_minor=parts[2],
            short_minor=left,
        )


def told(
    known: Dispute | None, fact: PaymentDisputed | PaymentDisputeClosed, cause: UUID
) -> Dispute:
    """The dispute after this news."""
    if fact.disputed.amount_minor <= 0:
        raise ValueError("only more than nothing can be disputed")
    outcome = fact.outcome if isinstance(fact, PaymentDisputeClosed) else OPENED
    if outcome not in (OPENED, WON, LOST):
        message = f"a dispute ends won or lost, not {outcome[:40]}"
        raise ValueError(message)
    if known is None:
        known = Dispute(
            tenant_id=fact.tenant_id,
            id=fact.dispute_id,
            payment_id=fact.payment_id,
            invoice_id=fact.invoice_id,
            provider=fact.provider,
            asset=fact.disputed.asset,
            amount_minor=fact.disputed.amount_minor,
            outcome=outcome,
            cause_event_id=cause,
        )
    elif known.outcome == OPENED:
        known = replace(known, outcome=outcome)
    if isinstance(fact, PaymentDisputed) and fact.fee and known.fee_asset is None:
        if fact.fee.amount_minor < 0:
            raise ValueError("a fee cannot be negative")
        known = replace(known, fee_asset=fact.fee.asset, fee_minor=fact.fee.amount_minor)
    return known
