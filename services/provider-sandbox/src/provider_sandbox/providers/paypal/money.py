"""PayPal's captures, authorisations and refunds, and what they do to the balance."""

from provider_sandbox.core.clock import iso_seconds
from provider_sandbox.core.provider import Answer, Call
from provider_sandbox.core.statements import Line, book
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.paypal.events import happened
from provider_sandbox.providers.paypal.wire import (
    base_of,
    body_of,
    find,
    headers_of,
    keep,
    link,
    make,
    minor_of,
    money_of,
    unprocessable,
    view,
)

AUTHORISED_FOR_S = 29 * 86_400
_PATH = "/v2/payments"


def fee_of(minor: int, currency: str) -> int:
    """3.49 % and 49 of the smallest unit, rounded half up."""
    return (minor * 349 + 5000) // 10_000 + (49 if currency not in {"HUF", "JPY", "TWD"} else 40)


def reference_of(document: Document) -> str:
    """Our own reference: `custom_id`, else `invoice_id`."""
    return str(document.get("custom_id") or document.get("invoice_id") or "")


def move(world: World, kind: str, source: Document, gross: int, fee: int, currency: str) -> None:
    """A line of the statement."""
    book(
        world,
        "paypal",
        Line(
            id=source["id"],
            at=world.now(),
            available_at=world.now(),
            kind=kind,
            source=source["id"],
            reference=reference_of(source) or str(source.get("_reference", "")),
            gross_minor=gross,
            fee_minor=fee,
            currency=currency,
        ),
    )


def fact(world: World, kind: str, source: Document, payment: str, minor: int) -> None:
    """What really happened."""
    world.state_fact(
        "paypal",
        kind,
        {
            "payment": payment,
            "object": source["id"],
            "reference": reference_of(source) or str(source.get("_reference", "")),
            "amount_minor": minor,
            "currency": source["_currency"],
        },
    )


def new_capture(
    world: World, order: Document, unit: Document, minor: int, currency: str, *, final: bool
) -> Document:
    """Take money of a payer."""
    fee = fee_of(minor, currency)
    capture = make(
        world,
        "capture",
        status="COMPLETED",
        amount=money_of(minor, currency),
        invoice_id=unit.get("invoice_id"),
        custom_id=unit.get("custom_id"),
        final_capture=final,
        seller_protection={"status": "NOT_ELIGIBLE"},
        seller_receivable_breakdown={
            "gross_amount": money_of(minor, currency),
            "paypal_fee": money_of(fee, currency),
            "net_amount": money_of(minor - fee, currency),
        },
        _minor=minor,
        _currency=currency,
        _refunded=0,
        _order=order["id"],
    )
    path, base = f"{_PATH}/captures/{capture['id']}", base_of(world)
    capture["links"] = [
        link(base, path, "self"),
        link(base, f"{path}/refund", "refund", "POST"),
        link(base, f"/v2/checkout/orders/{order['id']}", "up"),
    ]
    keep(world, capture)
    if capture["invoice_id"]:
        world.store.put("paypal invoice", capture["invoice_id"], {"order": order["id"]})
    move(world, "T0006", capture, minor, fee, currency)
    fact(world, "captured", capture, order["id"], minor)
    happened(world, "PAYMENT.CAPTURE.COMPLETED", "capture", view(capture))
    return capture


def new_authorisation(
    world: World, order: Document, unit: Document, minor: int, currency: str
) -> Document:
    """Reserve money of a payer."""
    held = make(
        world,
        "authorization",
        status="CREATED",
        amount=money_of(minor, currency),
        invoice_id=unit.get("invoice_id"),
        custom_id=unit.get("custom_id"),
        expiration_time=iso_seconds(world.now() + AUTHORISED_FOR_S),
        seller_protection={"status": "NOT_ELIGIBLE"},
        _minor=minor,
        _currency=currency,
        _captured=0,
        _order=order["id"],
        _unit=unit["reference_id"],
    )
    path, base = f"{_PATH}/authorizations/{held['id']}", base_of(world)
    held["links"] = [
        link(base, path, "self"),
        link(base, f"{path}/capture", "capture", "POST"),
        link(base, f"{path}/void", "void", "POST"),
        link(base, f"/v2/checkout/orders/{order['id']}", "up"),
    ]
    keep(world, held)
    world.later(AUTHORISED_FOR_S, "paypal.authorisation_ends", {"id": held["id"]})
    happened(world, "PAYMENT.AUTHORIZATION.CREATED", "authorization", view(held))
    return held


def authorisation_ends(world: World, argument: Document) -> None:
    """Nobody captured it in time."""
    held = world.store.get("paypal authorization", argument["id"])
    if held["status"] in {"CREATED", "PARTIALLY_CAPTURED"}:
        held["status"] = "VOIDED"
        keep(world, held)
        happened(world, "PAYMENT.AUTHORIZATION.VOIDED", "authorization", view(held))


def read(kind: str, call: Call) -> Answer:
    """An object by its id."""
    return Answer(200, view(find(call, kind, call.ids["id"])), headers_of(call))


def shown(call: Call, document: Document, status: int = 201) -> Answer:
    """An object as asked: whole with `Prefer: return=representation`, else its head."""
    whole = view(document)
    if "return=representation" not in call.headers.get("prefer", ""):
        whole = {name: whole[name] for name in ("id", "status", "links")}
    resource = (document["_kind"], str(document["id"]))
    return Answer(status, whole, headers_of(call), resource=resource)


