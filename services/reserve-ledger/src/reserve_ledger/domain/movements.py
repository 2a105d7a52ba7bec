"""What providers pay out to the bank, and what transactions on chains cost: each goes one way.

A later word outweighs an earlier one in whatever order they come, so that any order of the same
facts ends in the same books.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from invoiceos_contracts.provider_v1 import (
    NetworkFeePaid,
    ProviderPayoutAnnounced,
    ProviderPayoutArrived,
    ProviderPayoutEvent,
    ProviderPayoutFailed,
)
from reserve_ledger.domain.catalogue import Leg

MovementFact = ProviderPayoutEvent | NetworkFeePaid
FACTS: Final = (
    *(ProviderPayoutAnnounced, ProviderPayoutArrived, ProviderPayoutFailed),
    NetworkFeePaid,
)
ANNOUNCED: Final = "provider_payout_announced"
FAILED: Final = "provider_payout_failed"


class MovementState(StrEnum):
    """How far it has come."""

    ANNOUNCED = "announced"
    ARRIVED = "arrived"
    FAILED = "failed"
    PAID = "paid"


@dataclass(frozen=True, slots=True)
class Movement:
    """One payout of a provider, or one network fee."""

    tenant_id: UUID
    id: UUID
    kind: str
    provider: str
    asset: str
    amount_minor: int
    state: MovementState | None = None
    """None before anything was said of it."""
    transaction_id: UUID | None = None
    """The transaction that took it on its way."""

    @property
    def names(self) -> dict[str, str]:
        """What addresses are filled in with."""
        return {} if self.kind == "network_fee" else {"provider": self.provider}


_S: Final = MovementState
_PATHS: Final[dict[tuple[MovementState | None, MovementState], tuple[str, ...]]] = {
    (None, _S.ANNOUNCED): (ANNOUNCED,),
    (None, _S.ARRIVED): (ANNOUNCED, "provider_payout_banked"),
    (_S.ANNOUNCED, _S.ARRIVED): ("provider_payout_banked",),
    (_S.ANNOUNCED, _S.FAILED): (FAILED,),
    (_S.ARRIVED, _S.FAILED): ("provider_payout_returned",),
    (None, _S.FAILED): (),
    (None, _S.PAID): ("network_fee_paid",),
}
"""Templates that lead from one state to another; what is not here changes nothing."""


def path(before: Movement, to: MovementState) -> tuple[str, ...] | None:
    """What is to be posted on the way; None where it is there or beyond."""
    return _PATHS.get((before.state, to))


def read(fact: MovementFact) -> tuple[Movement, MovementState] | None:
    """The movement as this fact names it, and how far it has come; None where nothing is booked."""
    if isinstance(fact, NetworkFeePaid):
        if fact.fee is None or not fact.fee.amount_minor:
            return None
        amount, kind, state = fact.fee, "network_fee", _S.PAID
    else:
        amount, kind = fact.amount, "payout"
        state = _S.ANNOUNCED
        if isinstance(fact, ProviderPayoutArrived):
            state = _S.ARRIVED
        elif isinstance(fact, ProviderPayoutFailed):
            state = _S.FAILED
    if amount.amount_minor <= 0:
        raise ValueError("only more than nothing can be moved")
    name = name_of(fact)
    minor = amount.amount_minor
    return Movement(fact.tenant_id, name, kind, fact.provider, amount.asset, minor), state


def touched(movement: Movement) -> list[Leg]:
    """Every account it may move."""
    if movement.kind == "network_fee":
        return [Leg(code, movement.asset, 0) for code in ("1220", "5200")]
    at = f"provider:{movement.provider}"
    return [
        Leg("1100", movement.asset, 0),
        Leg("1300", movement.asset, 0, f"{at}:clearing"),
        Leg("1310", movement.asset, 0, f"{at}:transit"),
    ]


def name_of(fact: MovementFact) -> UUID:
    """Id of the payout or the fee."""
    return fact.fee_id if isinstance(fact, NetworkFeePaid) else fact.provider_payout_id
