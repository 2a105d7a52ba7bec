"""What providers pay out to our bank, and whose money that is: pure (ADR 0034).

A provider pays out for all tenants at once. Each tenant's part is what it has there: first of what
the provider has released, then of what it holds; what nobody has there is nobody's part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from invoiceos_contracts import Amount, Event
from invoiceos_contracts.provider_v1 import (
    ProviderPayoutAnnounced,
    ProviderPayoutArrived,
    ProviderPayoutFailed,
)

POINTER = "provider-payouts"
"""What a webhook about a payout to the bank points at: the list of them is read again."""


class PayoutState(StrEnum):
    """How far a payout has come."""

    ANNOUNCED = "announced"
    ARRIVED = "arrived"
    FAILED = "failed"


_LATER: Mapping[PayoutState, frozenset[PayoutState]] = {
    PayoutState.ANNOUNCED: frozenset({PayoutState.ARRIVED, PayoutState.FAILED}),
    PayoutState.ARRIVED: frozenset({PayoutState.FAILED}),
    PayoutState.FAILED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class PayoutSaid:
    """A payout to our bank, as its provider tells it now."""

    reference: str
    state: PayoutState
    amount_minor: int
    asset: str
    made_at: datetime
    arrives_at: datetime | None = None
    cause: str = ""


@runtime_checkable
class PaysOut(Protocol):
    """An adapter whose provider pays out what it holds to our bank."""

    async def payouts_since(self, since: datetime) -> Sequence[PayoutSaid]:
        """Payouts made since, in any order; raises `ProviderFault`."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a tenant has at a provider in one asset, by what we know."""

    released_minor: int
    held_minor: int
    """Not released yet."""


@dataclass(frozen=True, slots=True)
class Part:
    """A tenant's part of a payout."""

    tenant_id: UUID
    id: UUID
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ProviderPayout:
    """A payout as it is known here."""

    provider: str
    reference: str
    asset: str
    amount_minor: int
    unassigned_minor: int
    state: PayoutState
    arrives_at: datetime | None
    cause: str | None = None
    parts: tuple[Part, ...] = ()


def divided(amount_minor: int, holdings: Mapping[UUID, Holdings]) -> dict[UUID, int]:
    """The part of each: never more than it has; together all, unless all have less."""
    released = {one: max(0, has.released_minor) for one, has in holdings.items()}
    parts = _pro_rata(amount_minor, released)
    rest = amount_minor - sum(parts.values())
    if rest:
        left = {
            one: max(0, has.released_minor + has.held_minor - parts.get(one, 0))
            for one, has in holdings.items()
        }
        for one, part in _pro_rata(rest, left).items():
            parts[one] = parts.get(one, 0) + part
    return {one: part for one, part in sorted(parts.items()) if part}


def _pro_rata(amount: int, has: Mapping[UUID, int]) -> dict[UUID, int]:
    """In whole units: the largest remainders get one more, of equal ones the first."""
    total = sum(has.values())
    if total <= amount:
        return dict(has)
    parts = {one: amount * held // total for one, held in has.items()}
    short = amount - sum(parts.values())
    first = sorted(has, key=lambda one: (-(amount * has[one] % total), one))
    for one in first[:short]:
        parts[one] += 1
    return parts


def first_heard(
    provider: str,
    said: PayoutSaid,
    holdings: Mapping[UUID, Holdings],
    new_id: Callable[[], UUID],
    now: datetime,
) -> tuple[ProviderPayout, list[Event]]:
    """A payout nobody knew. One that had failed by then moved nothing: nobody's part is in it."""
    failed = said.state is PayoutState.FAILED
    parts = {} if failed else divided(said.amount_minor, holdings)
    made = ProviderPayout(
        provider=provider,
        reference=said.reference,
        asset=said.asset,
        amount_minor=said.amount_minor,
        unassigned_minor=said.amount_minor - sum(parts.values()),
        state=PayoutState.ANNOUNCED,
        arrives_at=said.arrives_at,
        parts=tuple(Part(tenant, new_id(), minor) for tenant, minor in parts.items()),
    )
    facts: list[Event] = [
        ProviderPayoutAnnounced(**told, arrives_at=made.arrives_at) for told in _about(made)
    ]
    after, more = heard(made, said, now)
    return after, facts + more


def heard(
    known: ProviderPayout, said: PayoutSaid, now: datetime
) -> tuple[ProviderPayout, list[Event]]:
    """A payout after its provider told of it again: it only ever goes on."""
    if said.state not in _LATER[known.state]:
        return known, []
    if said.state is PayoutState.ARRIVED:
        arrived = said.arrives_at if said.arrives_at and said.arrives_at <= now else now
        after = replace(known, state=said.state, arrives_at=arrived)
        return after, [ProviderPayoutArrived(**t, arrived_at=arrived) for t in _about(after)]
    cause = said.cause[:200] or "failed"
    after = replace(known, state=said.state, cause=cause)
    return after, [ProviderPayoutFailed(**told, cause=cause) for told in _about(after)]


def _about(payout: ProviderPayout) -> list[dict[str, Any]]:
    return [
        {
            "tenant_id": part.tenant_id,
            "provider_payout_id": part.id,
            "provider": payout.provider,
            "provider_reference": payout.reference,
            "amount": Amount(amount_minor=part.amount_minor, asset=payout.asset),
        }
        for part in payout.parts
    ]
