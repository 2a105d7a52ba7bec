"""Facts of `invoiceos.ledger.v1` about money that is promised: holds, and escrow."""

from typing import ClassVar

from invoiceos_contracts.base import Amount, Event, Moment
from invoiceos_contracts.ids import HoldId, TransactionId
from invoiceos_contracts.ledger_v1 import LedgerEvent


class HoldEvent(Event):
    """Belongs to one hold's history."""

    TOPIC: ClassVar[str] = "invoiceos.ledger.v1"
    OWNER: ClassVar[str] = "reserve-ledger"
    KEY: ClassVar[tuple[str, str]] = ("hold_id", "hld")

    hold_id: HoldId
    """The hold."""
    reference: str
    """The tenant's own name for the hold; there is one for each."""
    address: str
    """Where the money is, for example `merchant:available:shop-7`."""
    amount: Amount
    """What was held back."""


class HoldPlaced(HoldEvent):
    """Money is promised: it stays where it is and is not available."""

    TYPE: ClassVar[str] = "invoiceos.ledger.hold_placed.v1"

    expires_at: Moment | None
    """When it ends by itself; null where it never does."""
    placed_by: str
    """Who asked for it."""
    placed_at: Moment
    """When it was placed."""


class HoldCaptured(HoldEvent):
    """Held money went on, all of it or a part; what is left of it is available again."""

    TYPE: ClassVar[str] = "invoiceos.ledger.hold_captured.v1"

    captured: Amount
    released: Amount
    """What was not captured."""
    transaction_id: TransactionId
    ended_at: Moment
    """When it was captured."""


class HoldVoided(HoldEvent):
    """A hold was given up: all of it is available again."""

    TYPE: ClassVar[str] = "invoiceos.ledger.hold_voided.v1"

    ended_at: Moment
    """When it was given up."""


class HoldExpired(HoldEvent):
    """A hold was not captured in time: all of it is available again."""

    TYPE: ClassVar[str] = "invoiceos.ledger.hold_expired.v1"

    ended_at: Moment
    """When it ended."""


class EscrowEvent(LedgerEvent):
    """A transaction changed what an escrow holds."""

    address: str
    """The escrow, for example `escrow:order-12`."""
    amount: Amount
    """How much came or went; never negative."""
    balance: Amount
    """What the escrow holds after the transaction."""
    booked_at: Moment


class EscrowHeld(EscrowEvent):
    """Money is in escrow: nobody's to spend until it is released or returned."""

    TYPE: ClassVar[str] = "invoiceos.ledger.escrow_held.v1"


class EscrowReleased(EscrowEvent):
    """Money left an escrow for a merchant, or for another escrow."""

    TYPE: ClassVar[str] = "invoiceos.ledger.escrow_released.v1"


class EscrowReturned(EscrowEvent):
    """Money left an escrow for a payer: it is his again."""

    TYPE: ClassVar[str] = "invoiceos.ledger.escrow_returned.v1"
