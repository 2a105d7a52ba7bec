"""Attempts to collect one payment: never a second charge while the outcome of one is unknown.

The charge lease of an invoice is its one live attempt. Nothing here looks anything up: a caller
holds the lease by a unique index over the live attempts of an invoice (ADR 0022).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from provider_orchestrator.domain.outcomes import MEANINGS, PPM, NextStep, Outcome
from provider_orchestrator.errors import IllegalTransition

ATTEMPTS_MAX = 2
"""While the payer waits."""
INQUIRE_AFTER = (
    timedelta(seconds=2),
    timedelta(seconds=10),
    timedelta(seconds=60),
    timedelta(minutes=5),
)
"""Since the outcome became unknown; then twice the last each time, up to an hour apart."""
INQUIRE_EVERY_MAX = timedelta(hours=1)
PERSON_AFTER = timedelta(hours=24)
"""An outcome that is unknown for longer is a person's to find out; asking goes on meanwhile."""


class State(StrEnum):
    """Where an attempt stands."""

    CREATED = "created"
    """Our reference and the idempotency key are stored; nothing was sent."""
    SENT = "sent"
    UNKNOWN = "unknown"
    """It may have happened."""
    CAPTURED = "captured"
    DECLINED = "declined"
    REJECTED = "rejected"
    """Provably not accepted."""
    ABSENT = "absent"
    """It did not happen and cannot any more: the provider confirmed that, or its window is over."""


LIVE = frozenset({State.CREATED, State.SENT, State.UNKNOWN})
"""Whoever is in one of these holds the charge lease."""
TRANSITIONS = {
    State.CREATED: frozenset({State.SENT, State.ABSENT}),
    State.SENT: frozenset(
        {State.CAPTURED, State.DECLINED, State.REJECTED, State.UNKNOWN, State.ABSENT}
    ),
    State.UNKNOWN: frozenset({State.CAPTURED, State.DECLINED, State.ABSENT, State.SENT}),
}
"""The only ways on; the others are ends."""


class Finding(StrEnum):
    """What an inquiry came to."""

    CAPTURED = "captured"
    DECLINED = "declined"
    CANNOT_HAPPEN = "cannot_happen"
    """Not there, and cancelled or out of its window, so that it cannot come to be later."""
    NOT_FOUND = "not_found"
    """Not there yet, which proves nothing."""
    PENDING = "pending"
    NO_ANSWER = "no_answer"


class Hindrance(StrEnum):
    """Why there may be no attempt now."""

    LEASE_HELD = "lease_held"
    """Another attempt may still take the money."""
    CAPTURED = "captured"
    ATTEMPTS_USED = "attempts_used"
    PAYER_MUST_AGREE = "payer_must_agree"
    """The last one was declined."""
    OUR_FAULT = "our_fault"
    """The request itself is wrong; it would be so elsewhere."""
    MUST_WAIT = "must_wait"
    """The provider asked us to send less, and nobody else is tried at once for that."""
    BUDGET_USED = "budget_used"
    """Too many payments are on their second attempt already."""


