"""How a tenant lets itself be paid: a document people can read, checked before it is kept.

Pure: what is known of a payment is handed in, and comes to a verdict with its reason. The terms a
payment was begun under hold until its end; what came is judged by them (ADR 0034).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from invoiceos_contracts.base import MAX_MINOR
from provider_orchestrator.domain.outcomes import PPM
from provider_orchestrator.domain.routing_rules import (
    AssetCode,
    Condition,
    CountryCode,
    Method,
    Minor,
    RuleName,
)

Hour = Annotated[int, Field(strict=True, ge=0, le=24)]
Positive = Annotated[int, Field(strict=True, ge=1, le=MAX_MINOR)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Timeliness(StrEnum):
    """How an invoice stands to its dates."""

    ON_TIME = "on_time"
    OVERDUE = "overdue"
    """Its due date has passed."""
    EXPIRED = "expired"
    """The time to pay it is over."""


class Hours(_Part):
    """A part of the day, UTC: from the one hour, before the other; over midnight too."""

    from_hour: Hour
    before_hour: Hour

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.from_hour % 24 == self.before_hour % 24:
            message = "from_hour and before_hour are the same hour: leave hours_utc out for always"
            raise ValueError(message)
        return self

    def holds(self, at: datetime) -> bool:
        """Whether this moment is in it."""
        hour = at.astimezone(UTC).hour
        if self.from_hour < self.before_hour:
            return self.from_hour <= hour < self.before_hour
        return hour >= self.from_hour or hour < self.before_hour


class When(Condition):
    """Which payments a rule is for: all that is given must hold; nothing given is every payment."""

    customers: Annotated[tuple[UUID, ...], Field(max_length=200)] = ()
    """Payers by customer; an invoice without a customer is none's."""
    timeliness: Annotated[tuple[Timeliness, ...], Field(max_length=3)] = ()
    """How the invoice stood when the payment was begun."""
    hours_utc: Hours | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every payment meets it."""
        return self == When()


class Terms(_Part):
    """How one may pay, and what is done with what comes."""

    methods: Annotated[tuple[Method, ...], Field(max_length=20)] = ()
    """Only by these; by any where none is named."""
    capture: Literal["as_asked", "automatic", "manual"] = "as_asked"
    """`manual`: nothing is taken before somebody has captured it, whatever was asked for."""
    partial: Annotated[bool, Field(strict=True)] = True
    """Whether less than an invoice asks for may be paid."""
    expires_in_s_max: Annotated[int, Field(strict=True, ge=60, le=604_800)] | None = None
    """How long a payment may be under way at most."""
    tolerance_ppm: Annotated[int, Field(strict=True, ge=0, lt=PPM)] = 0
    """What may be missing for what was asked for to count as paid, parts per million."""
    under: Literal["hold", "accept"] = "hold"
    """What is done with less than that: apart in suspense, or counted as a part."""
    over: Literal["hold", "accept"] = "hold"
    """What is done with more: apart in suspense, or counted; the rest is the payer's credit."""
    late: Literal["hold", "accept"] = "accept"
    """What is done with money that came after the payment's end."""
    wrong_asset: Literal["hold"] = "hold"
    """What is done with another asset: nothing but apart in suspense is ever right."""
    refund_source: Literal["merchant", "payer_credit"] = "merchant"
    """Whose money a refund is where the request does not say; it goes back where it came from."""


class PaymentRule(Terms):
    """Terms for some payments."""

    name: RuleName
    when: When = When()


class PaymentRules(_Part):
    """The document. The first rule whose condition holds decides; `otherwise` is for the rest."""

    rules: Annotated[tuple[PaymentRule, ...], Field(max_length=100)] = ()
    otherwise: Terms = Terms()

    @model_validator(mode="after")
    def _every_rule_counts(self) -> Self:
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        names = [rule.name for rule in self.rules]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"each rule needs a name of its own; more than one is called {name!r}"
        for rule, later in zip(self.rules, self.rules[1:], strict=False):
            if rule.when.is_empty:
                yield (
                    f"rule {rule.name!r} is for every payment, so {later.name!r} can never decide: "
                    "put it last, or use otherwise"
                )


STANDARD = PaymentRules()
"""What holds for a tenant that has said nothing."""


class Came(_Part):
    """What a provider captured."""

    amount_minor: Positive
    asset: AssetCode
    asked_minor: Positive
    """What was to be captured: all, or what somebody ordered of an authorised payment."""
    late: Annotated[bool, Field(strict=True)] = False
    """After the payment had ended without money."""


