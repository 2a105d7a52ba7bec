"""A payment that is collected: an intent, what it pays, and its attempts at providers (ADR 0028).

Table 2 of the state machines. Pure: what a provider said is handed in, and comes to the next state
and the facts that say so. Nothing here is believed twice: an end stays an end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from provider_orchestrator.domain import attempts
from provider_orchestrator.domain.adapters import Action, Answer, Kind, Order, Status
from provider_orchestrator.domain.attempts import State
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.payment_rules import (
    Arrival,
    Came,
    PaymentFacts,
    Reason,
    Terms,
    Verdict,
    arrived,
)

LOOK_AGAIN = timedelta(seconds=10)
"""A webhook says sooner how a payment goes on; twice as long each time, up to an hour."""


class IntentState(StrEnum):
    """Where a payment stands that is being collected."""

    CREATED = "created"
    ROUTED = "routed"
    SUBMITTED = "submitted"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    PARTIALLY_CAPTURED = "partially_captured"
    CONFLICTED = "conflicted"
    """Something was captured, but not what was asked for."""
    FAILED = "failed"
    VOIDED = "voided"
    CANCELED = "canceled"
    EXPIRED = "expired"


OPEN = frozenset(
    {
        IntentState.CREATED,
        IntentState.ROUTED,
        IntentState.SUBMITTED,
        IntentState.REQUIRES_ACTION,
        IntentState.PROCESSING,
        IntentState.AUTHORIZED,
        IntentState.UNKNOWN,
    }
)
"""Whoever is in one of these holds the charge lease of its invoices; the others are ends."""
WAITING: Mapping[Status, IntentState] = {
    Status.REQUIRES_ACTION: IntentState.REQUIRES_ACTION,
    Status.APPROVED: IntentState.PROCESSING,
    Status.PROCESSING: IntentState.PROCESSING,
    Status.AUTHORIZED: IntentState.AUTHORIZED,
}


@dataclass(frozen=True, slots=True)
class Share:
    """The part of an intent that pays one invoice: a payment of it, once it is captured."""

    payment_id: UUID
    invoice_id: UUID
    wallet_id: UUID
    place: int
    amount_minor: int
    due_minor: int
    """What the invoice asked for when the intent was made."""


@dataclass(frozen=True, slots=True)
class Intent:
    """One try to collect."""

    tenant_id: UUID
    id: UUID
    state: IntentState
    amount_minor: int
    asset: str
    method: str | None
    payer_country: str | None
    instrument: str | None
    manual_capture: bool
    description: str
    return_url: str | None
    expires_at: datetime
    created_by: str
    created_at: datetime
    shares: tuple[Share, ...] = ()
    captured_minor: int = 0
    giving_up: IntentState | None = None
    """What it becomes once the provider confirms that it is given up."""
    cause: str | None = None
    action: Mapping[str, Any] | None = None
    route_at: datetime | None = None
    rules_version: int | None = None
    """The payment rules it was begun under; None where the tenant had none."""
    rules_facts: PaymentFacts | None = None
    rules_verdict: Verdict | None = None
    """What they made of it: its terms until its end."""

    @property
    def terms(self) -> Terms:
        """What is done with what comes."""
        return Terms() if self.rules_verdict is None else self.rules_verdict.terms

    @property
    def is_open(self) -> bool:
        """Whether it may still take money."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Trial:
    """An operation of an intent at one provider, and what is known of it."""

    tenant_id: UUID
    id: UUID
    intent_id: UUID
    kind: Kind
    number: int
    provider: str
    rail: str
    order: Order
    decision_id: UUID | None = None
    decision_reason: str = ""
    state: State = State.CREATED
    status: Status | None = None
    outcome: Outcome | None = None
    cause: str = ""
    provider_reference: str | None = None
    captured_minor: int | None = None
    captured_asset: str | None = None
    authorized_minor: int | None = None
    fee_minor: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    unknown_since: datetime | None = None
    inquiries: int = 0
    due_at: datetime | None = None
    resolved_by: str | None = None
    resolved_reason: str | None = None
    action: Mapping[str, Any] | None = None
    """What the payer has to do, as it was said last; kept with the intent."""

    @property
    def target(self) -> str:
        """Provider and rail."""
        return f"{self.provider}/{self.rail}"

    @property
    def is_live(self) -> bool:
        """Whether it may still come to something."""
        return self.state in attempts.LIVE

    @property
    def to_send(self) -> Order:
        """The order as it was stored, with the name the provider gave it meanwhile."""
        return replace(self.order, provider_reference=self.provider_reference)

    def as_attempt(self, invoice_id: UUID) -> attempts.Attempt:
        """What the rules of attempts see of it."""
        return attempts.Attempt(
            id=self.id,
            invoice_id=invoice_id,
            number=self.number,
            target=self.target,
            key=self.order.key,
            state=self.state,
            outcome=self.outcome,
            unknown_since=self.unknown_since,
            inquiries=self.inquiries,
        )


