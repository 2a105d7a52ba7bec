"""Stripe's disputes: the bank takes the money back, evidence may win it again."""

from provider_sandbox.core.provider import Answer, Call
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.stripe.balance import move, reference_of
from provider_sandbox.providers.stripe.events import happened
from provider_sandbox.providers.stripe.wire import find, invalid, keep, make, ok, take

DISPUTE_FEE = 1500
_EVIDENCE_FOR_S = 7 * 86_400
_OPEN = {"needs_response", "under_review", "warning_needs_response"}


def open_dispute(world: World, charge: Document, amount: int, reason: str) -> Document:
    """The bank takes an amount back, and Stripe a fee."""
    intent = world.store.get("stripe payment_intent", charge["payment_intent"])
    dispute = make(
        world,
        "du",
        amount=amount,
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        evidence={},
        evidence_details={
            "due_by": int(world.now() + _EVIDENCE_FOR_S),
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        is_charge_refundable=False,
        metadata={},
        payment_intent=intent["id"],
        reason=reason,
        status="needs_response",
    )
    moved = move(
        world,
        "adjustment",
        -amount,
        dispute,
        fee=DISPUTE_FEE,
        after_s=0,
        reference=reference_of(intent),
    )
    dispute["balance_transactions"] = [moved]
    keep(world, dispute)
    charge["disputed"] = True
    keep(world, charge)
    _state(world, "disputed", dispute, reference_of(intent), amount)
    world.later(_EVIDENCE_FOR_S, "stripe.evidence_ends", {"id": dispute["id"]})
    happened(world, "charge.dispute.created", dispute)
    happened(world, "charge.dispute.funds_withdrawn", dispute)
    return dispute


def _state(world: World, kind: str, dispute: Document, reference: str, amount: int) -> None:
    world.state_fact(
        "stripe",
        kind,
        {
            "payment": dispute["payment_intent"],
            "object": dispute["id"],
            "reference": reference,
            "amount_minor": amount,
            "currency": dispute["currency"],
        },
    )


def _close(world: World, dispute: Document, status: str) -> None:
    if dispute["status"] not in _OPEN:
        return
    dispute["status"] = status
    if status == "won":
        intent = world.store.get("stripe payment_intent", dispute["payment_intent"])
        moved = move(
            world,
            "adjustment",
            dispute["amount"],
            dispute,
            fee=-DISPUTE_FEE,
            after_s=0,
            reference=reference_of(intent),
        )
        dispute["balance_transactions"] = [*dispute["balance_transactions"], moved]
        charge = world.store.get("stripe charge", dispute["charge"])
        charge["disputed"] = False
        keep(world, charge)
        _state(world, "disputed", dispute, reference_of(intent), -dispute["amount"])
        happened(world, "charge.dispute.funds_reinstated", dispute)
    keep(world, dispute)
    happened(world, "charge.dispute.closed", dispute)


def update(call: Call) -> Answer:
    """Hand in evidence; the texts of Stripe's test mode, `winning_evidence` and so on, decide."""
    asked = take(call, evidence="dict", metadata="dict", submit="bool")
    dispute = find(call, "dispute", call.ids["id"])
    if dispute["status"] not in _OPEN:
        raise invalid(call, "This dispute is already closed", "dispute_closed")
    dispute["evidence"] |= asked.get("evidence", {})
    dispute["metadata"] |= asked.get("metadata", {})
    dispute["evidence_details"]["has_evidence"] = bool(dispute["evidence"])
    if asked.get("submit", True) and dispute["evidence"]:
        dispute["evidence_details"]["submission_count"] += 1
        told = dispute["evidence"].get("uncategorized_text")
        ends = {"winning_evidence": "won", "losing_evidence": "lost"}.get(told)
        if ends:
            _close(call.world, dispute, ends)
        else:
            dispute["status"] = "under_review"
    keep(call.world, dispute)
    return ok(call, dispute)


def close(call: Call) -> Answer:
    """Give in."""
    take(call)
    dispute = find(call, "dispute", call.ids["id"])
    if dispute["status"] not in _OPEN:
        raise invalid(call, "This dispute is already closed", "dispute_closed")
    _close(call.world, dispute, "lost")
    return ok(call, dispute)


def evidence_ends(world: World, argument: Document) -> None:
    """Nobody answered in time: lost. What is under review is decided by chance."""
    dispute = world.store.get("stripe dispute", argument["id"])
    wins = dispute["status"] == "under_review" and world.draw("stripe dispute end").of("wins") < 0.5
    _close(world, dispute, "won" if wins else "lost")


def read(call: Call) -> Answer:
    take(call)
    return ok(call, find(call, "dispute", call.ids["id"]))


def simulate(world: World, wanted: Document) -> Document:
    """Let the bank of a payer dispute a charge: `payment_intent`, and maybe `amount`, `reason`."""
    intent = world.store.get("stripe payment_intent", str(wanted["payment_intent"]))
    charge = world.store.get("stripe charge", str(intent["latest_charge"]))
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = int(wanted.get("amount", left))
    if charge["disputed"] or not 0 < amount <= left:
        raise ValueError(f"{left} of this charge may be disputed, once")
    return open_dispute(world, charge, amount, str(wanted.get("reason", "fraudulent")))