def capture_authorisation(call: Call) -> Answer:
    """Take the whole of what is reserved, or a part of it."""
    held = find(call, "authorization", call.ids["id"])
    body = body_of(call)
    if held["status"] in {"VOIDED", "DENIED"}:
        raise unprocessable(call, "AUTHORIZATION_VOIDED", "A voided authorization is not captured.")
    left = held["_minor"] - held["_captured"]
    if held["status"] == "CAPTURED" or left <= 0:
        description = "Authorization has already been captured."
        raise unprocessable(call, "AUTHORIZATION_ALREADY_CAPTURED", description)
    minor, currency = left, held["_currency"]
    if "amount" in body:
        minor, currency = minor_of(call, body["amount"], "/amount")
    if currency != held["_currency"]:
        description = "Currency of capture must be that of the authorization."
        raise unprocessable(call, "AUTH_CAPTURE_CURRENCY_MISMATCH", description)
    if minor > left:
        description = "Capture amount exceeds allowable limit."
        raise unprocessable(call, "MAX_CAPTURE_AMOUNT_EXCEEDED", description)
    final = bool(body.get("final_capture", False)) or minor == left
    world = call.world
    order = world.store.get("paypal order", held["_order"])
    whole = next(u for u in order["purchase_units"] if u["reference_id"] == held["_unit"])
    unit = whole | {"invoice_id": body.get("invoice_id", whole.get("invoice_id"))}
    if call.decision.declined:
        description = "The payment was declined."
        raise unprocessable(call, "TRANSACTION_REFUSED", description)
    capture = new_capture(world, order, unit, minor, currency, final=final)
    whole["_captures"] = [*whole.get("_captures", []), capture["id"]]
    keep(world, order)
    held["_captured"] += minor
    held["status"] = "CAPTURED" if final else "PARTIALLY_CAPTURED"
    keep(world, held)
    return shown(call, capture)


def void_authorisation(call: Call) -> Answer:
    """Let go of what is reserved."""
    held = find(call, "authorization", call.ids["id"])
    if held["status"] == "VOIDED":
        raise unprocessable(call, "PREVIOUSLY_VOIDED", "Authorization has been voided already.")
    if held["status"] != "CREATED":
        description = "Authorization has been captured already."
        raise unprocessable(call, "PREVIOUSLY_CAPTURED", description)
    held["status"] = "VOIDED"
    keep(call.world, held)
    happened(call.world, "PAYMENT.AUTHORIZATION.VOIDED", "authorization", view(held))
    if "return=representation" in call.headers.get("prefer", ""):
        return shown(call, held, 200)
    return Answer(204, None, headers_of(call))


def refund_capture(call: Call) -> Answer:
    """Give back the whole that is left, or a part."""
    capture = find(call, "capture", call.ids["id"])
    body = body_of(call)
    left = capture["_minor"] - capture["_refunded"] - capture.get("_disputed", 0)
    if left <= 0:
        description = "The capture has already been fully refunded."
        raise unprocessable(call, "CAPTURE_FULLY_REFUNDED", description)
    minor, currency = left, capture["_currency"]
    if body.get("amount"):
        minor, currency = minor_of(call, body["amount"], "/amount")
    if currency != capture["_currency"]:
        description = "Refund must be in the same currency as the capture."
        raise unprocessable(call, "REFUND_CAPTURE_CURRENCY_MISMATCH", description)
    if minor > left:
        description = "The refund amount must be less than or equal to the capture amount left."
        raise unprocessable(call, "REFUND_AMOUNT_EXCEEDED", description)
    if call.decision.declined:
        raise unprocessable(call, "REFUND_NOT_ALLOWED", "The refund was refused.")
    refund = _refund(call.world, capture, minor, body)
    return shown(call, refund)


def _refund(world: World, capture: Document, minor: int, body: Document) -> Document:
    currency = capture["_currency"]
    refund = make(
        world,
        "refund",
        status="COMPLETED",
        amount=money_of(minor, currency),
        invoice_id=body.get("invoice_id", capture.get("invoice_id")),
        custom_id=body.get("custom_id", capture.get("custom_id")),
        note_to_payer=body.get("note_to_payer"),
        _currency=currency,
        _reference=reference_of(capture),
    )
    path, base = f"{_PATH}/refunds/{refund['id']}", base_of(world)
    refund["links"] = [
        link(base, path, "self"),
        link(base, f"{_PATH}/captures/{capture['id']}", "up"),
    ]
    capture["_refunded"] += minor
    whole = capture["_refunded"] == capture["_minor"]
    capture["status"] = "REFUNDED" if whole else "PARTIALLY_REFUNDED"
    refund["seller_payable_breakdown"] = {
        "gross_amount": money_of(minor, currency),
        "paypal_fee": money_of(0, currency),
        "net_amount": money_of(minor, currency),
        "total_refunded_amount": money_of(capture["_refunded"], currency),
    }
    keep(world, refund)
    keep(world, capture)
    move(world, "T1107", refund, -minor, 0, currency)
    world.state_fact(
        "paypal",
        "refunded",
        {
            "payment": capture["_order"],
            "object": refund["id"],
            "reference": reference_of(capture),
            "amount_minor": minor,
            "currency": currency,
        },
    )
    happened(world, "PAYMENT.CAPTURE.REFUNDED", "refund", view(refund))
    return refund
