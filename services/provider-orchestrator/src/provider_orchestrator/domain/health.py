"""How a provider is: a smoothed share of good answers, and a circuit (providers.md, section 4.3).

Integers only: shares in parts per million.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from invoiceos_contracts.base import HealthState

PPM = 1_000_000
REST_PPM = 970_000
"""What a provider is believed to be like as long as nothing is known."""
OPEN_BELOW_PPM = 750_000
CLOSED_AT_LEAST_PPM = 930_000
FAILURES_MAX = 5
SUCCESSES_NEEDED = 5
SAMPLES_EFFECTIVE_MAX = 39
"""The smoothing remembers no more samples than this, however many there were."""
OPEN_GROWTHS_MAX = 8
"""Times the open period is as long as the first, at most."""
HALF_LIFE = timedelta(minutes=30)
_STEP, _STEP_HALF_OPEN = 20, 5
"""1/0.05 and 1/0.2."""


class Outcome(StrEnum):
    """What a call of the provider came to."""

    OK = "ok"
    THROTTLED = "throttled"
    INFRA = "infra"


_GOOD_PPM = {Outcome.OK: PPM, Outcome.THROTTLED: PPM // 2, Outcome.INFRA: 0}


@dataclass(frozen=True, slots=True)
class Observation:
    """One call."""

    at: datetime
    outcome: Outcome
    latency_us: int
    cause: str
    """What went wrong, for people; "answered" when nothing did."""


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a provider."""

    state: HealthState = HealthState.CLOSED
    score_ppm: int = REST_PPM
    samples: int = 0
    failures: int = 0
    """In a row."""
    successes: int = 0
    """In a row."""
    openings: int = 0
    """Times it opened since it was last closed."""
    open_until: datetime | None = None
    observed_at: datetime | None = None

    @property
    def effective_samples(self) -> int:
        """How many samples the score really rests on."""
        return min(self.samples, SAMPLES_EFFECTIVE_MAX)


@dataclass(frozen=True, slots=True)
class Change:
    """The circuit went from one state to another."""

    old: HealthState
    after: Health
    cause: str
    at: datetime


def observe(
    health: Health, seen: Observation, *, open_for: timedelta, jitter_ppm: int
) -> tuple[Health, list[Change]]:
    """What is known after one more call.

    `open_for` is how long the circuit first stays open, `jitter_ppm` (up to a fifth of a million,
    either sign) keeps several of us from coming back at one moment.
    """
    changes: list[Change] = []
    if health.state is HealthState.OPEN and health.open_until and seen.at >= health.open_until:
        probing = replace(health, state=HealthState.HALF_OPEN, open_until=None, successes=0)
        changes.append(Change(health.state, probing, "time to try again", seen.at))
        health = probing
    measured = _measure(health, seen)
    after = _next(measured, seen, open_for, jitter_ppm)
    if after.state is not measured.state:
        changes.append(Change(measured.state, after, seen.cause, seen.at))
    return after, changes


def _measure(health: Health, seen: Observation) -> Health:
    step = _STEP_HALF_OPEN if health.state is HealthState.HALF_OPEN else _STEP
    rested = _relax(health, seen.at)
    good = seen.outcome is Outcome.OK
    return replace(
        health,
        score_ppm=rested + (_GOOD_PPM[seen.outcome] - rested) // step,
        samples=health.samples + 1,
        failures=health.failures + 1 if seen.outcome is Outcome.INFRA else 0,
        successes=health.successes + 1 if good else 0,
        observed_at=seen.at,
    )


def _relax(health: Health, now: datetime) -> int:
    """Old news counts for half each half-life; whole half-lives only, so that it stays exact."""
    if health.observed_at is None:
        return health.score_ppm
    halvings = max(0, (now - health.observed_at) // HALF_LIFE)
    return REST_PPM + ((health.score_ppm - REST_PPM) >> min(halvings, 32))


def _next(health: Health, seen: Observation, open_for: timedelta, jitter_ppm: int) -> Health:
    if health.state is HealthState.CLOSED:
        if health.failures >= FAILURES_MAX or health.score_ppm < OPEN_BELOW_PPM:
            return _opened(health, seen.at, open_for, jitter_ppm)
    elif health.state is HealthState.HALF_OPEN:
        if seen.outcome is Outcome.INFRA:
            return _opened(health, seen.at, open_for, jitter_ppm)
        if health.successes >= SUCCESSES_NEEDED:
            score = max(health.score_ppm, CLOSED_AT_LEAST_PPM)
            return replace(health, state=HealthState.CLOSED, score_ppm=score, openings=0)
    return health


def _opened(health: Health, now: datetime, open_for: timedelta, jitter_ppm: int) -> Health:
    ceiling = open_for * OPEN_GROWTHS_MAX
    growths = min(health.openings, 2 * OPEN_GROWTHS_MAX)
    period = min(ceiling, open_for * 3**growths // 2**growths)
    period += period * jitter_ppm // PPM
    return replace(
        health,
        state=HealthState.OPEN,
        open_until=now + period,
        openings=health.openings + 1,
        successes=0,
    )
