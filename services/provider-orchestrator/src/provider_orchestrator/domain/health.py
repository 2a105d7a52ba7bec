"""How a provider is: a smoothed share of good answers, and a circuit (ADR 0022).

Shares are integers in parts per million. No clock and no chance of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from invoiceos_contracts.base import HealthState
from provider_orchestrator.domain.outcomes import MEANINGS, PPM, Outcome

EVERY = "*"
"""In the place of a currency: all of them."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """How belief follows evidence; found by the simulation in `tests/routing`, where not said."""

    rest_ppm: int = 970_000
    """What a provider is believed to be like as long as nothing is known of it."""
    step_ppm: int = 50_000
    """How far one answer moves the score."""
    step_half_open_ppm: int = 200_000
    half_life: timedelta = timedelta(minutes=30)
    """In silence the score comes half the way back to rest in this time."""
    open_below_ppm: int = 750_000
    failures_to_open: int = 5
    """In a row."""
    open_for: timedelta = timedelta(seconds=60)
    """How long the circuit first stays open; each time it reopens, longer by `open_growth_ppm`."""
    open_growth_ppm: int = 1_500_000
    open_for_growths_max: int = 8
    """The longest wait, in first waits: 480 s."""
    jitter_ppm: int = 200_000
    """Waits are longer or shorter by up to this, lest several of us come back at one moment."""
    successes_to_close: int = 5
    """In a row."""
    closed_at_least_ppm: int = 930_000
    """What a circuit that closes begins with."""
    samples_effective_max: int = 39
    """2/step - 1: the smoothing remembers no more answers than this, however many there were."""
    samples_needed: int = 20
    """Below this many a key is judged by its rail as a whole."""
    latency_ceiling_us: int = 10_000_000
    """A good answer slower than this counts half; a judgement, 10 s is what payers wait."""
    latency_step_ppm: int = 100_000
    """How far one answer moves the estimate of the 95th percentile, at most; a judgement."""


STANDARD = Parameters()


@dataclass(frozen=True, slots=True)
class Key:
    """What health is kept of: a provider on a rail, in one currency or in every one."""

    provider: str
    rail: str
    currency: str = EVERY

    @property
    def levels(self) -> tuple["Key", ...]:
        """The key itself, and the one it falls back to."""
        whole = Key(self.provider, self.rail)
        return (self,) if self == whole else (self, whole)


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
    """What is known of a key."""

    state: HealthState = HealthState.CLOSED
    score_ppm: int = STANDARD.rest_ppm
    samples: int = 0
    """Answers that said something of the provider."""
    failures: int = 0
    """In a row."""
    successes: int = 0
    """In a row."""
    openings: int = 0
    """Times it opened since it was last closed."""
    open_until: datetime | None = None
    observed_at: datetime | None = None
    held: bool = False
    """Open until a person resets it: our credentials were refused."""
    p95_us: int | None = None
    """About the 95th percentile of the time to answer."""
    acceptance_ppm: int = PPM
    """Smoothed share of what was not declined, among what was answered."""

    @property
    def effective_samples(self) -> int:
        """How many samples the score really rests on."""
        return min(self.samples, STANDARD.samples_effective_max)


@dataclass(frozen=True, slots=True)
class Change:
    """The circuit went from one state to another."""

    old: HealthState
    after: Health
    cause: str
    at: datetime


def observe(
    health: Health, seen: Observation, parameters: Parameters = STANDARD, *, jitter_ppm: int
) -> tuple[Health, list[Change]]:
    """What is known after one more call.

    `jitter_ppm` lies between minus and plus the parameters' own, and is drawn by the caller.
    """
    changes: list[Change] = []
    waiting = at(health, seen.at)
    if waiting.state is not health.state:
        changes.append(Change(health.state, waiting, "time to try again", seen.at))
    measured = _measure(waiting, seen, parameters)
    after = _next(measured, seen, parameters, jitter_ppm)
    if after.state is not measured.state:
        changes.append(Change(measured.state, after, seen.cause, seen.at))
    return after, changes


def at(health: Health, now: datetime) -> Health:
    """The same health at a later moment: an open circuit whose wait is over may be tried."""
    if health.state is not HealthState.OPEN or health.held:
        return health
    if health.open_until is None or now < health.open_until:
        return health
    return replace(health, state=HealthState.HALF_OPEN, open_until=None, successes=0)


def reset(health: Health, now: datetime, cause: str) -> tuple[Health, list[Change]]:
    """A person says that what held the circuit open is mended: it may be tried."""
    if health.state is not HealthState.OPEN:
        return health, []
    after = replace(
        health, state=HealthState.HALF_OPEN, open_until=None, successes=0, failures=0, held=False
    )
    return after, [Change(health.state, after, cause, now)]


def rested_ppm(health: Health, now: datetime, parameters: Parameters = STANDARD) -> int:
    """The score now: old news counts for half each half-life."""
    if health.observed_at is None:
        return health.score_ppm
    halvings = max(timedelta(0), now - health.observed_at) / parameters.half_life
    away = health.score_ppm - parameters.rest_ppm
    return parameters.rest_ppm + round(away * math.exp2(-min(halvings, 64.0)))


def judged(levels: Sequence[Health], now: datetime, parameters: Parameters = STANDARD) -> Health:
    """What to believe of a key from its own health and that of the rail as a whole, in this order.

    The score is the first one that rests on enough samples; the circuit is the worst of all, for
    five failures in a row open the one of a currency long before its score can be believed.
    """
    there = [at(level, now) for level in levels]
    known = next((h for h in there if h.samples >= parameters.samples_needed), there[-1])
    worst = max(there, key=lambda health: _SEVERITY[health.state])
    return replace(
        known,
        state=worst.state,
        open_until=worst.open_until,
        held=any(health.held for health in there),
        score_ppm=rested_ppm(known, now, parameters),
    )


_SEVERITY = {HealthState.CLOSED: 0, HealthState.HALF_OPEN: 1, HealthState.OPEN: 2}


def _measure(health: Health, seen: Observation, parameters: Parameters) -> Health:
    meaning = MEANINGS[seen.outcome]
    accepted = _acceptance(health, seen.outcome, parameters)
    if meaning.good_ppm is None:
        return replace(health, acceptance_ppm=accepted)
    half_open = health.state is HealthState.HALF_OPEN
    step = parameters.step_half_open_ppm if half_open else parameters.step_ppm
    rested = rested_ppm(health, seen.at, parameters)
    slow = seen.outcome is Outcome.OK and seen.latency_us > parameters.latency_ceiling_us
    good = PPM // 2 if slow else meaning.good_ppm
    return replace(
        health,
        score_ppm=rested + (good - rested) * step // PPM,
        samples=health.samples + 1,
        failures=health.failures + 1 if meaning.fails else 0,
        successes=health.successes + 1 if seen.outcome is Outcome.OK else 0,
        observed_at=seen.at,
        p95_us=_p95(health.p95_us, seen.latency_us, parameters),
        acceptance_ppm=accepted,
    )


def _acceptance(health: Health, outcome: Outcome, parameters: Parameters) -> int:
    if outcome not in {Outcome.OK, Outcome.DECLINED}:
        return health.acceptance_ppm
    accepted = PPM if outcome is Outcome.OK else 0
    known = health.acceptance_ppm
    return known + (accepted - known) * parameters.step_ppm // PPM


def _p95(known: int | None, latency_us: int, parameters: Parameters) -> int:
    """Steps of 19 up and of 1 down are in balance where one answer in twenty is slower."""
    if known is None:
        return latency_us
    step = known * parameters.latency_step_ppm // PPM
    if latency_us > known:
        return min(latency_us, known + max(1, step * 19 // 20))
    return max(latency_us, known - max(1, step // 20))


def _next(health: Health, seen: Observation, parameters: Parameters, jitter_ppm: int) -> Health:
    if seen.outcome is Outcome.AUTH:
        return replace(health, state=HealthState.OPEN, open_until=None, held=True, successes=0)
    if health.state is HealthState.CLOSED:
        many = health.failures >= parameters.failures_to_open
        if many or health.score_ppm < parameters.open_below_ppm:
            return _opened(health, seen.at, parameters, jitter_ppm)
    elif health.state is HealthState.HALF_OPEN:
        if MEANINGS[seen.outcome].fails:
            return _opened(health, seen.at, parameters, jitter_ppm)
        if health.successes >= parameters.successes_to_close:
            score = max(health.score_ppm, parameters.closed_at_least_ppm)
            return replace(health, state=HealthState.CLOSED, score_ppm=score, openings=0)
    return health


def _opened(health: Health, now: datetime, parameters: Parameters, jitter_ppm: int) -> Health:
    assert abs(jitter_ppm) <= parameters.jitter_ppm, jitter_ppm
    openings = min(health.openings, 2 * parameters.open_for_growths_max)
    growth_ppm = PPM * parameters.open_growth_ppm**openings // PPM**openings
    growth_ppm = min(growth_ppm, parameters.open_for_growths_max * PPM)
    period = parameters.open_for * growth_ppm // PPM
    period += period * jitter_ppm // PPM
    return replace(
        health,
        state=HealthState.OPEN,
        open_until=now + period,
        openings=health.openings + 1,
        successes=0,
    )