_ENDS: Mapping[Kind, Mapping[Status, State]] = {
    Kind.COLLECT: {
        Status.SUCCEEDED: State.CAPTURED,
        Status.FAILED: State.DECLINED,
        Status.CANCELED: State.ABSENT,
    },
    Kind.CAPTURE: {
        Status.SUCCEEDED: State.CAPTURED,
        Status.FAILED: State.DECLINED,
        Status.CANCELED: State.ABSENT,
    },
    # What was to be given up is gone, or was taken before that.
    Kind.VOID: {
        Status.CANCELED: State.ABSENT,
        Status.SUCCEEDED: State.DECLINED,
        Status.FAILED: State.DECLINED,
    },
}


def told(trial: Trial, answer: Answer, now: datetime) -> Trial:
    """An attempt after the provider said something, or after it said nothing that can be used."""
    state = _state_after(trial, answer)
    if state is None:
        return _later(replace(trial, inquiries=trial.inquiries + 1), now)
    became_unknown = state is State.UNKNOWN and trial.state is not State.UNKNOWN
    heard = replace(
        trial,
        state=state,
        status=answer.status,
        outcome=answer.outcome,
        cause=answer.cause[:200],
        provider_reference=answer.provider_reference or trial.provider_reference,
        authorized_minor=answer.authorized_minor or trial.authorized_minor,
        fee_minor=trial.fee_minor if answer.fee_minor is None else answer.fee_minor,
        raw=answer.raw or trial.raw,
        action=None if answer.action is None else _action(answer.action),
        unknown_since=now if became_unknown else trial.unknown_since,
        inquiries=0 if answer.status != trial.status or became_unknown else trial.inquiries + 1,
    )
    if state is State.CAPTURED:
        amount = heard.order.amount_minor if answer.amount_minor is None else answer.amount_minor
        heard = replace(
            heard, captured_minor=amount, captured_asset=answer.asset or heard.order.asset
        )
    return _later(heard, now)


def _action(action: Action) -> dict[str, Any]:
    until = action.expires_at
    return {
        "kind": str(action.kind),
        "url": action.url,
        "address": action.address,
        "chain": action.chain,
        "expires_at": None if until is None else until.isoformat(),
    }


def _state_after(trial: Trial, answer: Answer) -> State | None:
    """None where nothing was learned."""
    status = answer.status
    if status is Status.NOT_FOUND:
        return State.ABSENT if answer.cannot_happen else None
    if status is not None:
        return _ENDS[trial.kind].get(status, State.SENT)
    if trial.state is not State.SENT or trial.status is not None:
        # Of a repetition only a status says what became of the order.
        return None
    if answer.outcome is Outcome.OK:
        return State.UNKNOWN
    attempt = trial.as_attempt(trial.intent_id)
    return attempts.answered(attempt, answer.outcome, trial.order.created_at).state


def _later(trial: Trial, now: datetime) -> Trial:
    """When to look at it next."""
    if trial.state is State.UNKNOWN:
        due = attempts.inquire_at(trial.as_attempt(trial.intent_id))
    elif trial.state is not State.SENT:
        due = None
    elif trial.status is Status.APPROVED and trial.inquiries == 0:
        due = now
    else:
        wait = LOOK_AGAIN * 2 ** min(trial.inquiries, 12)
        due = now + min(wait, attempts.INQUIRE_EVERY_MAX)
    return replace(trial, due_at=due)


def asked_again(trial: Trial, now: datetime) -> Trial:
    """An attempt that has ended, asked after because something was said of it, without an answer:
    less and less often, until there is one.
    """
    wait = LOOK_AGAIN * 2 ** min(trial.inquiries, 12)
    due = now + min(wait, attempts.INQUIRE_EVERY_MAX)
    return replace(trial, inquiries=trial.inquiries + 1, due_at=due)


@dataclass(frozen=True, slots=True)
class Step:
    """What became of an intent and its attempts."""

    intent: Intent
    changed: tuple[Trial, ...]
    reroute: bool = False
    """It ended without money, definitely, and may be tried elsewhere."""


