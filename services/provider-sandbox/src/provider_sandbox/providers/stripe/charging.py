"""What happens to money when a PaymentIntent is confirmed, captured, cancelled or runs out."""

from typing import Any

from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.pages import address
from provider_sandbox.providers.stripe.balance import (
    AVAILABLE_AFTER_S,
    fee_of,
    move,
    reference_of,
)
from provider_sandbox.providers.stripe.cards import Behaviour, behaviour_of, message_of
from provider_sandbox.providers.stripe.disputes import open_dispute
from provider_sandbox.providers.stripe.events import happened
from provider_sandbox.providers.stripe.wire import keep, make, view

AUTHORISED_FOR_S = 7 * 86_400


def confirm(world: World, intent: Document, method: Document, *, declined: bool) -> bool:
    """Try to charge; whether the card was accepted. `declined` is chance's own no."""
    card = behaviour_of(method)
    intent["payment_method"] = method["id"]
    intent["last_payment_error"] = None
    if card.authenticates and not intent["_authenticated"]:
        intent["status"] = "requires_action"
        intent["next_action"] = _redirect(world, intent)
        keep(world, intent)
        happened(world, "payment_intent.requires_action", intent)
        return True
    if declined and not card.code:
        card = Behaviour(card.number, card.brand, "card_declined", "generic_decline")
    if card.code:
        fail(world, intent, method, card.code, card.decline_code)
        return False
    _accept(world, intent, method, card)
    return True


def _redirect(world: World, intent: Document) -> Document:
    page = address(world, "stripe", intent["id"])
    return {
        "type": "redirect_to_url",
        "redirect_to_url": {"url": page, "return_url": intent["_return_url"]},
    }


def fail(world: World, intent: Document, method: Document, code: str, decline_code: str) -> None:
    """The card says no: the intent waits for another one."""
    charge = _charge(world, intent, method, "failed", 0)
    charge |= {
        "failure_code": code,
        "failure_message": message_of(code),
        "outcome": {
            "network_status": "declined_by_network",
            "reason": decline_code,
            "type": "issuer_declined",
            "seller_message": "The bank did not return any further details with this decline.",
        },
    }
    keep(world, charge)
    failure: dict[str, Any] = {
        "type": "card_error",
        "code": code,
        "message": message_of(code),
        "charge": charge["id"],
        "payment_method": view(world, method),
        "doc_url": f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}",
    }
    if decline_code and code == "card_declined":
        failure["decline_code"] = decline_code
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "latest_charge": charge["id"],
        "last_payment_error": failure,
        "_authenticated": False,
    }
    keep(world, intent)
    happened(world, "charge.failed", charge)
    happened(world, "payment_intent.payment_failed", intent)


def _charge(
    world: World, intent: Document, method: Document, status: str, captured: int
) -> Document:
    amount = intent["amount"]
    return make(
        world,
        "ch",
        amount=amount,
        amount_captured=captured,
        amount_refunded=0,
        balance_transaction=None,
        billing_details=method["billing_details"],
        captured=bool(captured),
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        disputed=False,
        failure_code=None,
        failure_message=None,
        metadata=dict(intent["metadata"]),
        outcome={"network_status": "approved_by_network", "reason": None, "type": "authorized"},
        paid=status == "succeeded",
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details={"type": "card", "card": dict(method["card"])},
        receipt_url=None,
        refunded=False,
        status=status,
        _card=method["_card"],
    )


def _accept(world: World, intent: Document, method: Document, card: Behaviour) -> None:
    manual = intent["capture_method"] == "manual"
    charge = _charge(world, intent, method, "succeeded", 0)
    intent |= {"latest_charge": charge["id"], "next_action": None}
    if not manual:
        take_money(world, intent, charge, intent["amount"])
        happened(world, "charge.succeeded", charge)
        happened(world, "payment_intent.succeeded", intent)
        if card.disputes:
            open_dispute(world, charge, charge["amount"], "fraudulent")
        return
    charge["payment_method_details"]["card"]["capture_before"] = int(world.now() + AUTHORISED_FOR_S)
    intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
    keep(world, charge)
    keep(world, intent)
    world.later(AUTHORISED_FOR_S, "stripe.authorisation_ends", {"id": intent["id"]})
    happened(world, "charge.succeeded", charge)
    happened(world, "payment_intent.amount_capturable_updated", intent)


def take_money(world: World, intent: Document, charge: Document, amount: int) -> None:
    """Capture: the balance moves, what is left of the authorisation is let go."""
    at_once = behaviour_of({"_card": charge["_card"]}).available_at_once
    moved = move(
        world,
        "charge",
        amount,
        charge,
        fee=fee_of(amount, charge["currency"]),
        after_s=0 if at_once else AVAILABLE_AFTER_S,
        reference=reference_of(intent),
    )
    charge |= {
        "captured": True,
        "amount_captured": amount,
        "balance_transaction": moved["id"],
    }
    intent |= {
        "status": "succeeded",
        "amount_received": amount,
        "amount_capturable": 0,
    }
    keep(world, charge)
    keep(world, intent)
    world.state_fact(
        "stripe",
        "captured",
        {
            "payment": intent["id"],
            "object": charge["id"],
            "reference": reference_of(intent),
            "amount_minor": amount,
            "currency": charge["currency"],
            "fee_minor": moved["fee"],
        },
    )


def release(world: World, intent: Document, reason: str | None) -> None:
    """Cancel: nothing was captured, and nothing will be."""
    intent |= {
        "status": "canceled",
        "canceled_at": int(world.now()),
        "cancellation_reason": reason,
        "amount_capturable": 0,
        "next_action": None,
    }
    keep(world, intent)
    charge = world.store.find("stripe charge", intent["latest_charge"] or "")
    if charge is not None and charge["status"] == "succeeded":
        charge |= {"refunded": True, "amount_refunded": charge["amount"]}
        keep(world, charge)
    happened(world, "payment_intent.canceled", intent)


def authorisation_ends(world: World, argument: Document) -> None:
    """An authorisation that nobody captured runs out."""
    intent = world.store.get("stripe payment_intent", argument["id"])
    if intent["status"] == "requires_capture":
        release(world, intent, "automatic")
