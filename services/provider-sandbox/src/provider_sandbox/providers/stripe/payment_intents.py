"""Stripe's PaymentIntents API."""

import re
from typing import Any

from provider_sandbox.core.provider import Answer, Call, Refused
from provider_sandbox.core.store import Document
from provider_sandbox.providers.stripe import charging
from provider_sandbox.providers.stripe.cards import by_number, named
from provider_sandbox.providers.stripe.events import happened
from provider_sandbox.providers.stripe.wire import (
    error,
    expand,
    expansions,
    find,
    headers_of,
    invalid,
    keep,
    make,
    ok,
    take,
    unexpected_state,
    view,
)

_LARGEST = 99_999_999
_CONFIRMING = {
    "payment_method": "str",
    "payment_method_data": "dict",
    "payment_method_options": "dict",
    "return_url": "str",
    "off_session": "bool",
    "receipt_email": "str",
    "use_stripe_sdk": "bool",
    "error_on_requires_action": "bool",
    "mandate_data": "dict",
    "setup_future_usage": "str",
    "shipping": "dict",
}
_CREATING = _CONFIRMING | {
    "amount": "int!",
    "currency": "str!",
    "automatic_payment_methods": "dict",
    "capture_method": "str",
    "confirm": "bool",
    "confirmation_method": "str",
    "customer": "str",
    "description": "str",
    "metadata": "dict",
    "payment_method_types": "list",
    "allowed_payment_method_types": "list",
    "statement_descriptor": "str",
    "statement_descriptor_suffix": "str",
    "transfer_group": "str",
}


def create(call: Call) -> Answer:
    """An intent; with `confirm` it is charged at once."""
    asked = take(call, **_CREATING)
    _amount_is_right(call, asked["amount"])
    if not re.fullmatch("[a-zA-Z]{3}", asked["currency"]):
        raise invalid(call, f"Invalid currency: {asked['currency']}", "", "currency")
    capture = asked.get("capture_method", "automatic_async")
    if capture not in {"automatic", "automatic_async", "manual"}:
        raise invalid(call, f"Invalid capture_method: {capture}", "", "capture_method")
    method = _method(call, asked)
    if asked.get("confirm") and method is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise invalid(call, message, "payment_intent_unexpected_state")
    intent = new_intent(call, asked, capture)
    if method is not None:
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
        keep(call.world, intent)
    happened(call.world, "payment_intent.created", intent, call)
    if asked.get("confirm") and method is not None:
        return _confirmed(call, intent, method)
    return ok(call, intent)


def _amount_is_right(call: Call, amount: int) -> None:
    if amount < 1:
        raise invalid(call, "Invalid positive integer", "parameter_invalid_integer", "amount")
    if amount > _LARGEST:
        message = "Amount must be no more than 999,999.99"
        raise invalid(call, message, "amount_too_large", "amount")
    if amount < 50:
        message = "Amount must convert to at least 50 cents."
        raise invalid(call, message, "amount_too_small", "amount")


def new_intent(call: Call, asked: dict[str, Any], capture: str) -> Document:
    """An intent that nobody has confirmed, from checked parameters."""
    world = call.world
    types = asked.get("payment_method_types") or ["card"]
    intent = make(
        world,
        "pi",
        amount=asked["amount"],
        amount_capturable=0,
        amount_received=0,
        automatic_payment_methods=_automatic(asked),
        canceled_at=None,
        cancellation_reason=None,
        capture_method=capture,
        confirmation_method=asked.get("confirmation_method", "automatic"),
        currency=asked["currency"].lower(),
        customer=asked.get("customer"),
        description=asked.get("description"),
        last_payment_error=None,
        latest_charge=None,
        metadata=asked.get("metadata", {}),
        next_action=None,
        payment_method=None,
        payment_method_types=types,
        processing=None,
        receipt_email=asked.get("receipt_email"),
        setup_future_usage=asked.get("setup_future_usage"),
        shipping=None,
        statement_descriptor=asked.get("statement_descriptor"),
        statement_descriptor_suffix=asked.get("statement_descriptor_suffix"),
        status="requires_payment_method",
        transfer_group=asked.get("transfer_group"),
        _return_url=asked.get("return_url"),
        _authenticated=False,
    )
    secret = world.draw("stripe client secret").token(25)
    intent["client_secret"] = f"{intent['id']}_secret_{secret}"
    return keep(world, intent)


def _automatic(asked: dict[str, Any]) -> Document | None:
    given = asked.get("automatic_payment_methods")
    if not given:
        return None
    return {
        "enabled": given.get("enabled") == "true",
        "allow_redirects": given.get("allow_redirects", "always"),
    }


def _method(call: Call, asked: dict[str, Any]) -> Document | None:
    if key := asked.get("payment_method"):
        return named(call, key)
    if data := asked.get("payment_method_data"):
        card = data.get("card")
        number = card.get("number", "") if isinstance(card, dict) else ""
        method = by_number(call.world, str(number))
        if method is None:
            message = "Your card number is incorrect."
            raise invalid(call, message, "incorrect_number", "payment_method_data[card][number]")
        return method
    return None


