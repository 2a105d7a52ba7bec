"""Which provider a payment goes to, and why: a pure choice (ADR 0022).

Everything a choice is made of is handed in and can be stored, so that each can be made again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from invoiceos_contracts.base import MAX_MINOR, HealthState
from money import ASSETS
from provider_orchestrator.domain.health import STANDARD, Health, Key, judged
from provider_orchestrator.domain.outcomes import PPM
from provider_orchestrator.domain.routing_rules import (
    AssetCode,
    Choice,
    Condition,
    CountryCode,
    Method,
    RoutingRules,
    Target,
    named,
)


class Weights(NamedTuple):
    """What a choice weighs, parts per million; from the simulation in `tests/routing`."""

    switch_margin_ppm: int = 20_000
    """What another must be better by than the one that is in use."""
    latency_ppm: int = 20_000
    """What a 95th percentile at twice the ceiling costs; a judgement."""
    place_ppm: int = 10_000
    """What a place in an order that is a preference is worth; a judgement."""
    explore_ppm: int = 30_000
    """Part of the small payments that goes to any provider that is well."""
    probe_ppm: int = 100_000
    """Part of the small payments that tries a provider whose circuit is half open."""


STANDARD_WEIGHTS = Weights()
_DRAWS = 100_000
CHANCE_MAX = _DRAWS**3
"""A chance is three draws: for the split, for probes, for exploration. JSON numbers can hold it."""


class Operation(StrEnum):
    """What is to be done with the money."""

    COLLECT = "collect"
    REFUND = "refund"
    PAYOUT = "payout"


class Reason(StrEnum):
    """Why it was this one."""

    BEST = "best"
    """The highest score."""
    KEPT = "kept"
    """In use, and no other is better by more than the margin."""
    ORDER = "order"
    """The first of a strict order that is well."""
    SPLIT = "split"
    PROBE = "probe"
    """To learn whether it is well again."""
    EXPLORE = "explore"
    """To know how the others are."""
    DEGRADED = "degraded"
    """None is well; this is the best of them."""
    QUEUED = "queued"
    """None is well, and the rules say to wait."""
    NONE_CAN = "none_can"
    """No provider can do this at all."""


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


Names = Annotated[frozenset[str], PlainSerializer(sorted, return_type=list[str])]
"""Written in one order: a set has none, and what is kept is compared."""


class Capabilities(_Value):
    """What a provider can do on one rail, as its adapter declares it."""

    provider: str
    rail: str
    assets: Names
    operations: Annotated[
        frozenset[Operation], PlainSerializer(sorted, return_type=list[Operation])
    ] = frozenset({Operation.COLLECT})
    methods: Names = frozenset()
    payer_countries: Names | None = None
    """None where it takes payers from everywhere."""
    amount_max_minor: int = MAX_MINOR
    fee_ppm: int = 0
    """Part of the amount that it keeps."""
    fee_fixed_minor: int = 0
    """What it keeps of each payment besides, in minor units of the payment's asset."""
    pages: Annotated[Names, Field(exclude=True)] = frozenset()
    """Where its own pages for payers are; no choice depends on it, so none keeps it."""
    by_wallet: Annotated[bool, Field(exclude=True)] = False
    """Payers pay into the invoice's wallet there: an intent has no address, and is not sent to
    it. As of `pages`, no decision keeps it."""

    @property
    def target(self) -> str:
        """How rules name it."""
        return f"{self.provider}/{self.rail}"


class Standing(_Value):
    """How a candidate was at the moment of the choice."""

    state: HealthState = HealthState.CLOSED
    held: bool = False
    score_ppm: int = STANDARD.rest_ppm
    effective_samples: int = 0
    p95_us: int | None = None
    acceptance_ppm: int = PPM


class Candidate(_Value):
    """A provider on a rail, and how it was."""

    can: Capabilities
    standing: Standing = Standing()


class Routable(_Value):
    """What has to be routed."""

    operation: Operation = Operation.COLLECT
    amount_minor: Annotated[int, Field(strict=True, ge=1, le=MAX_MINOR)]
    asset: AssetCode
    payer_country: CountryCode | None = None
    method: Method | None = None
    captured_by: Target | None = None
    """Where the money came in; what is given back goes the same way."""
    tried: Annotated[tuple[Target, ...], Field(max_length=10)] = ()
    """Where this payment has definitely failed already."""