_ANSWERED = {
    Outcome.OK: State.CAPTURED,
    Outcome.DECLINED: State.DECLINED,
    Outcome.OUR_FAULT: State.REJECTED,
    Outcome.THROTTLED: State.REJECTED,
    Outcome.INFRA: State.REJECTED,
    Outcome.AUTH: State.REJECTED,
    Outcome.UNKNOWN: State.UNKNOWN,
}
_FOUND = {
    Finding.CAPTURED: State.CAPTURED,
    Finding.DECLINED: State.DECLINED,
    Finding.CANNOT_HAPPEN: State.ABSENT,
}
_HINDERED = {
    NextStep.ASK_PAYER: Hindrance.PAYER_MUST_AGREE,
    NextStep.STOP: Hindrance.OUR_FAULT,
    NextStep.WAIT: Hindrance.MUST_WAIT,
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to collect at one provider."""

    id: UUID
    invoice_id: UUID
    number: int
    target: str
    key: UUID
    """Idempotency key, made once and sent with every repetition of this attempt."""
    state: State = State.CREATED
    outcome: Outcome | None = None
    """What the call came to."""
    unknown_since: datetime | None = None
    inquiries: int = 0

    @property
    def is_live(self) -> bool:
        """Whether it may still take money."""
        return self.state in LIVE


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """Second attempts are a tenth of first ones at most, so that an outage is no storm."""

    share_ppm: int = 100_000
    saved_max: int = 100
    """Second attempts that a quiet time saves up at most."""
    saved_ppm: int = 10 * PPM
    """What there is to begin with: ten."""

    def first(self) -> "RetryBudget":
        """A payment has its first attempt."""
        saved = min(self.saved_max * PPM, self.saved_ppm + self.share_ppm)
        return replace(self, saved_ppm=saved)

    @property
    def allows(self) -> bool:
        """Whether there may be one more second attempt."""
        return self.saved_ppm >= PPM

    def second(self) -> "RetryBudget":
        """A payment has its second attempt."""
        assert self.allows
        return replace(self, saved_ppm=self.saved_ppm - PPM)


def hindrance(
    made: Sequence[Attempt], budget: RetryBudget, *, payer_agrees: bool = False
) -> Hindrance | None:
    """Why an invoice may have no further attempt now; None when it may. In the order they came."""
    if any(attempt.is_live for attempt in made):
        return Hindrance.LEASE_HELD
    if any(attempt.state is State.CAPTURED for attempt in made):
        return Hindrance.CAPTURED
    if len(made) >= ATTEMPTS_MAX:
        return Hindrance.ATTEMPTS_USED
    if not made:
        return None
    last = made[-1]
    step = NextStep.ASK_PAYER if last.state is State.DECLINED else NextStep.FAIL_OVER
    if last.state is State.REJECTED and last.outcome is not None:
        step = MEANINGS[last.outcome].next
    if step in _HINDERED and not (step is NextStep.ASK_PAYER and payer_agrees):
        return _HINDERED[step]
    return None if budget.allows else Hindrance.BUDGET_USED


def moved(attempt: Attempt, state: State) -> Attempt:
    """The attempt in its next state; raises `IllegalTransition`."""
    if state not in TRANSITIONS.get(attempt.state, frozenset()):
        raise IllegalTransition(f"An attempt goes from {attempt.state} to {state} in no way")
    return replace(attempt, state=state)


def answered(attempt: Attempt, outcome: Outcome, now: datetime) -> Attempt:
    """What a sent attempt is after its call."""
    after = replace(moved(attempt, _ANSWERED[outcome]), outcome=outcome)
    return replace(after, unknown_since=now) if after.state is State.UNKNOWN else after


def inquired(attempt: Attempt, finding: Finding) -> Attempt:
    """What an unknown attempt is after the provider was asked. What came late changes nothing."""
    if attempt.state is not State.UNKNOWN:
        return attempt
    found = _FOUND.get(finding)
    asked = replace(attempt, inquiries=attempt.inquiries + 1)
    return asked if found is None else moved(asked, found)


def inquire_at(attempt: Attempt) -> datetime | None:
    """When to ask next; None where there is nothing to ask."""
    if attempt.state is not State.UNKNOWN or attempt.unknown_since is None:
        return None
    if attempt.inquiries < len(INQUIRE_AFTER):
        return attempt.unknown_since + INQUIRE_AFTER[attempt.inquiries]
    since = INQUIRE_AFTER[-1]
    for _ in range(min(attempt.inquiries - len(INQUIRE_AFTER) + 1, 100_000)):
        since += min(since, INQUIRE_EVERY_MAX)
    return attempt.unknown_since + since


def needs_person(attempt: Attempt, now: datetime) -> bool:
    """Whether somebody has to look into it."""
    since = attempt.unknown_since if attempt.state is State.UNKNOWN else None
    return since is not None and now - since >= PERSON_AFTER
