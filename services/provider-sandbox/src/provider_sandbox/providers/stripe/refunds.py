"""Stripe's refunds: never above what was captured and not refunded yet."""

from provider_sandbox.core.provider import Answer, Call
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.stripe.balance import move, reference_of
from provider_sandbox.providers.stripe.cards import CARDS
from provider_sandbox.providers.stripe.events import happened
from provider_sandbox.providers.stripe.wire import find, invalid, keep, make, ok, take

_FAILS_AFTER_S = 3600
_REASONS = {"duplicate", "fraudulent", "requested_by_customer"}


def create(call: Call) -> Answer:
    """Give back the whole that is left, or a part."""
    asked = take(
        call,
        charge="str",
        payment_intent="str",
        amount="int",
        reason="str",
        metadata="dict",
        instructions_email="str",
    )
    if asked.get("reason") not in {None, *_REASONS}:
        raise invalid(call, "Invalid reason", "", "reason")
    charge = _charge(call, asked.get("charge"), asked.get("payment_intent"))
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["disputed"]:
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise invalid(call, message, "charge_disputed")
    if not charge["captured"]:
        message = f"Charge {charge['id']} has not been captured; cancel its PaymentIntent."
        raise invalid(call, message, "charge_not_refundable")
    if left <= 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise invalid(call, message, "charge_already_refunded")
    amount = asked.get("amount", left)
    if amount < 1:
        raise invalid(call, "Invalid positive integer", "parameter_invalid_integer", "amount")
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise invalid(call, message, "", "amount")
    return ok(call, _refund(call, charge, amount, asked))


def _charge(call: Call, charge: str | None, intent: str | None) -> Document:
    if charge:
        return find(call, "charge", charge, "charge")
    if not intent:
        message = "One of the following params should be provided: payment_intent or charge."
        raise invalid(call, message, "parameter_missing", "payment_intent")
    found = find(call, "payment_intent", intent, "payment_intent")
    if found["status"] != "succeeded":
        message = f"This PaymentIntent ({intent}) does not have a successful charge to refund."
        raise invalid(call, message, "payment_intent_unexpected_state", "payment_intent")
    return call.world.store.get("stripe charge", found["latest_charge"])


def _refund(call: Call, charge: Document, amount: int, asked: dict[str, object]) -> Document:
    world = call.world
    intent = world.store.get("stripe payment_intent", charge["payment_intent"])
    fails = CARDS[charge["_card"]].refund_fails or call.decision.declined
    refund = make(
        world,
        "re",
        amount=amount,
        balance_transaction=None,
        charge=charge["id"],
        currency=charge["currency"],
        destination_details={"type": "card", "card": {"type": "refund"}},
        metadata=asked.get("metadata", {}),
        payment_intent=intent["id"],
        reason=asked.get("reason"),
        receipt_number=None,
        status="succeeded",
    )
    reference = reference_of(refund) or reference_of(intent)
    moved = move(world, "refund", -amount, refund, reference=reference)
    refund["balance_transaction"] = moved["id"]
    keep(world, refund)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    keep(world, charge)
    _state(world, "refunded", refund, reference_of(intent))
    happened(world, "refund.created", refund, call)
    happened(world, "charge.refunded", charge, call)
    if fails:
        world.later(_FAILS_AFTER_S, "stripe.refund_fails", {"id": refund["id"]})
    return refund


def _state(world: World, kind: str, refund: Document, reference: str) -> None:
    world.state_fact(
        "stripe",
        kind,
        {
            "payment": refund["payment_intent"],
            "object": refund["id"],
            "reference": reference,
            "amount_minor": refund["amount"],
            "currency": refund["currency"],
        },
    )


def refund_fails(world: World, argument: Document) -> None:
    """The bank sends the refund back: the money is in the balance again."""
    refund = world.store.get("stripe refund", argument["id"])
    charge = world.store.get("stripe charge", refund["charge"])
    intent = world.store.get("stripe payment_intent", refund["payment_intent"])
    moved = move(
        world,
        "refund_failure",
        refund["amount"],
        refund,
        after_s=0,
        reference=reference_of(intent),
    )
    refund |= {
        "status": "failed",
        "failure_reason": "lost_or_stolen_card",
        "failure_balance_transaction": moved["id"],
    }
    keep(world, refund)
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    keep(world, charge)
    _state(world, "returned", refund, reference_of(intent))
    happened(world, "refund.failed", refund)


def read(call: Call) -> Answer:
    take(call)
    return ok(call, find(call, "refund", call.ids["id"]))
