"""PayPal's way of writing: JSON with links, decimal strings, errors with `issue`s."""

import json
import re
from decimal import Decimal
from typing import Any

from provider_sandbox.core.clock import iso_seconds
from provider_sandbox.core.provider import Answer, Call, Refused
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World

WHOLE_ONLY = frozenset({"HUF", "JPY", "TWD"})
_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_VALUE = re.compile(r"[0-9]+(\.[0-9]+)?")
_MESSAGES = {
    "INVALID_REQUEST": "Request is not well-formed, syntactically incorrect, or violates schema.",
    "UNPROCESSABLE_ENTITY": (
        "The requested action could not be performed, semantically incorrect, or failed business "
        "validation."
    ),
    "RESOURCE_NOT_FOUND": "The specified resource does not exist.",
    "RESOURCE_CONFLICT": "The server has detected a conflict while processing this request.",
    "RATE_LIMIT_REACHED": "Too many requests. Blocked due to rate limiting.",
    "INTERNAL_SERVER_ERROR": "An internal server error has occurred.",
    "SERVICE_UNAVAILABLE": "Service Unavailable.",
}


def key_of(world: World, kind: str, length: int = 17) -> str:
    """An identifier as PayPal makes them."""
    return world.draw(f"paypal {kind}").token(length, _LETTERS)


def headers_of(call: Call) -> dict[str, str]:
    """What every answer carries."""
    return {"Paypal-Debug-Id": call.decision.draw.hexadecimal(13)}


def error(
    call: Call, status: int, name: str, issues: "list[Document] | None" = None, *, message: str = ""
) -> Answer:
    """An error in PayPal's shape; no key remembers it."""
    debug = headers_of(call)
    body: Document = {
        "name": name,
        "message": message or _MESSAGES[name],
        "debug_id": debug["Paypal-Debug-Id"],
    }
    if issues:
        body["details"] = issues
    body["links"] = []
    return Answer(status, body, debug, keep=False)


def unprocessable(call: Call, issue: str, description: str) -> Refused:
    """A 422 with one issue."""
    details = [{"issue": issue, "description": description}]
    return Refused(error(call, 422, "UNPROCESSABLE_ENTITY", details))


def malformed(call: Call, field: str, issue: str, description: str) -> Refused:
    """A 400 about one field."""
    details = [{"field": field, "location": "body", "issue": issue, "description": description}]
    return Refused(error(call, 400, "INVALID_REQUEST", details))


def not_found(call: Call) -> Refused:
    """A 404."""
    details = [
        {
            "issue": "INVALID_RESOURCE_ID",
            "description": "Specified resource ID does not exist.",
        }
    ]
    return Refused(error(call, 404, "RESOURCE_NOT_FOUND", details))


def body_of(call: Call) -> dict[str, Any]:
    """The JSON object of a request; nothing counts as an empty one."""
    if not call.raw.strip():
        return {}
    try:
        body = json.loads(call.raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise malformed(call, "/", "MALFORMED_REQUEST_JSON", "The request JSON is not well formed.")
    return body


def make(world: World, kind: str, **fields: Any) -> Document:
    """A new object, kept; `_kind` is ours alone."""
    now = iso_seconds(world.now())
    document = {
        "id": key_of(world, kind),
        **fields,
        "create_time": now,
        "update_time": now,
        "_kind": kind,
    }
    return keep(world, document)


def keep(world: World, document: Document) -> Document:
    """Keep an object as it is now."""
    document["update_time"] = iso_seconds(world.now())
    world.store.put(f"paypal {document['_kind']}", document["id"], document)
    return document


def find(call: Call, kind: str, key: str) -> Document:
    """An object by its id; raises `Refused` where there is none."""
    document = call.world.store.find(f"paypal {kind}", key)
    if document is None:
        raise not_found(call)
    return document


def view(document: Document) -> Document:
    """An object as clients see it: what is ours alone and what is empty left out."""
    return {
        name: value
        for name, value in document.items()
        if not name.startswith("_") and value is not None
    }


def minor_of(call: Call, money: Any, field: str) -> tuple[int, str]:
    """Minor units and currency of an amount; raises `Refused` for what is none."""
    if not isinstance(money, dict):
        raise malformed(call, field, "MISSING_REQUIRED_PARAMETER", "A required field is missing.")
    currency, value = money.get("currency_code"), money.get("value")
    if not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency):
        description = "The currency code is not a three-character ISO-4217 code."
        raise malformed(call, f"{field}/currency_code", "INVALID_PARAMETER_SYNTAX", description)
    if not isinstance(value, str) or not _VALUE.fullmatch(value) or len(value) > 32:
        description = "The value of a field is not a decimal in a string."
        raise malformed(call, f"{field}/value", "INVALID_PARAMETER_SYNTAX", description)
    decimals = 0 if currency in WHOLE_ONLY else 2
    scaled = Decimal(value).scaleb(decimals)
    if scaled != scaled.to_integral_value():
        description = f"The value has more than {decimals} decimals."
        raise unprocessable(call, "DECIMAL_PRECISION", description)
    if scaled <= 0:
        raise unprocessable(call, "CANNOT_BE_ZERO_OR_NEGATIVE", "Must be greater than zero.")
    return int(scaled), currency


def money_of(minor: int, currency: str) -> dict[str, str]:
    """An amount as PayPal writes it."""
    if currency in WHOLE_ONLY:
        return {"currency_code": currency, "value": str(minor)}
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    return {"currency_code": currency, "value": f"{sign}{whole // 100}.{whole % 100:02}"}


def link(call_or_base: Call | str, path: str, rel: str, method: str = "GET") -> Document:
    """One HATEOAS link; `path` may be a whole address."""
    base = call_or_base if isinstance(call_or_base, str) else call_or_base.base_url
    href = path if path.startswith("http") else f"{base}{path}"
    return {"href": href, "rel": rel, "method": method}


def base_of(world: World) -> str:
    """Where PayPal's API begins."""
    return f"{world.public_url}/paypal"
