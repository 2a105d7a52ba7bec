"""The facts of payments that are collected, and the payments they become."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from invoiceos_contracts import Amount, Event
from invoiceos_contracts.payment_v1 import (
    PaymentAuthorized,
    PaymentCanceled,
    PaymentCaptured,
    PaymentConflicted,
    PaymentCreated,
    PaymentExpired,
    PaymentFailed,
    PaymentOutcomeUnknown,
    PaymentProcessing,
    PaymentRequiresAction,
    PaymentRerouted,
    PaymentResolved,
    PaymentRouted,
    PaymentSeen,
    PaymentSubmitted,
    PaymentSucceeded,
    PaymentVoided,
)
from provider_orchestrator.domain.intents import (
    Intent,
    IntentState,
    Share,
    Trial,
    arrival_of,
    split_of,
)
from provider_orchestrator.domain.outcomes import MEANINGS, NextStep
from provider_orchestrator.domain.payment_facts import about

HELD_AT = "clearing"
NOBODY = "none"
"""In the place of a provider where none was asked."""
_LASTING = frozenset({NextStep.STOP})


@dataclass(frozen=True, slots=True)
class Collected:
    """A payment of one invoice, by what a provider captured."""

    tenant_id: UUID
    id: UUID
    wallet_id: UUID
    invoice_id: UUID
    provider: str
    rail: str
    state: str
    cause: str | None
    amount_minor: int
    asset: str
    due_minor: int
    due_asset: str
    reference: str
    intent_id: UUID
    attempt_id: UUID
    fee_minor: int | None
    final_at: datetime
    captured_from_minor: int = 0
    """What its attempt had captured before: more than nothing where money came again."""


def _of_share(intent: Intent, share: Share) -> dict[str, Any]:
    return {
        "tenant_id": intent.tenant_id,
        "payment_id": share.payment_id,
        "invoice_id": share.invoice_id,
        "wallet_id": share.wallet_id,
        "intent_id": intent.id,
        "amount": Amount(amount_minor=share.amount_minor, asset=intent.asset),
    }


def _of_attempt(intent: Intent, share: Share, trial: Trial) -> dict[str, Any]:
    at = {"provider": trial.provider, "rail": trial.rail, "attempt": trial.number}
    return _of_share(intent, share) | at


def _of_payment(intent: Intent, share: Share, trial: Trial | None) -> dict[str, Any]:
    told = _of_share(intent, share)
    del told["intent_id"]
    provider, rail = (NOBODY, NOBODY) if trial is None else (trial.provider, trial.rail)
    return told | {"provider": provider, "rail": rail}


def created(intent: Intent) -> list[Event]:
    """Somebody wants to pay."""
    return [
        PaymentCreated(
            **_of_share(intent, share),
            method=intent.method,
            manual_capture=intent.manual_capture,
            expires_at=intent.expires_at,
        )
        for share in intent.shares
    ]


def routed(intent: Intent, trial: Trial, after: str | None) -> list[Event]:
    """A provider was chosen; `after` is why the attempt before ended."""
    assert trial.decision_id is not None
    if after is None:
        return [
            PaymentRouted(
                **_of_attempt(intent, share, trial),
                decision_id=trial.decision_id,
                reason=trial.decision_reason,
            )
            for share in intent.shares
        ]
    return [
        PaymentRerouted(
            **_of_attempt(intent, share, trial), decision_id=trial.decision_id, cause=after
        )
        for share in intent.shares
    ]


def submitted(intent: Intent, trial: Trial) -> list[Event]:
    """The provider is asked now."""
    return [PaymentSubmitted(**_of_attempt(intent, share, trial)) for share in intent.shares]


def moved(before: Intent, after: Intent, trial: Trial | None) -> list[Event]:
    """What is said of an intent that went from one state to another."""
    if before.state is after.state:
        return []
    facts: list[Event] = []
    if before.state is IntentState.UNKNOWN:
        facts += [
            PaymentResolved(
                **_of_payment(after, share, trial),
                outcome=str(after.state),
                cause=(trial.cause if trial else "") or "inquiry",
            )
            for share in after.shares
        ]
    return facts + [fact for share in after.shares for fact in _said(after, share, trial)]


def _said(intent: Intent, share: Share, trial: Trial | None) -> list[Event]:
    cause = intent.cause or "asked"
    match intent.state:
        case IntentState.FAILED:
            outcome = None if trial is None else trial.outcome
            retryable = outcome is None or MEANINGS[outcome].next not in _LASTING
            failed = _of_payment(intent, share, trial)
            return [PaymentFailed(**failed, cause=cause, retryable=retryable)]
        case IntentState.CANCELED:
            return [PaymentCanceled(**_of_share(intent, share), cause=cause)]
        case IntentState.EXPIRED:
            return [PaymentExpired(**_of_share(intent, share))]
        case _:
            return [] if trial is None else _said_of_attempt(intent, share, trial)


def _said_of_attempt(intent: Intent, share: Share, trial: Trial) -> list[Event]:
    at = _of_attempt(intent, share, trial)
    match intent.state:
        case IntentState.UNKNOWN:
            of_payment = _of_payment(intent, share, trial)
            return [PaymentOutcomeUnknown(**of_payment, cause=trial.cause or "no_answer")]
        case IntentState.REQUIRES_ACTION:
            kind = str((intent.action or {}).get("kind", "redirect"))
            return [PaymentRequiresAction(**at, action=kind)]
        case IntentState.PROCESSING:
            return [PaymentProcessing(**at)]
        case IntentState.AUTHORIZED:
            reference = trial.provider_reference or ""
            return [PaymentAuthorized(**at, provider_reference=reference, expires_at=None)]
        case IntentState.VOIDED:
            return [PaymentVoided(**at, cause=intent.cause or "asked")]
        case _:
            return []


def captured(
    intent: Intent, trial: Trial, now: datetime, *, late: bool, before_minor: int = 0
) -> tuple[list[Collected], list[Event]]:
    """The payments that a capture becomes, and what is said of them.

    `trial` is the attempt that collected. Where that had ended before, what came `late` is a
    payment of its own: it is never lost, and the ledger keeps what is too much as a credit. So is
    what came again, after the attempt had captured `before_minor`: `trial` has that part alone.
    """
    assert trial.captured_minor is not None
    assert trial.captured_asset is not None
    payments: list[Collected] = []
    facts: list[Event] = []
    parts = split_of(intent, trial.captured_minor)
    wrong = _wrong(intent, trial, late=late)
    for number, (share, amount) in enumerate(parts):
        several = f"#{share.place}" if len(intent.shares) > 1 else ""
        again = f"+{before_minor}" if before_minor else ""
        payment = Collected(
            tenant_id=intent.tenant_id,
            id=uuid5(trial.id, f"{share.payment_id}{again}") if late else share.payment_id,
            wallet_id=share.wallet_id,
            invoice_id=share.invoice_id,
            provider=trial.provider,
            rail=trial.rail,
            state="succeeded" if wrong is None else "conflicted",
            cause=wrong,
            amount_minor=amount,
            asset=trial.captured_asset,
            due_minor=share.due_minor,
            due_asset=intent.asset,
            reference=(trial.provider_reference or str(trial.id)) + several + again,
            intent_id=intent.id,
            attempt_id=trial.id,
            fee_minor=trial.fee_minor if number == 0 else None,
            final_at=now,
            captured_from_minor=before_minor,
        )
        payments.append(payment)
        facts += _stated(intent, payment)
    return payments, facts


def uncovered(intent: Intent, captured_minor: int) -> list[Event]:
    """Of several invoices, those that what came was not enough for wait for nothing more."""
    covered = {share.payment_id for share, _ in split_of(intent, captured_minor)}
    return [
        PaymentCanceled(**_of_share(intent, share), cause="nothing_captured")
        for share in intent.shares
        if share.payment_id not in covered
    ]


def _wrong(intent: Intent, trial: Trial, *, late: bool) -> str | None:
    if trial.captured_asset != intent.asset:
        return "wrong_asset"
    if late:
        arrival = arrival_of(intent, trial, trial.order.amount_minor, late=True)
        return None if arrival is None else arrival.cause
    return "wrong_amount" if intent.state is IntentState.CONFLICTED else None


def part_captured(intent: Intent, trial: Trial) -> list[Event]:
    """What was authorised was taken, all of it or a part."""
    parts = {share.payment_id: part for share, part in split_of(intent, trial.captured_minor or 0)}
    return [
        PaymentCaptured(
            **_of_attempt(intent, share, trial),
            captured=Amount(amount_minor=parts.get(share.payment_id, 0), asset=intent.asset),
            released=Amount(
                amount_minor=max(0, share.amount_minor - parts.get(share.payment_id, 0)),
                asset=intent.asset,
            ),
        )
        for share in intent.shares
    ]


def _stated(intent: Intent, payment: Collected) -> list[Event]:
    told = {**about(payment), "chain": None, "payer": None}
    if payment.cause is not None:
        return [
            PaymentConflicted(
                **told,
                cause=payment.cause,
                expected=(intent.asset,),
                provider_reference=payment.reference,
            )
        ]
    fee = payment.fee_minor
    return [
        PaymentSeen(**told, confirmations_needed=0),
        PaymentSucceeded(
            **told,
            provider_reference=payment.reference,
            fee=None if fee is None else Amount(amount_minor=fee, asset=payment.asset),
            final_at=payment.final_at,
            invoice_due=Amount(amount_minor=payment.due_minor, asset=payment.due_asset),
            memo_matches=None,
            held_at=HELD_AT,
            intent_id=intent.id,
        ),
    ]
