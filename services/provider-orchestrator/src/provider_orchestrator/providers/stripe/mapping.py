"""Stripe's words and amounts to ours; what it says and we do not know is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from money import ASSETS, asset
from provider_orchestrator.domain.adapters import LineKind, Order, StatementLine, Status
from provider_orchestrator.domain.provider_payouts import POINTER
from provider_orchestrator.providers.exchange import Senseless, Unsayable

WITHOUT_DECIMALS = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "JPY",
        "KMF",
        "KRW",
        "MGA",
        "PYG",
        "RWF",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
WITH_THREE = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
INTENT_STATUSES = {
    "succeeded": Status.SUCCEEDED,
    "requires_capture": Status.AUTHORIZED,
    "processing": Status.PROCESSING,
    "requires_action": Status.REQUIRES_ACTION,
    "requires_confirmation": Status.PROCESSING,
    "requires_payment_method": Status.FAILED,
    "canceled": Status.CANCELED,
}
"""Of an intent that we confirmed with a card; on a page, the payer may try another card."""
REFUND_STATUSES = {
    "succeeded": Status.SUCCEEDED,
    "pending": Status.PROCESSING,
    "requires_action": Status.PROCESSING,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
}
SOFT_DECLINES = frozenset(
    [
        "approve_with_id",
        "call_issuer",
        "card_not_supported",
        "currency_not_supported",
        "do_not_honor",
        "generic_decline",
        "issuer_not_available",
        "no_action_taken",
        "not_permitted",
        "processing_error",
        "reenter_transaction",
        "service_not_allowed",
        "transaction_not_allowed",
        "try_again_later",
    ]
)
"""Where the issuer or the network, and not the card or its owner, was the reason."""
LINES = {
    "charge": LineKind.PAYMENT,
    "payment": LineKind.PAYMENT,
    "refund": LineKind.REFUND,
    "refund_failure": LineKind.REFUND,
    "payment_refund": LineKind.REFUND,
    "payment_failure_refund": LineKind.REFUND,
    "payment_reversal": LineKind.REFUND,
    "stripe_fee": LineKind.FEE,
    "network_cost": LineKind.FEE,
    "tax_fee": LineKind.FEE,
    "payout": LineKind.TRANSFER,
    "payout_failure": LineKind.TRANSFER,
    "payout_cancel": LineKind.TRANSFER,
}


def _exponent(code: str) -> int:
    if code in WITHOUT_DECIMALS:
        return 0
    return 3 if code in WITH_THREE else 2


def amount_of(minor: int, code: str) -> int:
    """Our minor units as Stripe counts; raises `Unsayable` where it has no such amount."""
    if code not in ASSETS or asset(code).is_token:
        message = f"Stripe has no {code}"
        raise Unsayable(message)
    ours, theirs = asset(code).exponent, _exponent(code)
    if theirs >= ours:
        scaled, rest = minor * 10 ** (theirs - ours), 0
    else:
        scaled, rest = divmod(minor, 10 ** (ours - theirs))
    # The last of three decimals has to be 0 there.
    if rest or (theirs == 3 and scaled % 10):
        message = f"Stripe has no amount of {minor} minor units of {code}"
        raise Unsayable(message)
    return int(scaled)


def minor_of(amount: object, currency: object) -> tuple[int, str]:
    """What Stripe counts as our minor units and asset; raises `Senseless`."""
    code = currency.upper() if isinstance(currency, str) else ""
    if code not in ASSETS or type(amount) is not int:
        message = f"{str(amount)[:40]!r} {str(currency)[:10]!r} is no amount"
        raise Senseless(message)
    ours, theirs = asset(code).exponent, _exponent(code)
    if ours >= theirs:
        return int(amount * 10 ** (ours - theirs)), code
    scaled, rest = divmod(amount, 10 ** (theirs - ours))
    if rest:
        message = f"{amount} {code} has more decimals than the currency"
        raise Senseless(message)
    return int(scaled), code


def moment(seconds: object) -> datetime | None:
    """A time as Stripe writes it; None where it says none."""
    if seconds is None:
        return None
    if type(seconds) is not int or not 0 <= seconds < 2**36:
        message = f"{str(seconds)[:40]!r} is no time"
        raise Senseless(message)
    return datetime.fromtimestamp(seconds, UTC)


def object_in(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An expanded part; an empty one where it is not there, or only its name."""
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def text_in(document: Mapping[str, Any], name: str) -> str | None:
    """A text, or the id of what is there."""
    found = document.get(name)
    if isinstance(found, Mapping):
        found = found.get("id")
    return found if isinstance(found, str) and found else None