class PaymentFacts(_Part):
    """All that a decision is made of, but for the rules."""

    amount_minor: Positive
    """What is to be paid."""
    asset: AssetCode
    owed_minor: Minor
    """What the invoices ask for together."""
    method: Method | None = None
    payer_country: CountryCode | None = None
    customer_id: UUID | None = None
    """None where there is none, or several."""
    timeliness: Timeliness = Timeliness.ON_TIME
    """The worst of the invoices."""
    capture: Literal["automatic", "manual"] = "automatic"
    """As it was asked for."""
    at: AwareDatetime
    came: Came | None = None


class Reason(StrEnum):
    """Why money that came is treated so."""

    EXACT = "exact"
    WITHIN_TOLERANCE = "within_tolerance"
    UNDER = "under"
    OVER = "over"
    LATE = "late"
    WRONG_ASSET = "wrong_asset"


class Arrival(_Part):
    """What is done with money that came."""

    outcome: Literal["accept", "hold"]
    reason: Reason
    missing_minor: int = 0
    excess_minor: int = 0

    @property
    def cause(self) -> str | None:
        """Why it is held; None where it counts."""
        if self.outcome == "accept":
            return None
        return {Reason.WRONG_ASSET: "wrong_asset", Reason.LATE: "late"}.get(
            self.reason, "wrong_amount"
        )


class Verdict(_Part):
    """What the rules make of a payment."""

    rule: str | None
    """The rule that decided; null where `otherwise` did."""
    terms: Terms
    refused: Literal["method_not_allowed", "partial_not_allowed"] | None = None
    """Why it may not be begun; null where it may."""
    manual_capture: bool
    arrival: Arrival | None = None
    """Of money that came."""


def judge(facts: PaymentFacts, rules: PaymentRules) -> Verdict:
    """What the rules make of a payment."""
    rule = next((one for one in rules.rules if _holds(one.when, facts)), None)
    named = None if rule is None else rule.name
    shared = Terms.model_fields
    terms = rules.otherwise
    if rule is not None:
        terms = Terms(**{name: getattr(rule, name) for name in shared})
    asked_manual = facts.capture == "manual"
    return Verdict(
        rule=named,
        terms=terms,
        refused=_refused(facts, terms),
        manual_capture=asked_manual if terms.capture == "as_asked" else terms.capture == "manual",
        arrival=None if facts.came is None else arrived(terms, facts.came, facts.asset),
    )


def arrived(terms: Terms, came: Came, asset: str) -> Arrival:
    """What is done with money that came, by the terms it was asked for under."""
    if came.asset != asset:
        return Arrival(outcome=terms.wrong_asset, reason=Reason.WRONG_ASSET)
    missing = max(0, came.asked_minor - came.amount_minor)
    excess = max(0, came.amount_minor - came.asked_minor)
    if came.late:
        # It is a payment of its own, of whatever amount.
        return Arrival(outcome=terms.late, reason=Reason.LATE)
    if excess:
        return Arrival(outcome=terms.over, reason=Reason.OVER, excess_minor=excess)
    if not missing:
        return Arrival(outcome="accept", reason=Reason.EXACT)
    if missing * PPM <= came.asked_minor * terms.tolerance_ppm:
        return Arrival(outcome="accept", reason=Reason.WITHIN_TOLERANCE, missing_minor=missing)
    return Arrival(outcome=terms.under, reason=Reason.UNDER, missing_minor=missing)


def _refused(
    facts: PaymentFacts, terms: Terms
) -> Literal["method_not_allowed", "partial_not_allowed"] | None:
    if terms.methods and facts.method not in terms.methods:
        return "method_not_allowed"
    if not terms.partial and facts.amount_minor < facts.owed_minor:
        return "partial_not_allowed"
    return None


def _holds(when: When, facts: PaymentFacts) -> bool:
    band = when.amount
    return (
        (not when.currencies or facts.asset in when.currencies)
        and (not when.payer_countries or facts.payer_country in when.payer_countries)
        and (not when.methods or facts.method in when.methods)
        and (not when.customers or facts.customer_id in when.customers)
        and (not when.timeliness or facts.timeliness in when.timeliness)
        and (when.hours_utc is None or when.hours_utc.holds(facts.at))
        and (
            band is None
            or (
                facts.asset == band.asset
                and band.from_minor <= facts.amount_minor
                and (band.below_minor is None or facts.amount_minor < band.below_minor)
            )
        )
    )
