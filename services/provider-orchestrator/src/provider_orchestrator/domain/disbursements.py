"""Money that leaves: one refund or payout, from the wish to its end (ADR 0029).

It waits for two things, in any order: the ledger sets the money apart, and whoever has to agree
agrees. Then it is one order with one key for ever. While its outcome is unknown it is asked after,
and repeated with the same key at most; it is never made anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from invoiceos_contracts import Amount, Event
from invoiceos_contracts.payment_v1 import (
    RefundApproved,
    RefundCanceled,
    RefundFailed,
    RefundOutcomeUnknown,
    RefundRequested,
    RefundSubmitted,
    RefundSucceeded,
)
from invoiceos_contracts.payout_v1 import (
    PayoutApproved,
    PayoutCanceled,
    PayoutFailed,
    PayoutOutcomeUnknown,
    PayoutRequested,
    PayoutSubmitted,
    PayoutSucceeded,
)
from provider_orchestrator.domain.adapters import Answer, Kind, Order, Status
from provider_orchestrator.domain.approvals import Asked
from provider_orchestrator.domain.attempts import PERSON_AFTER
from provider_orchestrator.domain.outcomes import Outcome

LEASE = timedelta(seconds=120)
"""As long nobody else takes up what somebody is sending: longer than any call lasts."""
SENDS_MAX = 8
"""Calls that provably came to nothing before it is given up."""
INQUIRE_AFTER = (
    timedelta(seconds=2),
    timedelta(seconds=8),
    timedelta(seconds=50),
    timedelta(minutes=4),
)
"""Waits between inquiries; then twice the last each time, up to an hour."""
INQUIRE_EVERY_MAX = timedelta(hours=1)
QUEUED_FOR = timedelta(seconds=30)
"""How long a payout waits that the rules hold back while no provider is well."""
ON_CHAIN = frozenset({"tempo", "evm-create2"})
"""Providers that pay out of the treasury itself; the others pay out of what they hold for us."""


class State(StrEnum):
    """Where it stands."""

    REQUESTED = "requested"
    """It waits for the ledger, or for people."""
    READY = "ready"
    SENT = "sent"
    """Somebody is calling the provider, or died while doing so."""
    PENDING = "pending"
    """The provider has accepted it and has not finished."""
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELED})
IN_DOUBT = frozenset({State.SENT, State.PENDING, State.UNKNOWN})
"""The provider may have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disbursement(Asked):
    """One refund or payout."""

    kind: Kind
    amount_minor: int
    asset: str
    rail: str
    destination: Mapping[str, str]
    key: UUID
    created_at: datetime
    state: State = State.REQUESTED
    payment_id: UUID | None = None
    invoice_id: UUID | None = None
    batch_id: UUID | None = None
    line: int | None = None
    reference: str | None = None
    source: str | None = None
    parent_reference: str | None = None
    parent_minor: int | None = None
    reason: str | None = None
    approved_at: datetime | None = None
    reserved_at: datetime | None = None
    provider: str | None = None
    decision_id: UUID | None = None
    prepared: bytes | None = None
    sends: int = 0
    inquiries: int = 0
    unknown_since: datetime | None = None
    next_at: datetime | None = None
    provider_reference: str | None = None
    fee_minor: int | None = None
    fee_asset: str | None = None
    cause: str | None = None

    @property
    def amount(self) -> Amount:
        """What leaves."""
        return Amount(amount_minor=self.amount_minor, asset=self.asset)

    @property
    def is_ended(self) -> bool:
        """Nothing more comes of it."""
        return self.state in ENDED

    @property
    def order(self) -> Order:
        """What a provider's adapter is asked to do: the same to the letter each time."""
        return Order(
            kind=self.kind,
            id=self.id,
            tenant_id=self.tenant_id,
            key=self.key,
            amount_minor=self.amount_minor,
            asset=self.asset,
            created_at=self.created_at,
            rail=self.rail,
            provider_reference=self.provider_reference,
            parent_reference=self.parent_reference,
            parent_minor=self.parent_minor,
            invoice_reference=self.reference or "",
            description=self.reason or "",
            destination=self.destination,
            prepared=self.prepared,
        )


Step = tuple[Disbursement, list[Event]]
"""A disbursement after a step, and the facts that say so; the same one and none for nothing."""