class Inputs(_Value):
    """All that a choice was made of, but for the rules."""

    routable: Routable
    candidates: tuple[Candidate, ...]
    chance: Annotated[int, Field(strict=True, ge=0, lt=CHANCE_MAX)]
    in_use: str | None = None
    """Where the last payment of this kind went."""


class Considered(_Value):
    """What was thought of one candidate."""

    target: str
    excluded: str | None = None
    """Why it could not be; null where it could."""
    state: HealthState
    score_ppm: int
    """health - cost - latency + preference."""
    health_ppm: int
    effective_samples: int
    cost_ppm: int
    """Fees, part of the amount."""
    latency_ppm: int
    preference_ppm: int
    success_ppm: int
    """Chance that it answers well and does not decline, as far as is known."""


class Decision(_Value):
    """A choice, and everything that was weighed."""

    chosen: str | None
    """Provider and rail; null where there is none."""
    reason: Reason
    degraded: bool = False
    """The chosen one is not well."""
    rule: str | None
    """The rule that decided; null where `otherwise` did."""
    considered: tuple[Considered, ...]

    @property
    def taken(self) -> Considered | None:
        """What was thought of the chosen one."""
        return next((one for one in self.considered if one.target == self.chosen), None)


def candidates_of(
    catalogue: Sequence[Capabilities], known: Mapping[Key, Health], asset: str, now: datetime
) -> tuple[Candidate, ...]:
    """Every provider there is, as it stands now for this asset."""
    return tuple(
        # Both are ours and right already, and this is done for each payment: nothing is checked.
        Candidate.model_construct(
            can=can, standing=_standing(Key(can.provider, can.rail, asset), known, now)
        )
        for can in catalogue
    )


def _standing(key: Key, known: Mapping[Key, Health], now: datetime) -> Standing:
    levels = [known[level] for level in key.levels if level in known]
    if not levels:
        return Standing()
    health = judged(levels, now)
    return Standing(
        state=health.state,
        held=health.held,
        score_ppm=health.score_ppm,
        effective_samples=health.effective_samples,
        p95_us=health.p95_us,
        acceptance_ppm=health.acceptance_ppm,
    )


def choose(inputs: Inputs, rules: RoutingRules, weights: Weights = STANDARD_WEIGHTS) -> Decision:
    """Choose where a payment goes: the same inputs and rules give the same decision for ever."""
    routable = inputs.routable
    rule = next((rule for rule in rules.rules if _meets(routable, rule.when)), None)
    choice: Choice = rules.otherwise if rule is None else rule
    considered = tuple(_consider(routable, one, choice, weights) for one in inputs.candidates)
    able = sorted(
        (one for one in considered if one.excluded is None),
        key=lambda one: (-one.score_ppm, one.target),
    )
    well = [one for one in able if one.state is HealthState.CLOSED]
    chosen, reason = (
        _special(inputs, able, well, choice, rules, weights)
        or _regular(well, choice, inputs.in_use, weights)
        or _unwell(able, rules)
    )
    return Decision(
        chosen=None if chosen is None else chosen.target,
        reason=reason,
        degraded=reason is Reason.DEGRADED,
        rule=None if rule is None else rule.name,
        considered=considered,
    )


Chosen = tuple[Considered | None, Reason]


