"""Cards that behave as Stripe documents for its test mode, by name and by number."""

from dataclasses import dataclass

from provider_sandbox.core.provider import Call
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.stripe.wire import find, invalid, keep, take


@dataclass(frozen=True)
class Behaviour:
    """What a card does. An empty `code` means that it pays."""

    number: str
    brand: str = "visa"
    code: str = ""
    decline_code: str = ""
    authenticates: bool = False
    disputes: bool = False
    available_at_once: bool = False
    refund_fails: bool = False


_DECLINED = "card_declined"
CARDS = {
    "pm_card_visa": Behaviour("4242424242424242"),
    "pm_card_visa_debit": Behaviour("4000056655665556"),
    "pm_card_mastercard": Behaviour("5555555555554444", "mastercard"),
    "pm_card_amex": Behaviour("378282246310005", "amex"),
    "pm_card_chargeDeclined": Behaviour(
        "4000000000000002", code=_DECLINED, decline_code="generic_decline"
    ),
    "pm_card_visa_chargeDeclined": Behaviour(
        "4000000000000002", code=_DECLINED, decline_code="generic_decline"
    ),
    "pm_card_chargeDeclinedInsufficientFunds": Behaviour(
        "4000000000009995", code=_DECLINED, decline_code="insufficient_funds"
    ),
    "pm_card_visa_chargeDeclinedInsufficientFunds": Behaviour(
        "4000000000009995", code=_DECLINED, decline_code="insufficient_funds"
    ),
    "pm_card_visa_chargeDeclinedLostCard": Behaviour(
        "4000000000009987", code=_DECLINED, decline_code="lost_card"
    ),
    "pm_card_visa_chargeDeclinedStolenCard": Behaviour(
        "4000000000009979", code=_DECLINED, decline_code="stolen_card"
    ),
    "pm_card_chargeDeclinedFraudulent": Behaviour(
        "4100000000000019", code=_DECLINED, decline_code="fraudulent"
    ),
    "pm_card_chargeDeclinedExpiredCard": Behaviour(
        "4000000000000069", code="expired_card", decline_code="expired_card"
    ),
    "pm_card_chargeDeclinedIncorrectCvc": Behaviour(
        "4000000000000127", code="incorrect_cvc", decline_code="incorrect_cvc"
    ),
    "pm_card_chargeDeclinedProcessingError": Behaviour(
        "4000000000000119", code="processing_error", decline_code="processing_error"
    ),
    "pm_card_authenticationRequired": Behaviour("4000002500003155", authenticates=True),
    "pm_card_threeDSecure2Required": Behaviour("4000000000003220", authenticates=True),
    "pm_card_createDispute": Behaviour("4000000000000259", disputes=True),
    "pm_card_bypassPending": Behaviour("4000000000000077", available_at_once=True),
    "pm_card_refundFail": Behaviour("4000000000005126", refund_fails=True),
}
_BY_NUMBER = {card.number: name for name, card in reversed(CARDS.items())}
_MESSAGES = {
    "card_declined": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}


def message_of(code: str) -> str:
    """What Stripe tells a payer about a decline."""
    return _MESSAGES.get(code, "Your card was declined.")


def behaviour_of(method: Document) -> Behaviour:
    """What the card of a payment method does."""
    return CARDS[method["_card"]]


def named(call: Call, key: str) -> Document:
    """A payment method: a kept one, or a new one from the name of a test card."""
    kept = call.world.store.find("stripe payment_method", key)
    if kept is not None:
        return kept
    if key in CARDS:
        return new_method(call.world, key)
    return find(call, "payment_method", key, "payment_method")


def by_number(world: World, number: str) -> Document | None:
    """A new payment method for a test card's number; nothing for any other number."""
    name = _BY_NUMBER.get("".join(letter for letter in number if letter.isdigit()))
    return new_method(world, name) if name else None


def new_method(world: World, name: str) -> Document:
    """A payment method that behaves as the named test card."""
    card = CARDS[name]
    draw = world.draw("stripe payment_method")
    method = {
        "id": f"pm_{draw.token(24)}",
        "object": "payment_method",
        "created": int(world.now()),
        "livemode": False,
        "type": "card",
        "allow_redisplay": "unspecified",
        "customer": None,
        "metadata": {},
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "card": {
            "brand": card.brand,
            "last4": card.number[-4:],
            "exp_month": 12,
            "exp_year": 2034,
            "country": "US",
            "funding": "credit",
            "fingerprint": draw.hexadecimal(16),
        },
        "_card": name,
    }
    return keep(world, method)


def create(call: Call) -> Document:
    """A payment method from a card's number or token."""
    asked = take(call, type="str!", card="dict", metadata="dict", billing_details="dict")
    if asked["type"] != "card":
        raise invalid(call, "The sandbox plays cards only.", "", "type")
    card = asked.get("card", {})
    token = str(card.get("token", "")).replace("tok_", "pm_card_", 1)
    method = new_method(call.world, token) if token in CARDS else None
    method = method or by_number(call.world, str(card.get("number", "")))
    if method is None:
        raise invalid(call, "Your card number is incorrect.", "incorrect_number", "card[number]")
    method["metadata"] = asked.get("metadata", {})
    return keep(call.world, method)