def requested(one: Disbursement, now: datetime) -> Step:
    """It was asked for; where nobody has to agree, all have."""
    fact: Event
    if one.kind is Kind.REFUND:
        fact = RefundRequested.model_validate(
            {
                **_refund(one),
                "reason": one.reason,
                "requested_by": one.requested_by,
                "held_at": _held_at(one),
            }
        )
    else:
        fact = PayoutRequested.model_validate(
            {
                **_payout(one),
                "reference": one.reference,
                "requested_by": one.requested_by,
                "approvals_needed": one.approvals_needed,
                "held_at": _held_at(one),
            }
        )
    if one.approvals_needed:
        return one, [fact]
    after, facts = approved(one, (), now)
    return after, [fact, *facts]


def _held_at(one: Disbursement) -> str:
    """Where its money leaves from: a rail on a chain is served by the provider of its name."""
    return "treasury" if (one.provider or one.rail) in ON_CHAIN else "clearing"


def approved(one: Disbursement, by: tuple[str, ...], now: datetime) -> Step:
    """Everybody who has to agree has agreed."""
    if one.state is not State.REQUESTED or one.approved_at is not None:
        return one, []
    kind, common = (
        (RefundApproved, _refund(one))
        if one.kind is Kind.REFUND
        else (PayoutApproved, _payout(one))
    )
    fact = kind.model_validate({**common, "approved_by": by})
    return _ready(replace(one, approved_at=now), now), [fact]


def reserved(one: Disbursement, now: datetime) -> Disbursement:
    """The ledger has set the money apart."""
    if one.state is not State.REQUESTED or one.reserved_at is not None:
        return one
    return _ready(replace(one, reserved_at=now), now)


def _ready(one: Disbursement, now: datetime) -> Disbursement:
    if one.approved_at is None or one.reserved_at is None:
        return one
    return replace(one, state=State.READY, next_at=now)


def canceled(one: Disbursement, cause: str, by: str | None) -> Step:
    """It is given up before anything was sent; what was sent is not taken back by a wish."""
    if one.state not in (State.REQUESTED, State.READY) or one.sends:
        return one, []
    after = replace(one, state=State.CANCELED, cause=cause, next_at=None)
    if one.kind is Kind.REFUND:
        return after, [RefundCanceled.model_validate({**_refund(one), "cause": cause})]
    return after, [PayoutCanceled.model_validate({**_payout(one), "cause": cause, "by": by})]


def sent(one: Disbursement, prepared: bytes | None, now: datetime) -> Step:
    """It is about to be sent, for the first time or after calls that came to nothing."""
    assert one.state is State.READY
    assert one.provider is not None
    after = replace(
        one,
        state=State.SENT,
        sends=one.sends + 1,
        prepared=one.prepared or prepared,
        next_at=now + LEASE,
    )
    if one.sends:
        return after, []
    if one.kind is Kind.REFUND:
        return after, [RefundSubmitted.model_validate(_refund(after))]
    target = {"provider": one.provider, "rail": one.rail, "attempt": 1}
    return after, [PayoutSubmitted.model_validate({**_payout(after), **target})]


def interrupted(one: Disbursement, now: datetime) -> Step:
    """It is taken up to be asked after; whoever was sending it did not come back."""
    lasting = replace(one, next_at=now + LEASE)
    if one.state is not State.SENT:
        return lasting, []
    after, facts = _unknown(one, "interrupted", now)
    return replace(after, inquiries=one.inquiries, next_at=lasting.next_at), facts


def answered(one: Disbursement, answer: Answer, *, first: bool, now: datetime) -> Step:
    """What a call came to. `first`: nothing of it can have been accepted before this call.

    What comes late, after the end, changes nothing; whoever was too slow does not speak of a
    first call any more.
    """
    if one.state not in IN_DOUBT:
        return one, []
    first = first and one.state is State.SENT
    known = replace(one, provider_reference=answer.provider_reference or one.provider_reference)
    match answer.outcome:
        case Outcome.OK:
            return _found(known, answer, now)
        case Outcome.DECLINED | Outcome.OUR_FAULT if first:
            return _failed(known, answer.cause or str(answer.outcome))
        case Outcome.THROTTLED | Outcome.INFRA | Outcome.AUTH if first:
            return _refused(known, answer, now)
        case _:
            return _unknown(known, answer.cause or str(answer.outcome), now)


def _found(one: Disbursement, answer: Answer, now: datetime) -> Step:
    match answer.status:
        case Status.SUCCEEDED:
            return _succeeded(one, answer, now)
        case Status.FAILED | Status.CANCELED:
            return _failed(one, answer.cause or str(answer.status))
        case Status.NOT_FOUND if answer.cannot_happen:
            return _failed(one, answer.cause or "not_sent")
        case Status.NOT_FOUND | None:
            return _unknown(one, answer.cause or "not_found", now)
        case _:
            pending = replace(one, state=State.PENDING, unknown_since=None, cause=None)
            return _later(pending, now), []


