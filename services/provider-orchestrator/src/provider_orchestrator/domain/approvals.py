"""How many people have to agree before money leaves: a document a tenant writes.

Bands go by asset and amount; the one with the highest `from_minor` that the amount reaches counts.
A batch is judged by its total in each asset, so that nobody gets under a band by splitting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from provider_orchestrator.domain.routing_rules import AssetCode, Minor

Approvals = Annotated[int, Field(strict=True, ge=0, le=10)]
Actor = Annotated[str, StringConstraints(min_length=1, max_length=200, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Something that somebody asked for and others may have to agree to."""

    tenant_id: UUID
    id: UUID
    requested_by: str
    approvals_needed: int
    approvers: tuple[str, ...] = ()
    """Those who may agree; anybody with the right where none is named."""
    policy_version: int | None = None
    approvals_given: int = 0


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Agreement(_Part):
    """Who has to agree."""

    approvals: Approvals
    """How many people; the one who asks is never one of them."""
    approvers: Annotated[tuple[Actor, ...], Field(max_length=50)] = ()
    """Those who may agree, by the name of their key; anybody with the right where none is named."""

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if len(set(self.approvers)) != len(self.approvers):
            message = "name each approver once"
            raise ValueError(message)
        if self.approvers and self.approvals > len(self.approvers):
            message = "more approvals are asked for than approvers are named"
            raise ValueError(message)
        return self


class Band(Agreement):
    """Amounts of one asset from here up."""

    asset: AssetCode
    from_minor: Minor = 0


class ApprovalPolicy(_Part):
    """Who has to agree to payouts and to refunds."""

    payouts: Annotated[tuple[Band, ...], Field(max_length=100)] = ()
    otherwise_payouts: Agreement = Agreement(approvals=1)
    """For what is in no band."""
    refunds: Annotated[tuple[Band, ...], Field(max_length=100)] = ()
    otherwise_refunds: Agreement = Agreement(approvals=0)

    @model_validator(mode="after")
    def _one_band_an_amount(self) -> Self:
        for bands in (self.payouts, self.refunds):
            places = [(band.asset, band.from_minor) for band in bands]
            if len(set(places)) != len(places):
                message = "two bands begin at the same amount of the same asset"
                raise ValueError(message)
        return self

    def of_payouts(self, totals: Mapping[str, int]) -> Agreement:
        """Who has to agree to payouts of these totals, minor units by asset."""
        return _strictest(
            [_agreement(self.payouts, self.otherwise_payouts, *total) for total in totals.items()]
        )

    def of_refund(self, asset: str, amount_minor: int) -> Agreement:
        """Who has to agree to a refund."""
        return _agreement(self.refunds, self.otherwise_refunds, asset, amount_minor)


STANDARD = ApprovalPolicy()
"""Where a tenant has said nothing: somebody else looks at each payout, and at no refund."""


def _agreement(
    bands: Sequence[Band], otherwise: Agreement, asset: str, amount_minor: int
) -> Agreement:
    reached = [band for band in bands if band.asset == asset and band.from_minor <= amount_minor]
    return max(reached, key=lambda band: band.from_minor, default=otherwise)


def _strictest(agreements: Sequence[Agreement]) -> Agreement:
    """The most approvals any asset asks for, by those who may agree to each."""
    needed = max(one.approvals for one in agreements)
    asked = [one for one in agreements if one.approvals > 0]
    named = [set(one.approvers) for one in asked if one.approvers]
    common = set.intersection(*named) if named else set()
    if named and len(common) < needed:
        # Nobody may agree to all of it: then everybody named somewhere counts, and all must.
        common = set.union(*named)
        needed = min(10, len(common))
    return Agreement(approvals=needed, approvers=tuple(sorted(common)))
