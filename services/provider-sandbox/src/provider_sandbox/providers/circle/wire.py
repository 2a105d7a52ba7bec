"""Circle's way of writing: JSON under `data`, errors with a code, keys in the body."""

import json
import re
from decimal import Decimal
from typing import Any

from provider_sandbox.core.clock import iso_milliseconds, moment_of
from provider_sandbox.core.provider import Answer, Call, Refused
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World

MASTER = "1000000001"
"""The merchant's own wallet."""
CURRENCIES = ("USD", "EUR")
CHAINS = frozenset(
    [
        "ALGO",
        "ARB",
        "AVAX",
        "BASE",
        "BTC",
        "CELO",
        "ETH",
        "FLOW",
        "HBAR",
        "NEAR",
        "NOBLE",
        "OP",
        "PAH",
        "POLY",
        "SOL",
        "XLM",
    ]
)
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?")


def headers_of(call: Call) -> dict[str, str]:
    """What every answer carries."""
    return {"X-Request-Id": call.decision.draw.uuid()}


def error(call: Call, status: int, code: int, message: str) -> Answer:
    """An error in Circle's shape; no key remembers it."""
    return Answer(status, {"code": code, "message": message}, headers_of(call), keep=False)


def invalid(call: Call, field: str, message: str) -> Refused:
    """A 400 about one field."""
    answer = error(call, 400, 2, f"API parameter invalid: {field} {message}")
    answer.body["errors"] = [
        {"error": "invalid_value", "location": field, "message": f"{field} {message}"}
    ]
    return Refused(answer)


def not_found(call: Call, kind: str) -> Refused:
    """A 404."""
    return Refused(error(call, 404, 404, f"{kind} not found"))


def body_of(call: Call) -> dict[str, Any]:
    """The JSON object of a request; nothing counts as an empty one."""
    if not call.raw.strip():
        return {}
    try:
        body = json.loads(call.raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise invalid(call, "body", "is not a JSON object")
    return body


def key_of(call: Call) -> str:
    """The body's `idempotencyKey`; raises `Refused` for one that is no UUID of version 4."""
    key = call.params.get("idempotencyKey")
    if not isinstance(key, str) or not _UUID4.fullmatch(key.lower()):
        raise invalid(call, "idempotencyKey", "must be a UUID of version 4")
    return key.lower()


def ok(call: Call, document: Document, status: int = 200) -> Answer:
    """An object as the answer."""
    return Answer(status, {"data": view(document)}, headers_of(call))


def view(document: Document) -> Document:
    """An object as clients see it: what is ours alone and what is empty left out."""
    return {
        name: value
        for name, value in document.items()
        if not name.startswith("_") and value is not None
    }


def make(world: World, kind: str, **fields: Any) -> Document:
    """A new object, kept; `_kind` is ours alone."""
    now = iso_milliseconds(world.now())
    document = {
        "id": world.draw(f"circle {kind}").uuid(),
        **fields,
        "createDate": now,
        "updateDate": now,
        "_kind": kind,
        "_at": world.now(),
    }
    return keep(world, document)


def keep(world: World, document: Document) -> Document:
    """Keep an object as it is now."""
    document["updateDate"] = iso_milliseconds(world.now())
    world.store.put(f"circle {document['_kind']}", document["id"], document)
    return document


def find(call: Call, kind: str) -> Document:
    """The object that the path names; raises `Refused` where there is none."""
    document = call.world.store.find(f"circle {kind}", call.ids["id"])
    if document is None:
        raise not_found(call, kind)
    return document


def listed(call: Call, kind: str) -> Answer:
    """A page of a list, the newest first."""
    size = call.one("pageSize", "50")
    if not size.isdigit() or not 1 <= int(size) <= 50:
        raise invalid(call, "pageSize", "is between 1 and 50")
    found = list(call.world.store.all(f"circle {kind}"))[::-1]
    try:
        start = moment_of(call.one("from")) if call.one("from") else 0.0
        end = moment_of(call.one("to")) if call.one("to") else float("inf")
    except ValueError:
        raise invalid(call, "from", "is a time of RFC 3339") from None
    found = [one for one in found if start <= one["_at"] <= end]
    for name in ("paymentIntentId", "walletId", "status", "type"):
        if wanted := call.one(name):
            found = [one for one in found if wanted in (one.get(name), one.get(f"_{name}"))]
    keys = [one["id"] for one in found]
    after, before = call.one("pageAfter"), call.one("pageBefore")
    if after in keys:
        found = found[keys.index(after) + 1 :][: int(size)]
    elif before in keys:
        found = found[: keys.index(before)][-int(size) :]
    return Answer(200, {"data": [view(one) for one in found[: int(size)]]}, headers_of(call))


def minor_of(call: Call, money: Any, field: str = "amount") -> tuple[int, str]:
    """Cents and currency of an amount; raises `Refused` for what is none."""
    if not isinstance(money, dict):
        raise invalid(call, field, "must be an object with amount and currency")
    amount, currency = money.get("amount"), money.get("currency")
    if not isinstance(amount, str) or not _AMOUNT.fullmatch(amount):
        raise invalid(call, f"{field}.amount", "must be a decimal with two places in a string")
    if currency not in CURRENCIES:
        raise invalid(call, f"{field}.currency", f"must be one of {', '.join(CURRENCIES)}")
    minor = int(Decimal(amount).scaleb(2))
    if minor <= 0:
        raise invalid(call, f"{field}.amount", "must be greater than zero")
    return minor, str(currency)


def money_of(minor: int, currency: str = "USD") -> dict[str, str]:
    """An amount as Circle writes it."""
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    return {"amount": f"{sign}{whole // 100}.{whole % 100:02}", "currency": currency}


def named(call: Call, body: Any, field: str, *names: str) -> dict[str, Any]:
    """A part of the body with these texts in it; raises `Refused` where one is missing."""
    if not isinstance(body, dict):
        raise invalid(call, field, "must be an object")
    for name in names:
        if not isinstance(body.get(name), str) or not body[name]:
            raise invalid(call, f"{field}.{name}", "must not be empty")
    return body


def chain_address(world: World) -> str:
    """An address on a chain."""
    return f"0x{world.draw('circle address').hexadecimal(40)}"


def chain_hash(world: World) -> str:
    """The hash of a transaction on a chain."""
    return f"0x{world.draw('circle transaction').hexadecimal(64)}"
