"""PayPal's Orders API, version 2: create, approve by the payer, capture or authorise."""

from typing import Any

from provider_sandbox.core.provider import Answer, Call, Refused
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.pages import address
from provider_sandbox.providers.paypal.events import happened
from provider_sandbox.providers.paypal.money import new_authorisation, new_capture, shown
from provider_sandbox.providers.paypal.wire import (
    base_of,
    body_of,
    error,
    find,
    headers_of,
    keep,
    link,
    make,
    malformed,
    minor_of,
    unprocessable,
    view,
)

_UNIT = ("amount", "custom_id", "invoice_id", "description", "soft_descriptor", "items", "payee")
_PATH = "/v2/checkout/orders"
PAYER = {
    "email_address": "payer@example.test",
    "payer_id": "SANDBXPAYER22",
    "name": {"given_name": "Ada", "surname": "Payer"},
    "address": {"country_code": "US"},
}


def create(call: Call) -> Answer:
    """An order; the payer approves it on our page."""
    body = body_of(call)
    intent, units = body.get("intent"), body.get("purchase_units")
    if intent not in {"CAPTURE", "AUTHORIZE"}:
        issue = "MISSING_REQUIRED_PARAMETER" if intent is None else "INVALID_PARAMETER_VALUE"
        raise malformed(call, "/intent", issue, "The intent is CAPTURE or AUTHORIZE.")
    if not isinstance(units, list) or not 1 <= len(units) <= 10:
        issue = "MISSING_REQUIRED_PARAMETER" if units is None else "INVALID_ARRAY_MAX_ITEMS"
        issue = "INVALID_ARRAY_MIN_ITEMS" if units == [] else issue
        raise malformed(call, "/purchase_units", issue, "An order has 1 to 10 purchase units.")
    source = _object(body, "payment_source")
    if set(source) - {"paypal"}:
        description = "The sandbox plays the payment source paypal only."
        raise unprocessable(call, "PAYMENT_SOURCE_CANNOT_BE_USED", description)
    made = [_unit(call, place, unit, len(units)) for place, unit in enumerate(units)]
    names = [unit["reference_id"] for unit in made]
    if len(set(names)) != len(names):
        description = "reference_id must be unique within an order."
        raise unprocessable(call, "DUPLICATE_REFERENCE_ID", description)
    context = _object(body, "application_context")
    context = _object(_object(source, "paypal"), "experience_context") or context
    order = make(
        call.world,
        "order",
        intent=intent,
        status="PAYER_ACTION_REQUIRED" if source else "CREATED",
        purchase_units=made,
        payment_source={"paypal": {}} if source else None,
        payer=None,
        _return_url=context.get("return_url", ""),
        _cancel_url=context.get("cancel_url", ""),
        _approve="payer-action" if source else "approve",
    )
    order["links"] = _links(call.world, order)
    keep(call.world, order)
    return _as_asked(call, order, 200 if source else 201)


def _object(body: Document, name: str) -> Document:
    """A part of a body; an empty one where it is not there or no object."""
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def _unit(call: Call, place: int, unit: Any, count: int) -> Document:
    field = f"/purchase_units/{place}"
    if not isinstance(unit, dict):
        raise malformed(call, field, "INVALID_PARAMETER_SYNTAX", "A purchase unit is an object.")
    minor, currency = minor_of(call, unit.get("amount"), f"{field}/amount")
    if count > 1 and not unit.get("reference_id"):
        description = "Several purchase units each need a reference_id."
        raise malformed(call, f"{field}/reference_id", "MISSING_REQUIRED_PARAMETER", description)
    for name in ("custom_id", "invoice_id", "description"):
        if len(str(unit.get(name, ""))) > 127:
            description = "The value of a field is either too short or too long."
            raise malformed(call, f"{field}/{name}", "INVALID_STRING_LENGTH", description)
    kept = {name: unit[name] for name in _UNIT if name in unit}
    return {
        "reference_id": unit.get("reference_id", "default"),
        **kept,
        "_minor": minor,
        "_currency": currency,
    }


def _links(world: World, order: Document) -> list[Document]:
    path, base = f"{_PATH}/{order['id']}", base_of(world)
    found = [link(base, path, "self")]
    if order["status"] in {"CREATED", "PAYER_ACTION_REQUIRED"}:
        found.append(link(base, address(world, "paypal", order["id"]), order["_approve"]))
    if order["status"] in {"CREATED", "APPROVED"}:
        verb = order["intent"].lower()
        found += [
            link(base, path, "update", "PATCH"),
            link(base, f"{path}/{verb}", verb, "POST"),
        ]
    return found


def shape(world: World, order: Document) -> Document:
    """An order as clients see it, with the payments of its units."""
    whole = view(order)
    whole["links"] = _links(world, order)
    whole["purchase_units"] = [_with_payments(world, u) for u in order["purchase_units"]]
    return whole


def _with_payments(world: World, unit: Document) -> Document:
    seen = view(unit)
    payments: Document = {}
    for name, kind in (("captures", "capture"), ("authorizations", "authorization")):
        found = [world.store.get(f"paypal {kind}", key) for key in unit.get(f"_{name}", [])]
        if found:
            payments[name] = [view(one) for one in found]
    if payments:
        seen["payments"] = payments
    return seen


