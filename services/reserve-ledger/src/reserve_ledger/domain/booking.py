"""A payment's booking: where its money lies, and what of it is still pending."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from reserve_ledger.domain.catalogue import Legs, Template, fill
from reserve_ledger.domain.templates import CLEARING, DEPOSIT, IN_TREASURY, TREASURY, Place, Split


class BookingState(StrEnum):
    """Where a payment stands in the books."""

    BOOKED = "booked"
    SUSPENSE = "suspense"
    REVERSED = "reversed"


@dataclass(frozen=True, slots=True)
class Booking:
    """Where a payment stands, and how it was divided when it was last booked."""

    tenant_id: UUID
    payment_id: UUID
    invoice_id: UUID
    state: BookingState
    generation: int
    """How often the payment entered the books."""
    transaction_id: UUID
    """The transaction that last changed the state."""
    split: Split
    reclassed: bool = False
    """What had been applied was given back to the payer by a void."""
    place: Place = IN_TREASURY
    cleared: bool = False
    """What was pending became available; where it lay at a deposit address, it was swept."""
    taken_minor: int = 0
    """What refunds and chargebacks took of the pending part."""
    kept_minor: int = 0
    """What a void could not make the payer's: it was refunded or spent before."""
    short_minor: int = 0
    """What the platform bore when it was taken back."""

    @property
    def waits(self) -> bool:
        """Whether its money is booked and not cleared yet."""
        booked = self.state is BookingState.BOOKED
        return booked and self.place.held_at != TREASURY and not self.cleared

    @property
    def left_minor(self) -> int:
        """What the merchant has or will have of it, the platform's fee included."""
        return self.split.applied_minor - self.taken_minor

    @property
    def gone_minor(self) -> int:
        """What of it cannot be the payer's once the invoice is void."""
        return self.taken_minor + self.kept_minor

    @property
    def pending_minor(self) -> int:
        """What is pending of it now."""
        return self.left_minor if self.waits and not self.reclassed else 0

    def fee_minor(self, left_minor: int) -> int:
        """The platform's fee where so much is left; never more than that."""
        return min(self.split.fee_minor, left_minor)

    @property
    def final(self) -> dict[str, int]:
        """Amounts of what becomes, or became, available."""
        return {"applied": self.left_minor, "fee": self.fee_minor(self.left_minor)}

    @property
    def clears_by(self) -> str:
        """The template that makes it available."""
        return "provider_funds_available" if self.place.held_at == CLEARING else "deposit_available"

    @property
    def lies_at_an_address(self) -> bool:
        """Whether it has to be swept."""
        return self.place.held_at == DEPOSIT

    def goes_on(self, back_minor: int) -> tuple[Template, Legs] | None:
        """Where so much goes that is pending again, of a payment that is beyond that by now."""
        if self.reclassed:
            return fill("invoice_voided_pending_reclass", self.split.asset, {"applied": back_minor})
        if not self.cleared or self.state is not BookingState.BOOKED:
            return None
        fee = self.fee_minor(self.left_minor + back_minor) - self.fee_minor(self.left_minor)
        return fill(self.clears_by, self.split.asset, {"applied": back_minor, "fee": fee})