def confirm(call: Call) -> Answer:
    """Charge the card of the intent, or the one that is given."""
    asked = take(call, **_CONFIRMING, capture_method="str")
    intent = find(call, "payment_intent", call.ids["id"], "intent")
    if intent["status"] not in {
        *("requires_payment_method", "requires_confirmation", "requires_action"),
    }:
        allowed = "requires_payment_method, requires_confirmation, requires_action"
        raise unexpected_state(call, intent, "confirmed", allowed)
    method = _method(call, asked)
    if method is None and intent["payment_method"]:
        method = find(call, "payment_method", intent["payment_method"])
    if method is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise invalid(call, message, "payment_intent_unexpected_state")
    intent["_return_url"] = asked.get("return_url", intent["_return_url"])
    return _confirmed(call, intent, method)


def _confirmed(call: Call, intent: Document, method: Document) -> Answer:
    if charging.confirm(call.world, intent, method, declined=call.decision.declined):
        return ok(call, intent)
    failure = dict(intent["last_payment_error"])
    shown = view(call.world, intent)
    answer = error(
        call,
        402,
        failure.pop("type"),
        failure.pop("message"),
        keep=True,
        payment_intent=shown,
        **failure,
    )
    raise Refused(answer)


def capture(call: Call) -> Answer:
    """Take the whole or a part; the rest of the authorisation is let go."""
    asked = take(
        call,
        amount_to_capture="int",
        final_capture="bool",
        metadata="dict",
        statement_descriptor="str",
        statement_descriptor_suffix="str",
    )
    intent = find(call, "payment_intent", call.ids["id"], "intent")
    if intent["status"] != "requires_capture":
        raise unexpected_state(call, intent, "captured", "requires_capture")
    amount = intent["amount_capturable"]
    if "amount_to_capture" in asked:
        amount = asked["amount_to_capture"]
    if amount < 1:
        message = "Invalid positive integer"
        raise invalid(call, message, "parameter_invalid_integer", "amount_to_capture")
    if amount > intent["amount_capturable"]:
        message = "The amount to capture is greater than what was authorized."
        raise invalid(call, message, "amount_too_large", "amount_to_capture")
    world = call.world
    intent["metadata"] |= asked.get("metadata", {})
    charge = world.store.get("stripe charge", intent["latest_charge"])
    charging.take_money(world, intent, charge, amount)
    happened(world, "charge.captured", charge, call)
    happened(world, "payment_intent.succeeded", intent, call)
    return ok(call, intent)


_REASONS = {"duplicate", "fraudulent", "requested_by_customer", "abandoned"}


def cancel(call: Call) -> Answer:
    """Let go of what is not captured."""
    asked = take(call, cancellation_reason="str")
    reason = asked.get("cancellation_reason")
    if reason is not None and reason not in _REASONS:
        raise invalid(call, "Invalid cancellation_reason", "", "cancellation_reason")
    intent = find(call, "payment_intent", call.ids["id"], "intent")
    if intent["status"] in {"succeeded", "canceled", "processing"}:
        allowed = (
            "requires_payment_method, requires_capture, requires_confirmation, requires_action"
        )
        raise unexpected_state(call, intent, "canceled", allowed)
    charging.release(call.world, intent, reason)
    return ok(call, intent)


def update(call: Call) -> Answer:
    """Change what may still be changed."""
    changeable = {name: kind.rstrip("!") for name, kind in _CREATING.items() if name != "confirm"}
    asked = take(call, **changeable)
    intent = find(call, "payment_intent", call.ids["id"], "intent")
    settled = intent["status"] in {"succeeded", "canceled", "requires_capture"}
    if settled and set(asked) - {"metadata", "description"}:
        raise unexpected_state(call, intent, "updated", "requires_payment_method")
    intent["metadata"] |= asked.get("metadata", {})
    if "amount" in asked:
        _amount_is_right(call, asked["amount"])
        intent["amount"] = asked["amount"]
    if "description" in asked:
        intent["description"] = asked["description"]
    if method := _method(call, asked):
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    keep(call.world, intent)
    return ok(call, intent)


def read(call: Call) -> Answer:
    if call.params.get("client_secret"):
        del call.params["client_secret"]
    take(call)
    return ok(call, find(call, "payment_intent", call.ids["id"], "intent"))


_TERM = re.compile(r"""\s*(metadata\[['"](\w+)['"]\]|status|currency)\s*:\s*['"]([^'"]*)['"]\s*""")


def search(call: Call) -> Answer:
    """By metadata, status or currency; what is new is not found yet."""
    asked = take(call, query="str!", limit="int", page="str")
    terms = [_TERM.fullmatch(part) for part in re.split(r"\bAND\b", asked["query"])]
    if not all(terms):
        message = "We were unable to parse your search query."
        raise invalid(call, message, "", "query")
    lag = call.world.plan.of("stripe").search_lag_s
    found = [
        one
        for one in call.world.store.all("stripe payment_intent")
        if one["created"] + lag <= call.world.now()
        and all(_fits(one, term) for term in terms if term)
    ]
    limit = asked.get("limit", 10)
    page = asked.get("page", "0")
    start = int(page) if page.isdigit() else 0
    shown = found[::-1][start : start + limit]
    more = len(found) > start + limit
    body = {
        "object": "search_result",
        "url": call.path,
        "has_more": more,
        "next_page": str(start + limit) if more else None,
        "data": [view(call.world, one) for one in shown],
    }
    return Answer(200, expand(call.world, body, expansions(call)), headers_of(call))


def _fits(intent: Document, term: re.Match[str]) -> bool:
    value = intent["metadata"].get(term[2]) if term[2] else intent.get(term[1])
    return bool(value == term[3])
