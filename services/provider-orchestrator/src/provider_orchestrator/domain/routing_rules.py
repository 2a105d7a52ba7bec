"""What a tenant wants of its routing: a document people can read, checked before it is kept."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from invoiceos_contracts.base import MAX_MINOR

Target = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,31}(/[a-z0-9][a-z0-9_-]{0,31})?$", strict=True
    ),
]
"""A provider, `stripe`, or one of its rails, `stripe/card`."""
AssetCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{2,11}$", strict=True)]
CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$", strict=True)]
Method = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$", strict=True)]
RuleName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", max_length=80, strict=True),
]
Minor = Annotated[int, Field(strict=True, ge=0, le=MAX_MINOR)]
Targets = Annotated[tuple[Target, ...], Field(max_length=20)]


def named(target: str, targets: Sequence[str]) -> str | None:
    """The one of these that means a target, a rail or its provider; None when none does."""
    provider = target.partition("/")[0]
    return next((one for one in targets if one in {target, provider}), None)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class AmountBand(_Part):
    """Amounts of one asset, in minor units: from the one, below the other."""

    asset: AssetCode
    from_minor: Minor = 0
    below_minor: Minor | None = None

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.below_minor is not None and self.below_minor <= self.from_minor:
            message = "no amount is in this band: below_minor must be above from_minor"
            raise ValueError(message)
        return self


class Condition(_Part):
    """Which payments a rule is for: all that is given must hold; nothing given is every payment."""

    currencies: Annotated[tuple[AssetCode, ...], Field(max_length=50)] = ()
    payer_countries: Annotated[tuple[CountryCode, ...], Field(max_length=250)] = ()
    """A payer whose country is not known is in none."""
    methods: Annotated[tuple[Method, ...], Field(max_length=20)] = ()
    amount: AmountBand | None = None

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        if self.amount and self.currencies and self.amount.asset not in self.currencies:
            message = f"amount is in {self.amount.asset}, which is not among the currencies"
            raise ValueError(message)
        return self

    @property
    def is_empty(self) -> bool:
        """Whether every payment meets it."""
        return self == Condition()


class Share(_Part):
    """A part of the volume."""

    to: Target
    percent: Annotated[int, Field(strict=True, ge=1, le=100)]


class Choice(_Part):
    """How to choose among the providers that can."""

    order: Targets = ()
    """Preferred first. What is not named comes after what is."""
    order_is: Literal["preference", "strict"] = "preference"
    """A preference gives way when another is better by more than a place in the order is worth;
    a strict order only when a provider is not well."""
    exclude: Targets = ()
    """Never these."""
    split: Annotated[tuple[Share, ...], Field(max_length=10)] = ()
    """Parts of the volume, 100 percent together. The part of one that is unwell goes to others."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        shares = [share.to for share in self.split]
        for name, targets in (("order", self.order), ("exclude", self.exclude), ("split", shares)):
            twice = sorted({target for target in targets if list(targets).count(target) > 1})
            if twice:
                yield f"{name} names {', '.join(twice)} more than once"
        for name, targets in (("order", self.order), ("split", shares)):
            both = [target for target in targets if named(target, self.exclude)]
            if both:
                yield f"{name} names {', '.join(both)}, which exclude leaves out"
        total = sum(share.percent for share in self.split)
        if self.split and total != 100:
            yield f"the parts of split are {total} percent together; they must be 100"


class Rule(Choice):
    """A choice for some payments."""

    name: RuleName
    when: Condition = Condition()


class RoutingRules(_Part):
    """The document. The first rule whose condition holds decides; `otherwise` is for the rest."""

    rules: Annotated[tuple[Rule, ...], Field(max_length=100)] = ()
    otherwise: Choice = Choice()
    when_none_is_well: Literal["best_degraded", "queue"] = "best_degraded"
    """Try the best of the unwell and say so, or let the payment wait."""
    explore: Annotated[bool, Field(strict=True)] = True
    """Send a few small payments to others that are well, to know how they are."""
    small_below_units: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 200
    """Payments below this, in whole units of their currency, may explore and probe."""

    @model_validator(mode="after")
    def _every_rule_counts(self) -> Self:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            message = f"each rule needs a name of its own; more than one is called {twice[0]!r}"
            raise ValueError(message)
        for rule, later in zip(self.rules, self.rules[1:], strict=False):
            if rule.when.is_empty:
                message = (
                    f"rule {rule.name!r} is for every payment, so {later.name!r} can never decide: "
                    "put it last, or use otherwise"
                )
                raise ValueError(message)
        return self


TEMPO_FIRST = RoutingRules(otherwise=Choice(order=("tempo",)))
"""What holds for a tenant that has said nothing."""