def _as_asked(call: Call, order: Document, status: int) -> Answer:
    whole = shape(call.world, order)
    if "return=representation" not in call.headers.get("prefer", "") and status != 200:
        whole = {name: whole[name] for name in ("id", "status", "links")}
    return Answer(status, whole, headers_of(call), resource=("order", str(order["id"])))


def read(call: Call) -> Answer:
    order = find(call, "order", call.ids["id"])
    return Answer(200, shape(call.world, order), headers_of(call))


def update(call: Call) -> Answer:
    """Replace the `custom_id` or `invoice_id` of a unit, by JSON Patch."""
    order = find(call, "order", call.ids["id"])
    if order["status"] == "COMPLETED":
        raise unprocessable(call, "ORDER_ALREADY_COMPLETED", "The order cannot be patched.")
    patches = call.params.get("patches", [])
    for patch in patches:
        path = str(patch.get("path", ""))
        head, _, name = path.rpartition("/")
        unit = next((u for u in order["purchase_units"] if f"'{u['reference_id']}'" in head), None)
        if unit is None or name not in {"custom_id", "invoice_id", "description"}:
            raise unprocessable(call, "NOT_PATCHABLE", f"{path} cannot be patched here.")
        unit[name] = patch.get("value")
    keep(call.world, order)
    return Answer(204, None, headers_of(call))


def capture(call: Call) -> Answer:
    """Take the money of an approved order."""
    return _finish(call, "CAPTURE", "captures")


def authorise(call: Call) -> Answer:
    """Reserve the money of an approved order."""
    return _finish(call, "AUTHORIZE", "authorizations")


def _finish(call: Call, intent: str, name: str) -> Answer:
    order = find(call, "order", call.ids["id"])
    body_of(call)
    if order["intent"] != intent:
        description = "The order's intent does not allow this."
        raise unprocessable(call, "ACTION_DOES_NOT_MATCH_INTENT", description)
    if order["status"] == "COMPLETED":
        already = "ORDER_ALREADY_CAPTURED" if intent == "CAPTURE" else "ORDER_ALREADY_AUTHORIZED"
        raise unprocessable(call, already, "This can be done once for an order.")
    if order["status"] != "APPROVED":
        description = "Payer has not yet approved the Order for payment."
        raise unprocessable(call, "ORDER_NOT_APPROVED", description)
    if intent == "CAPTURE":
        _invoice_is_new(call, order)
    if order["_declines"] or call.decision.declined:
        order |= {"status": "CREATED", "payer": None, "_declines": False}
        keep(call.world, order)
        raise Refused(_declined(call, order))
    for unit in order["purchase_units"]:
        parts = (call.world, order, unit, unit["_minor"], unit["_currency"])
        made = new_capture(*parts, final=True) if intent == "CAPTURE" else new_authorisation(*parts)
        unit[f"_{name}"] = [made["id"]]
    order["status"] = "COMPLETED"
    keep(call.world, order)
    happened(call.world, "CHECKOUT.ORDER.COMPLETED", "checkout-order", shape(call.world, order))
    whole = shape(call.world, order)
    return Answer(201, whole, headers_of(call), resource=("order", str(order["id"])))


def _declined(call: Call, order: Document) -> Answer:
    description = "The instrument presented was either declined by the processor or bank."
    answer = error(
        call,
        422,
        "UNPROCESSABLE_ENTITY",
        [{"issue": "INSTRUMENT_DECLINED", "description": description}],
    )
    again = address(call.world, "paypal", order["id"])
    answer.body["links"] = [link(call, again, "redirect")]
    return answer


def _invoice_is_new(call: Call, order: Document) -> None:
    """One capture for an invoice id: PayPal's default guard against paying twice."""
    wanted = {unit["invoice_id"] for unit in order["purchase_units"] if unit.get("invoice_id")}
    if not wanted:
        return
    used = [call.world.store.find("paypal invoice", name) for name in wanted]
    if any(one is not None and one["order"] != order["id"] for one in used):
        description = "The invoice id was used for another payment already."
        raise unprocessable(call, "DUPLICATE_INVOICE_ID", description)


def approve(world: World, order: Document, *, declines: bool) -> None:
    """The payer says yes; with `declines` the bank will say no at the capture."""
    order |= {"status": "APPROVED", "payer": PAYER, "_declines": declines}
    order["payment_source"] = {
        "paypal": {
            "email_address": PAYER["email_address"],
            "account_id": PAYER["payer_id"],
            "name": PAYER["name"],
            "address": PAYER["address"],
        }
    }
    order["links"] = _links(world, order)
    keep(world, order)
    happened(world, "CHECKOUT.ORDER.APPROVED", "checkout-order", shape(world, order))


def again(call: Call, kind: str, key: str) -> Answer:
    """The present state of what a repeated request made."""
    if kind == "order":
        order = call.world.store.get("paypal order", key)
        return Answer(200, shape(call.world, order), headers_of(call))
    document = call.world.store.get(f"paypal {kind}", key)
    return shown(call, document, 200 if kind == "authorization" else 201)