def collected(
    intent: Intent,
    trial: Trial,
    others: Sequence[Trial],
    budget: attempts.RetryBudget,
) -> Step:
    """What an intent is after its attempt to collect was heard of."""
    if not intent.is_open:
        return Step(intent, (trial,))
    match trial.state:
        case State.UNKNOWN:
            return Step(replace(intent, state=IntentState.UNKNOWN, cause=trial.cause), (trial,))
        case State.SENT if trial.status is not None and trial.status in WAITING:
            waiting = WAITING[trial.status]
            action = trial.action or intent.action
            return Step(replace(intent, state=waiting, action=action), (trial,))
        case State.CAPTURED:
            return Step(taken(intent, trial, trial.order.amount_minor), (trial,))
        case State.DECLINED | State.REJECTED | State.ABSENT:
            return _ended(intent, trial, others, budget)
        case _:
            return Step(intent, (trial,))


def taken(intent: Intent, trial: Trial, asked_minor: int) -> Intent:
    """An intent of which money was captured."""
    captured = trial.captured_minor or 0
    arrival = arrival_of(intent, trial, asked_minor, late=False)
    state = IntentState.CONFLICTED
    if arrival is not None and arrival.outcome == "accept":
        asked_whole = asked_minor == intent.amount_minor
        whole = asked_whole and arrival.reason is not Reason.UNDER
        state = IntentState.SUCCEEDED if whole else IntentState.PARTIALLY_CAPTURED
    return replace(intent, state=state, captured_minor=captured, action=None, cause=None)


def came_of(trial: Trial, asked_minor: int, *, late: bool) -> Came | None:
    """What was captured, as rules see it; None where it is nothing they could judge."""
    amount, asset = trial.captured_minor, trial.captured_asset
    if not amount or asset is None:
        return None
    return Came(amount_minor=amount, asset=asset, asked_minor=asked_minor, late=late)


def arrival_of(intent: Intent, trial: Trial, asked_minor: int, *, late: bool) -> Arrival | None:
    """What is done with what was captured, by the terms it was asked for under."""
    came = came_of(trial, asked_minor, late=late)
    return None if came is None else arrived(intent.terms, came, intent.asset)


def _ended(
    intent: Intent,
    trial: Trial,
    others: Sequence[Trial],
    budget: attempts.RetryBudget,
) -> Step:
    if intent.giving_up is not None:
        return Step(replace(intent, state=intent.giving_up, action=None), (trial,))
    invoice = intent.shares[0].invoice_id
    made = [one.as_attempt(invoice) for one in (*others, trial) if one.kind is Kind.COLLECT]
    made.sort(key=lambda one: one.number)
    if trial.status is None and attempts.hindrance(made, budget) is None:
        return Step(intent, (trial,), reroute=True)
    failed = replace(intent, state=IntentState.FAILED, cause=trial.cause or "failed", action=None)
    return Step(failed, (trial,))


def followed(intent: Intent, trial: Trial, collect: Trial, now: datetime) -> Step:
    """What an intent is after a capture or a void of it was heard of."""
    if trial.is_live or not intent.is_open:
        return Step(intent, (trial,))
    if trial.kind is Kind.CAPTURE and trial.state is State.CAPTURED:
        done = replace(
            collect,
            state=State.CAPTURED,
            status=Status.SUCCEEDED,
            captured_minor=trial.captured_minor,
            captured_asset=trial.captured_asset,
            fee_minor=trial.fee_minor,
            due_at=None,
        )
        return Step(taken(intent, trial, trial.order.amount_minor), (trial, done))
    if trial.kind is Kind.VOID and trial.state is State.ABSENT:
        gone = replace(collect, state=State.ABSENT, status=Status.CANCELED, due_at=None)
        end = intent.giving_up or IntentState.CANCELED
        return Step(replace(intent, state=end, action=None), (trial, gone))
    # It did not go that way: the payment itself is asked how it stands.
    return Step(replace(intent, giving_up=None), (trial, replace(collect, due_at=now)))


def split_of(intent: Intent, captured_minor: int) -> list[tuple[Share, int]]:
    """What came, over the shares in their order; what is too much goes to the last."""
    parts: list[tuple[Share, int]] = []
    rest = captured_minor
    for share in intent.shares:
        part = min(rest, share.amount_minor)
        rest -= part
        parts.append((share, part))
    last, part = parts[-1]
    parts[-1] = (last, part + rest)
    return [(share, part) for share, part in parts if part > 0]
