"""Stripe's page: a card for an intent or a session, and the bank's question (3-D Secure)."""

from collections.abc import Mapping

from provider_sandbox.core.provider import Choice, Page
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.pages import money_text
from provider_sandbox.providers.stripe import charging, checkout
from provider_sandbox.providers.stripe.cards import by_number, message_of
from provider_sandbox.providers.stripe.wire import ZERO_DECIMALS, keep

_CARD = Choice("pay", "Pay", [("number", "Card number", "4242 4242 4242 4242")])
_LEAVE = Choice("leave", "Go back without paying", good=False)
_YES = Choice("authenticate", "Yes, it is me")
_NO = Choice("refuse", "No, refuse", good=False)


def _found(world: World, key: str) -> tuple[Document, Document | None] | None:
    session = world.store.find("stripe checkout.session", key)
    intent = world.store.find(
        "stripe payment_intent", session["payment_intent"] if session else key
    )
    return (intent, session) if intent else None


def page(world: World, key: str) -> Page | None:
    """What the intent waits for, as a page."""
    found = _found(world, key)
    return _page(*found) if found else None


def _page(intent: Document, session: Document | None, error: str = "") -> Page:
    decimals = 0 if intent["currency"] in ZERO_DECIMALS else 2
    amount = money_text(intent["amount"], intent["currency"], decimals)
    rows = [("Payment", intent["id"])]
    if intent["description"]:
        rows.insert(0, ("For", intent["description"]))
    if session and session["status"] == "expired":
        return Page("This page has expired", amount, rows, note="Ask the merchant for a new link.")
    if intent["status"] == "requires_action":
        note = "Your bank asks whether it is you who pays."
        return Page("Confirm the payment", amount, rows, [_YES, _NO], note, error)
    if intent["status"] in {"requires_payment_method", "requires_confirmation"}:
        choices = [_CARD, _LEAVE] if session or intent["_return_url"] else [_CARD]
        return Page("Pay by card", amount, rows, choices, error=error)
    notes = {
        "succeeded": "Paid. You may close this page.",
        "requires_capture": "Authorised. The merchant takes the money later.",
    }
    note = notes.get(intent["status"], "This payment was cancelled.")
    return Page("Payment", amount, rows, note=note)


def choose(world: World, key: str, form: Mapping[str, str]) -> str | Page:
    """Do as the person said; where to go from here."""
    found = _found(world, key)
    assert found is not None
    intent, session = found
    choice = form.get("choice", "")
    waiting = {"requires_payment_method", "requires_confirmation"}
    if choice == "leave":
        return _way_back(intent, session, paid=False) or _page(intent, session)
    if choice == "pay" and intent["status"] in waiting:
        method = by_number(world, form.get("number", ""))
        if method is None:
            return _page(intent, session, "Your card number is incorrect.")
        charging.confirm(world, intent, method, declined=False)
    elif choice in {"authenticate", "refuse"} and intent["status"] == "requires_action":
        method = world.store.get("stripe payment_method", intent["payment_method"])
        if choice == "refuse":
            code = "payment_intent_authentication_failure"
            charging.fail(world, intent, method, code, "")
        else:
            intent["_authenticated"] = True
            charging.confirm(world, intent, method, declined=False)
    keep(world, intent)
    if intent["status"] in {"succeeded", "requires_capture"}:
        session = checkout.complete(world, intent) or session
        return _way_back(intent, session, paid=True) or _page(intent, session)
    failure = intent["last_payment_error"]
    if failure and not session and choice == "refuse":
        return _way_back(intent, session, paid=False) or _page(intent, session, failure["message"])
    return _page(intent, session, message_of(failure["code"]) if failure else "")


def _way_back(intent: Document, session: Document | None, *, paid: bool) -> str:
    if session is not None:
        target = session["success_url"] if paid else session["cancel_url"] or ""
        return str(target).replace("{CHECKOUT_SESSION_ID}", session["id"])
    if not intent["_return_url"]:
        return ""
    join = "&" if "?" in intent["_return_url"] else "?"
    status = "succeeded" if paid else "failed"
    return (
        f"{intent['_return_url']}{join}payment_intent={intent['id']}"
        f"&payment_intent_client_secret={intent['client_secret']}&redirect_status={status}"
    )
