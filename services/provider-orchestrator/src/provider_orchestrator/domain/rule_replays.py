"""What payment rules come to, in the books and in what is said; and what others would have."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from provider_orchestrator.domain.payment_rules import PaymentFacts, PaymentRules, Verdict, judge


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class PostingView(_View):
    """A line the ledger would book."""

    account: str
    """As in the chart of accounts."""
    side: Literal["debit", "credit"]
    amount_minor: int
    asset: str


class Judged(_View):
    """What the rules make of a payment, and what follows."""

    verdict: Verdict
    postings: Sequence[PostingView]
    """What the ledger books at capture; the provider's fee is known later."""
    notices: Sequence[str]
    """What is said: facts of the payment, and of an invoice that has no tolerance of its own."""


class Difference(_View):
    """One payment, as it was and as it would be."""

    decision_id: UUID | None
    """The decision of the past; null for a payment that was given."""
    facts: PaymentFacts
    was: Judged
    would_be: Judged


class Replayed(_View):
    """Both sides, and each payment that would be treated otherwise."""

    payments: int
    changed: int
    before: dict[str, int]
    """Payments by what was done with them."""
    after: dict[str, int]
    differences: Sequence[Difference]


Case = tuple[UUID | None, PaymentFacts, Verdict]
"""A payment and what was, or the rules that count would be, made of it."""


def judged(facts: PaymentFacts, verdict: Verdict) -> Judged:
    """A verdict with what follows from it."""
    return Judged(
        verdict=verdict,
        postings=_postings(facts, verdict),
        notices=_notices(facts, verdict),
    )


def replay(cases: Sequence[Case], rules: PaymentRules) -> Replayed:
    """Judge anew by other rules, all else being as it was."""
    made = [(case, judge(case[1], rules)) for case in cases]
    differences = [
        Difference(
            decision_id=decision_id,
            facts=facts,
            was=judged(facts, was),
            would_be=judged(facts, would),
        )
        for (decision_id, facts, was), would in made
        if _effect(was) != _effect(would)
    ]
    return Replayed(
        payments=len(cases),
        changed=len(differences),
        before=_counted(was for _, _, was in cases),
        after=_counted(would for _, would in made),
        differences=differences,
    )


def _effect(verdict: Verdict) -> tuple[object, ...]:
    """What becomes of a payment by it: of one that is begun, or of money that came."""
    if verdict.arrival is not None:
        return (verdict.arrival, verdict.terms.refund_source)
    return (verdict.refused, verdict.manual_capture, verdict.terms.expires_in_s_max)


def _counted(verdicts: Iterable[Verdict]) -> dict[str, int]:
    return dict(sorted(Counter(map(_named, verdicts)).items()))


def _named(verdict: Verdict) -> str:
    if verdict.arrival is not None:
        return f"{verdict.arrival.outcome}/{verdict.arrival.reason}"
    if verdict.refused is not None:
        return f"refused/{verdict.refused}"
    return "begun/manual" if verdict.manual_capture else "begun/automatic"


def _postings(facts: PaymentFacts, verdict: Verdict) -> list[PostingView]:
    came, arrival = facts.came, verdict.arrival
    if came is None or arrival is None:
        return []
    if arrival.outcome == "hold":
        lines = [("1900", came.amount_minor), ("2900", -came.amount_minor)]
    else:
        applied = min(came.amount_minor, facts.owed_minor)
        lines = [
            ("1300", came.amount_minor),
            ("2110", -applied),
            ("2500", applied - came.amount_minor),
        ]
    return [
        PostingView(
            account=account,
            side="debit" if minor > 0 else "credit",
            amount_minor=abs(minor),
            asset=came.asset,
        )
        for account, minor in lines
        if minor
    ]


def _notices(facts: PaymentFacts, verdict: Verdict) -> list[str]:
    came, arrival = facts.came, verdict.arrival
    if arrival is None or came is None:
        return [] if verdict.refused else ["PaymentCreated"]
    if arrival.outcome == "hold":
        return ["PaymentConflicted"]
    if came.amount_minor > facts.owed_minor:
        return ["PaymentSucceeded", "InvoiceOverpaid"]
    paid = came.amount_minor == facts.owed_minor
    return ["PaymentSucceeded", "InvoicePaid" if paid else "InvoicePartiallyPaid"]