def _special(
    inputs: Inputs,
    able: Sequence[Considered],
    well: Sequence[Considered],
    choice: Choice,
    rules: RoutingRules,
    weights: Weights,
) -> Chosen | None:
    """What chance decides: probes and exploration with small payments, then the split."""
    routable = inputs.routable
    split, probe, explore = _draws_ppm(inputs.chance)
    # What failed once is not gambled with, nor is money that goes out.
    if routable.operation is Operation.COLLECT and not routable.tried and _small(routable, rules):
        trying = [one for one in able if one.state is HealthState.HALF_OPEN]
        if trying and well and probe < weights.probe_ppm:
            return trying[probe * len(trying) // weights.probe_ppm], Reason.PROBE
        if rules.explore and len(well) > 1 and explore < weights.explore_ppm:
            return well[explore * len(well) // weights.explore_ppm], Reason.EXPLORE
    if choice.split:
        drawn = _drawn(choice, split)
        return next(((one, Reason.SPLIT) for one in well if named(one.target, [drawn])), None)
    return None


def _draws_ppm(chance: int) -> tuple[int, int, int]:
    """The three draws of a chance, each from 0 to below a million."""
    rest, first = divmod(chance, _DRAWS)
    third, second = divmod(rest, _DRAWS)
    step = PPM // _DRAWS
    return first * step, second * step, third * step


def _drawn(choice: Choice, draw: int) -> str:
    for share in choice.split[:-1]:
        draw -= share.percent * PPM // 100
        if draw < 0:
            return share.to
    return choice.split[-1].to


def _regular(
    well: Sequence[Considered], choice: Choice, in_use: str | None, weights: Weights
) -> Chosen | None:
    """The best of those that are well; these come best first."""
    if not well:
        return None
    if choice.order_is == "strict":
        for target in choice.order:
            for one in well:
                if named(one.target, [target]):
                    return one, Reason.ORDER
    best = well[0]
    for one in well:
        if one.target == in_use and best.score_ppm - one.score_ppm <= weights.switch_margin_ppm:
            return one, Reason.KEPT
    return best, Reason.BEST


def _unwell(able: Sequence[Considered], rules: RoutingRules) -> Chosen:
    """Nobody is well: one that may be tried again comes before one that may not."""
    if not able:
        return None, Reason.NONE_CAN
    if rules.when_none_is_well == "queue":
        return None, Reason.QUEUED
    return min(able, key=lambda one: one.state is HealthState.OPEN), Reason.DEGRADED


def _meets(routable: Routable, when: Condition) -> bool:
    band = when.amount
    return (
        (not when.currencies or routable.asset in when.currencies)
        and (not when.payer_countries or routable.payer_country in when.payer_countries)
        and (not when.methods or routable.method in when.methods)
        and (
            band is None
            or (
                routable.asset == band.asset
                and band.from_minor <= routable.amount_minor
                and (band.below_minor is None or routable.amount_minor < band.below_minor)
            )
        )
    )


def _small(routable: Routable, rules: RoutingRules) -> bool:
    known = ASSETS.get(routable.asset)
    return (
        known is not None and routable.amount_minor < rules.small_below_units * 10**known.exponent
    )


def _consider(
    routable: Routable, candidate: Candidate, choice: Choice, weights: Weights
) -> Considered:
    can, standing = candidate.can, candidate.standing
    cost = min(PPM, can.fee_ppm + can.fee_fixed_minor * PPM // routable.amount_minor)
    over_us = max(0, (standing.p95_us or 0) - STANDARD.latency_ceiling_us)
    latency = over_us * weights.latency_ppm // STANDARD.latency_ceiling_us
    place = named(can.target, choice.order)
    behind = len(choice.order) - choice.order.index(place) if place else 0
    preference = behind * weights.place_ppm
    return Considered(
        target=can.target,
        excluded=_exclusion(routable, can, standing, choice),
        state=standing.state,
        score_ppm=standing.score_ppm - cost - latency + preference,
        health_ppm=standing.score_ppm,
        effective_samples=standing.effective_samples,
        cost_ppm=cost,
        latency_ppm=latency,
        preference_ppm=preference,
        success_ppm=standing.score_ppm * standing.acceptance_ppm // PPM,
    )


def _exclusion(
    routable: Routable, can: Capabilities, standing: Standing, choice: Choice
) -> str | None:
    """Why a candidate cannot be; None when it can."""
    takes, captured_by = can.payer_countries, routable.captured_by
    country = routable.payer_country or "an unknown country"
    reasons = (
        (routable.operation not in can.operations, f"it cannot {routable.operation}"),
        (routable.asset not in can.assets, f"it does not take {routable.asset}"),
        (
            routable.method is not None and routable.method not in can.methods,
            f"it has no method {routable.method}",
        ),
        (
            takes is not None and routable.payer_country not in takes,
            f"it takes no payers from {country}",
        ),
        (
            routable.amount_minor > can.amount_max_minor,
            f"its largest amount is {can.amount_max_minor}",
        ),
        (
            captured_by is not None and not named(can.target, [captured_by]),
            f"the money came in by {captured_by}",
        ),
        (bool(named(can.target, choice.exclude)), "the rules leave it out"),
        (bool(named(can.target, routable.tried)), "it was tried already"),
        (standing.held, "it waits for a person: our credentials were refused"),
    )
    return next((reason for holds, reason in reasons if holds), None)