@dataclass(frozen=True, slots=True)
class Fee:
    """What Stripe kept, and from when on the rest can be paid out."""

    minor: int | None = None
    available_at: datetime | None = None


def fee_of(intent: Mapping[str, Any], code: str) -> Fee:
    """From the balance transaction of the charge, where it was asked for and is there."""
    booked = object_in(object_in(intent, "latest_charge"), "balance_transaction")
    if not booked:
        return Fee()
    minor, kept_in = minor_of(booked.get("fee"), booked.get("currency"))
    # Settled in another currency, the fee is none of the payment's.
    return Fee(minor if kept_in == code else None, moment(booked.get("available_on")))


def decline_of(error: Mapping[str, Any]) -> tuple[str, bool]:
    """Our code for a decline, and whether another provider may well say yes."""
    code = str(error.get("code") or "declined")[:100]
    reason = str(error.get("decline_code") or code)[:100]
    return reason, reason in SOFT_DECLINES


def redirect_of(intent: Mapping[str, Any]) -> str | None:
    """Where the payer has to go."""
    action = object_in(intent, "next_action")
    return text_in(object_in(action, "redirect_to_url"), "url")


_KEPT = (
    *("id", "object", "status", "amount", "amount_received", "amount_capturable", "currency"),
    *("capture_method", "created", "canceled_at", "cancellation_reason", "livemode", "metadata"),
    *("amount_refunded", "amount_captured", "captured", "disputed", "refunded", "reason"),
    *("payment_status", "expires_at", "failure_code", "failure_reason", "fee", "net", "type"),
    *("available_on", "reporting_category"),
)
_KEPT_PARTS = ("payment_intent", "latest_charge", "balance_transaction", "source")


def kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an object: no secrets, no cards, no names."""
    found: dict[str, Any] = {name: document[name] for name in _KEPT if name in document}
    for name in _KEPT_PARTS:
        part = document.get(name)
        if isinstance(part, Mapping):
            found[name] = kept(part)
        elif isinstance(part, str):
            found[name] = part
    error = object_in(document, "last_payment_error")
    if error:
        found["last_payment_error"] = {
            name: error[name] for name in ("type", "code", "decline_code") if name in error
        }
    return found


def metadata_of(order: Order) -> dict[str, str]:
    """What names our order in Stripe's reports and searches."""
    return {
        "reference": str(order.id),
        "invoice": order.invoice_reference[:200],
        "tenant": str(order.tenant_id),
    }


def line_of(document: Mapping[str, Any]) -> StatementLine:
    """A balance transaction with its source; raises `Senseless`."""
    gross, code = minor_of(document.get("amount"), document.get("currency"))
    fee, _ = minor_of(document.get("fee"), document.get("currency"))
    at, line_id = moment(document.get("created")), text_in(document, "id")
    if at is None or line_id is None:
        raise Senseless("a balance transaction has an id and a time")
    source = object_in(document, "source")
    kind = LINES.get(str(document.get("type")), LineKind.OTHER)
    if str(document.get("reporting_category")).startswith("dispute"):
        kind = LineKind.DISPUTE
    return StatementLine(
        id=line_id,
        kind=kind,
        asset=code,
        gross_minor=gross,
        fee_minor=fee,
        at=at,
        provider_reference=_named_by(source, kind) or text_in(document, "source"),
        our_reference=text_in(object_in(source, "metadata"), "reference"),
        available_at=moment(document.get("available_on")),
        raw=kept(document),
    )


def _named_by(source: Mapping[str, Any], kind: LineKind) -> str | None:
    """Payments and disputes are of an intent, refunds of themselves."""
    about_payment = kind in (LineKind.PAYMENT, LineKind.DISPUTE)
    return text_in(source, "payment_intent") if about_payment else None


def references_of(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Whatever an event points at: the object, its payment, our own reference."""
    about = object_in(object_in(event, "data"), "object")
    found = (
        text_in(about, "id"),
        text_in(about, "payment_intent"),
        text_in(object_in(about, "metadata"), "reference"),
        text_in(about, "client_reference_id"),
        POINTER if text_in(about, "object") == "payout" else None,
    )
    return tuple(dict.fromkeys(one for one in found if one))