def _succeeded(one: Disbursement, answer: Answer, now: datetime) -> Step:
    told = (answer.amount_minor, answer.asset)
    if told not in ((one.amount_minor, one.asset), (one.amount_minor, None), (None, None)):
        # Something else moved than was ordered: the books must not be told that all is well.
        return _unknown(one, "amount_differs", now)
    if one.provider_reference is None:
        return _unknown(one, "no_reference", now)
    after = replace(
        one,
        state=State.SUCCEEDED,
        next_at=None,
        unknown_since=None,
        cause=None,
        fee_minor=answer.fee_minor,
        fee_asset=None if answer.fee_minor is None else answer.asset or one.asset,
    )
    fee = (
        None
        if answer.fee_minor is None
        else Amount(amount_minor=answer.fee_minor, asset=answer.asset or one.asset)
    )
    common = {
        "provider_reference": after.provider_reference,
        "fee": fee,
        "held_at": _held_at(one),
        "final_at": now,
    }
    if one.kind is Kind.REFUND:
        return after, [RefundSucceeded.model_validate({**_refund(after), **common})]
    target = {"provider": one.provider, "rail": one.rail}
    return after, [PayoutSucceeded.model_validate({**_payout(after), **target, **common})]


def _failed(one: Disbursement, cause: str) -> Step:
    after = replace(one, state=State.FAILED, cause=cause[:300], next_at=None, unknown_since=None)
    kind, common = (
        (RefundFailed, _refund(one)) if one.kind is Kind.REFUND else (PayoutFailed, _payout(one))
    )
    return after, [kind.model_validate({**common, "cause": after.cause})]


def unroutable(one: Disbursement) -> Step:
    """No provider can do it at all, and nothing was sent."""
    assert one.sends == 0
    return _failed(one, "no_provider")


def queued(one: Disbursement, now: datetime) -> Disbursement:
    """No provider is well and the rules say to wait."""
    return replace(one, next_at=now + QUEUED_FOR)


def _refused(one: Disbursement, answer: Answer, now: datetime) -> Step:
    """Provably not accepted: the same order goes out again later, with the same key."""
    if one.sends >= SENDS_MAX:
        return _failed(one, answer.cause or str(answer.outcome))
    wait = timedelta(seconds=answer.retry_after_s or min(2**one.sends, 300))
    return replace(one, state=State.READY, next_at=now + wait), []


def _unknown(one: Disbursement, cause: str, now: datetime) -> Step:
    after = _later(
        replace(
            one,
            state=State.UNKNOWN,
            cause=cause[:300],
            unknown_since=one.unknown_since or now,
        ),
        now,
    )
    if one.state is State.UNKNOWN:
        return after, []
    if one.kind is Kind.REFUND:
        return after, [RefundOutcomeUnknown.model_validate({**_refund(one), "cause": after.cause})]
    told = {"provider": one.provider, "rail": one.rail, "cause": after.cause}
    return after, [PayoutOutcomeUnknown.model_validate({**_payout(one), **told})]


def _later(one: Disbursement, now: datetime) -> Disbursement:
    if one.inquiries < len(INQUIRE_AFTER):
        wait = INQUIRE_AFTER[one.inquiries]
    else:
        doublings = min(one.inquiries - len(INQUIRE_AFTER) + 1, 10)
        wait = min(INQUIRE_AFTER[-1] * 2**doublings, INQUIRE_EVERY_MAX)
    return replace(one, inquiries=one.inquiries + 1, next_at=now + wait)


def needs_person(one: Disbursement, now: datetime) -> bool:
    """Whether somebody has to look into it; asking goes on meanwhile."""
    return one.unknown_since is not None and now - one.unknown_since >= PERSON_AFTER


def _refund(one: Disbursement) -> dict[str, object]:
    return {
        "tenant_id": one.tenant_id,
        "refund_id": one.id,
        "payment_id": one.payment_id,
        "invoice_id": one.invoice_id,
        "provider": one.provider,
        "rail": one.rail,
        "amount": one.amount,
        "source": one.source,
    }


def _payout(one: Disbursement) -> dict[str, object]:
    return {
        "tenant_id": one.tenant_id,
        "payout_id": one.id,
        "batch_id": one.batch_id,
        "amount": one.amount,
    }
