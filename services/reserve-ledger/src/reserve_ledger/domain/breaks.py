"""What may be done with a break, by whom, and what an approved adjustment posts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import UUID

from reserve_ledger.domain.catalogue import Leg, Legs, Template
from reserve_ledger.errors import BreakNotInState, MakerCannotApprove

ADJUSTED: Final = Template("reconciliation_adjusted", 1)
_AGAINST: Final[Mapping[str, str]] = {"fee": "5100", "write_off": "5400"}


class Action(StrEnum):
    """What somebody does with a break."""

    ASSIGN = "assign"
    COMMENT = "comment"
    PROPOSE = "propose"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True)
class Worked:
    """A break while somebody works on it."""

    id: UUID
    state: str
    assignee: str | None
    resolution: str | None
    reason: str | None
    proposed_by: str | None
    approved_by: str | None


def worked(
    found: Worked, action: Action, actor: str, *, text: str, resolution: str | None
) -> Worked | BreakNotInState | MakerCannotApprove:
    """The break after an action, or why it cannot be."""
    if action is Action.COMMENT:
        return found
    allowed = ("proposed",) if action is Action.APPROVE else ("open", "proposed")
    if found.state not in allowed:
        return BreakNotInState()
    if action is Action.ASSIGN:
        return replace(found, assignee=text)
    if action is Action.APPROVE:
        if found.proposed_by == actor:
            return MakerCannotApprove()
        return replace(found, state="approved", approved_by=actor)
    return replace(found, state="proposed", resolution=resolution, reason=text, proposed_by=actor)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What an approved break is about, as far as the books are concerned."""

    resolution: str
    asset: str
    account: str
    amount_minor: int
    booked_on: str | None
    booked_minor: int | None


def legs_of(adjustment: Adjustment) -> Legs:
    """What to post, so that the book says what the other side says; nothing for `accept`."""
    asset, account, minor = adjustment.asset, adjustment.account, adjustment.amount_minor
    match adjustment.resolution:
        case "suspense" if minor > 0:
            return Leg("1900", asset, minor), Leg("2900", asset, -minor)
        case "fee" | "write_off" if minor:
            against = _AGAINST[adjustment.resolution]
            return Leg(account, asset, minor), Leg(against, asset, -minor)
        case "reclass" if adjustment.booked_on and adjustment.booked_minor:
            moved = adjustment.booked_minor
            return Leg(account, asset, moved), Leg(adjustment.booked_on, asset, -moved)
    return ()
