"""What becomes of a delivery after an attempt, and of an endpoint after many."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

RETRY_AFTER_MAX_S: Final = 86_400
JITTER_PERMILLE: Final = 200
"""Retries are spread by up to this much either way."""
_RETRIED: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class State(StrEnum):
    """Of one delivery; the last three are ends, from which a replay starts a new generation."""

    PENDING = "pending"
    DELIVERING = "delivering"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process may attempt until its lease ends."""

    tenant_id: UUID
    delivery_id: UUID
    endpoint_id: UUID
    event_id: UUID
    invoice_id: UUID | None
    attempt: int
    failing: bool
    """Whether the endpoint's last attempt failed: it then gets few connections."""
    url: str
    secrets: tuple[Any, ...]
    """Sealed; the current one, and the previous one while both sign."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What an attempt met: a status code, or the kind of error that came instead."""

    status_code: int | None = None
    error: str | None = None
    excerpt: str = ""
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished attempt."""

    claim: Claim
    at: datetime
    duration_ms: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a failed attempt is followed by another, and when an endpoint is given up."""

    delays_s: tuple[int, ...]
    """Before the 1st, 2nd, 3rd ... attempt."""
    disable_after_s: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an attempt."""

    state: State
    delay_s: int = 0
    """Until the next attempt, where there is one."""
    reason: str | None = None
    endpoint_gone: bool = False
    """The receiver said that nothing more should ever come (410)."""


def judge(outcome: Outcome, schedule: Schedule, jitter_permille: int) -> Verdict:
    """Decide by the receiver's answer; `jitter_permille` is a random number in +-200."""
    answer, attempt = outcome.answer, outcome.claim.attempt
    status = answer.status_code
    if status is not None and 200 <= status < 300:
        return Verdict(State.SUCCEEDED)
    reason = answer.error or f"status_{status}"
    if status == HTTPStatus.GONE:
        return Verdict(State.FAILED, reason=reason, endpoint_gone=True)
    if status is not None and not _is_retried(status):
        return Verdict(State.FAILED, reason=reason)
    if attempt >= len(schedule.delays_s):
        return Verdict(State.FAILED, reason=f"attempts_exhausted:{reason}")
    planned = schedule.delays_s[attempt] * (1000 + jitter_permille) // 1000
    asked = retry_after_s(answer.retry_after, outcome.at)
    return Verdict(State.PENDING, delay_s=max(planned, asked), reason=reason)


def _is_retried(status: int) -> bool:
    """A redirect is a failure that an operator of the receiver can mend, so it is retried."""
    return status in _RETRIED or not 400 <= status < 500


def retry_after_s(header: str | None, now: datetime) -> int:
    """Seconds a receiver asked to wait, at most a day; 0 when it did not say or not readably."""
    if header is None:
        return 0
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), RETRY_AFTER_MAX_S)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0
    return int(min(max(seconds, 0), RETRY_AFTER_MAX_S))


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint does."""

    tenant_id: UUID
    endpoint_id: UUID
    enabled: bool
    failing_since: datetime | None = None
    disabled_reason: str | None = None


def follow(health: Health, verdicts: Sequence[tuple[Outcome, Verdict]], after_s: int) -> Health:
    """An endpoint's health after these attempts, given in the order in which they ended."""
    for outcome, verdict in verdicts:
        if not health.enabled:
            return health
        if verdict.state is State.SUCCEEDED:
            health = replace(health, failing_since=None)
            continue
        since = health.failing_since or outcome.at
        health = replace(health, failing_since=since)
        if verdict.endpoint_gone:
            health = replace(health, enabled=False, disabled_reason="gone")
        elif outcome.at - since >= timedelta(seconds=after_s):
            health = replace(health, enabled=False, disabled_reason="failing")
    return health
