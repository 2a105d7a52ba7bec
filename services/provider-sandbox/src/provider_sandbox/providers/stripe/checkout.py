"""Stripe Checkout: a session whose page takes the card, so that nobody else sees its number."""

from typing import Any

from provider_sandbox.core.provider import Answer, Call
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.pages import address
from provider_sandbox.providers.stripe.charging import release
from provider_sandbox.providers.stripe.events import happened
from provider_sandbox.providers.stripe.payment_intents import new_intent
from provider_sandbox.providers.stripe.wire import find, invalid, keep, make, ok, take

_LIFETIME_S = 86_400


def create(call: Call) -> Answer:
    """A session for one payment; the intent comes into being with it."""
    asked = take(
        call,
        mode="str!",
        line_items="list!",
        success_url="str!",
        cancel_url="str",
        client_reference_id="str",
        customer_email="str",
        metadata="dict",
        payment_intent_data="dict",
        payment_method_types="list",
        allowed_payment_method_types="list",
        expires_at="int",
        locale="str",
        submit_type="str",
    )
    if asked["mode"] != "payment":
        raise invalid(call, "The sandbox plays mode payment only.", "", "mode")
    amount, currency = _total(call, asked["line_items"])
    data = asked.get("payment_intent_data", {})
    wanted = {
        "amount": amount,
        "currency": currency,
        "description": data.get("description"),
        "metadata": data.get("metadata") or {},
    }
    intent = new_intent(call, wanted, data.get("capture_method", "automatic_async"))
    expires = asked.get("expires_at", int(call.world.now()) + _LIFETIME_S)
    session = make(
        call.world,
        "cs",
        amount_subtotal=amount,
        amount_total=amount,
        cancel_url=asked.get("cancel_url"),
        client_reference_id=asked.get("client_reference_id"),
        currency=currency,
        customer=None,
        customer_email=asked.get("customer_email"),
        expires_at=expires,
        metadata=asked.get("metadata", {}),
        mode="payment",
        payment_intent=intent["id"],
        payment_method_types=["card"],
        payment_status="unpaid",
        status="open",
        success_url=asked["success_url"],
        ui_mode="hosted",
    )
    session["url"] = address(call.world, "stripe", session["id"])
    keep(call.world, session)
    left = max(0.0, expires - call.world.now())
    call.world.later(left, "stripe.session_ends", {"id": session["id"]})
    return ok(call, session)


def _total(call: Call, items: list[Any]) -> tuple[int, str]:
    total, currency = 0, ""
    for place, item in enumerate(items):
        whole = item if isinstance(item, dict) else {}
        data = whole.get("price_data")
        data = data if isinstance(data, dict) else {}
        amount, quantity = str(data.get("unit_amount", "")), str(whole.get("quantity", "1"))
        if not amount.isdigit() or not quantity.isdigit() or not data.get("currency"):
            message = "The sandbox takes line items with price_data: currency, unit_amount."
            raise invalid(call, message, "parameter_missing", f"line_items[{place}][price_data]")
        total += int(amount) * int(quantity)
        currency = data["currency"].lower()
    if total < 50:
        raise invalid(call, "Amount must convert to at least 50 cents.", "amount_too_small")
    return total, currency


def read(call: Call) -> Answer:
    take(call)
    return ok(call, find(call, "checkout.session", call.ids["id"]))


def expire(call: Call) -> Answer:
    take(call)
    session = find(call, "checkout.session", call.ids["id"])
    if session["status"] != "open":
        message = "Only Checkout Sessions with a status in [open] can be expired."
        raise invalid(call, message, "resource_missing")
    session_ends(call.world, {"id": session["id"]})
    return ok(call, session)


def session_ends(world: World, argument: Document) -> None:
    """The page closes; what was not paid is let go."""
    session = world.store.get("stripe checkout.session", argument["id"])
    if session["status"] != "open":
        return
    session |= {"status": "expired", "url": None}
    keep(world, session)
    intent = world.store.get("stripe payment_intent", session["payment_intent"])
    if intent["status"] in {"requires_payment_method", "requires_action", "requires_confirmation"}:
        release(world, intent, "abandoned")
    happened(world, "checkout.session.expired", session)


def complete(world: World, intent: Document) -> Document | None:
    """The session of an intent that was paid or authorised is complete; if it has one."""
    for session in world.store.all("stripe checkout.session"):
        if session["payment_intent"] == intent["id"] and session["status"] == "open":
            paid = intent["status"] == "succeeded"
            session |= {
                "status": "complete",
                "payment_status": "paid" if paid else "unpaid",
                "url": None,
            }
            keep(world, session)
            happened(world, "checkout.session.completed", session)
            return session
    return None
