"""Stripe's way of writing: bracketed forms in, JSON objects and errors out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from provider_sandbox.core.provider import Answer, Call, Refused
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World

API_VERSION = "2026-10-28.endive"
ZERO_DECIMALS = frozenset(
    [
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    ]
)
KINDS = {
    "pi": "payment_intent",
    "ch": "charge",
    "pm": "payment_method",
    "re": "refund",
    "du": "dispute",
    "txn": "balance_transaction",
    "po": "payout",
    "cs": "checkout.session",
    "evt": "event",
    "we": "webhook_endpoint",
}


def decode(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`a[b][]=1` as nested parts; raises `ValueError` where names contradict each other."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        head, *rest = name.replace("]", "").split("[")
        place, key = root, head
        for part in rest:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise ValueError(name)  # noqa: TRY004 - what is wrong is the text
            key = part if part else str(len(place))
        if isinstance(place.get(key), dict):
            raise ValueError(name)  # noqa: TRY004 - what is wrong is the text
        place[key] = value
    return {name: _lists(value) for name, value in root.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _lists(part) for name, part in value.items()}
    if inner and all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


def body_of(call: Call) -> dict[str, Any]:
    """The parameters of a request."""
    pairs = list(call.query)
    if call.method in {"POST", "DELETE"} and call.raw:
        kind = call.headers.get("content-type", "application/x-www-form-urlencoded")
        if not kind.startswith("application/x-www-form-urlencoded"):
            raise invalid(call, f"Send a form-encoded body, not {kind}.")
        pairs += parse_qsl(call.raw.decode(errors="replace"), keep_blank_values=True)
    try:
        return decode(pairs)
    except ValueError as error:
        raise invalid(call, f"Invalid parameter name: {error}") from None


def headers_of(call: Call) -> dict[str, str]:
    """What every answer carries."""
    return {
        "Request-Id": f"req_{call.decision.draw.token(14)}",
        "Stripe-Version": call.headers.get("stripe-version", API_VERSION),
    }


def error(
    call: Call,
    status: int,
    kind: str,
    message: str,
    *,
    keep: bool = False,
    **more: Any,
) -> Answer:
    """An error in Stripe's shape."""
    request = headers_of(call)
    body = {"type": kind, "message": message, "request_log_url": "", **more}
    if code := more.get("code"):
        body["doc_url"] = f"https://docs.stripe.com/error-codes/{str(code).replace('_', '-')}"
    return Answer(status, {"error": body}, request, keep=keep)


def invalid(
    call: Call, message: str, code: str = "", param: str = "", status: int = 400
) -> Refused:
    """An `invalid_request_error`; no key remembers it."""
    more: dict[str, Any] = {name: text for name, text in (("code", code), ("param", param)) if text}
    return Refused(error(call, status, "invalid_request_error", message, **more))


def missing(call: Call, kind: str, key: str, param: str = "id") -> Refused:
    """A 404."""
    message = f"No such {kind}: '{key}'"
    return invalid(call, message, "resource_missing", param, 404)


def unexpected_state(call: Call, intent: Document, verb: str, allowed: str) -> Refused:
    """The intent's status does not allow this."""
    message = (
        f"This PaymentIntent could not be {verb} because it has a status of "
        f"{intent['status']}. Allowed: {allowed}."
    )
    answer = error(
        call,
        400,
        "invalid_request_error",
        message,
        keep=True,
        code="payment_intent_unexpected_state",
        payment_intent=view(call.world, intent),
    )
    return Refused(answer)


def take(call: Call, **kinds: str) -> dict[str, Any]:
    """The parameters, checked: `int`, `str`, `bool`, `dict`, `list`; `!` marks what must be there.

    Raises `Refused` for one that is unknown, missing or of another kind, as Stripe does.
    """
    found: dict[str, Any] = {}
    for name, value in call.params.items():
        if name == "expand":
            continue
        if name not in kinds:
            message = f"Received unknown parameter: {name}"
            raise invalid(call, message, "parameter_unknown", name)
        found[name] = _coerced(call, name, value, kinds[name].rstrip("!"))
    for name, kind in kinds.items():
        if kind.endswith("!") and found.get(name, "") == "":
            message = f"Missing required param: {name}."
            raise invalid(call, message, "parameter_missing", name)
    return found


def _coerced(call: Call, name: str, value: Any, kind: str) -> Any:
    if kind == "int":
        if isinstance(value, str) and value.lstrip("-").isdigit():
            return int(value)
        raise invalid(call, f"Invalid integer: {value}", "parameter_invalid_integer", name)
    if kind == "bool":
        if value in ("true", "false"):
            return value == "true"
        raise invalid(call, f"Invalid boolean: {value}", "", name)
    if kind == "str" and not isinstance(value, str):
        raise invalid(call, f"Invalid string: {value}", "", name)
    if kind == "dict" and not isinstance(value, dict):
        if value == "":
            return {}
        raise invalid(call, "Invalid object", "", name)
    if kind == "list" and not isinstance(value, list):
        raise invalid(call, "Invalid array", "", name)
    return value


def make(world: World, prefix: str, **fields: Any) -> Document:
    """A new object, kept."""
    kind = KINDS[prefix]
    key = f"{prefix}_{world.draw(f'stripe {kind}').token(24)}"
    document = {
        "id": key,
        "object": kind,
        "created": int(world.now()),
        "livemode": False,
        **fields,
    }
    return keep(world, document)


def keep(world: World, document: Document) -> Document:
    """Keep an object as it is now."""
    world.store.put(f"stripe {document['object']}", document["id"], document)
    return document


def find(call: Call, kind: str, key: str, param: str = "id") -> Document:
    """An object by its id; raises `Refused` where there is none."""
    document = call.world.store.find(f"stripe {kind}", key)
    if document is None:
        raise missing(call, kind, key, param)
    return document


def view(world: World, document: Document) -> Document:
    """An object as clients see it."""
    seen = {name: value for name, value in document.items() if not name.startswith("_")}
    if document["object"] == "balance_transaction":
        due = document["available_on"] <= world.now()
        seen["status"] = "available" if due else "pending"
    return seen


def expand(world: World, shown: Document, paths: Sequence[str]) -> Document:
    """Replace ids by what they name, along `a.b.c`."""
    for path in paths:
        _expand(world, shown, path.split("."))
    return shown


def _expand(world: World, shown: Any, path: Sequence[str]) -> None:
    if isinstance(shown, list):
        for part in shown:
            _expand(world, part, path)
        return
    if not path or not isinstance(shown, dict) or shown.get(path[0]) is None:
        return
    value = shown[path[0]]
    if isinstance(value, str):
        kind = KINDS.get(value.partition("_")[0], "")
        named = world.store.find(f"stripe {kind}", value)
        if named is None:
            return
        value = shown[path[0]] = view(world, named)
    _expand(world, value, path[1:])


def ok(call: Call, document: Document) -> Answer:
    """An object as the answer, expanded as asked."""
    shown = expand(call.world, view(call.world, document), expansions(call))
    return Answer(200, shown, headers_of(call))


def listed(call: Call, kind: str, **filters: str) -> Answer:
    """A page of a list, the newest first. `filters` maps parameters to fields."""
    kinds = dict.fromkeys(filters, "str")
    asked = take(
        call, limit="int", starting_after="str", ending_before="str", created="any", **kinds
    )
    limit = asked.get("limit", 10)
    if not 1 <= limit <= 100:
        raise invalid(call, "limit is between 1 and 100", "parameter_invalid_integer", "limit")
    _created_of(call, asked.get("created"))
    found = [
        one
        for one in reversed(list(call.world.store.all(f"stripe {kind}")))
        if all(one.get(field) == asked[name] for name, field in filters.items() if name in asked)
        and _created_fits(one["created"], asked.get("created"))
    ]
    keys = [one["id"] for one in found]
    before = asked.get("ending_before")
    for cursor in (asked.get("starting_after"), before):
        if cursor and cursor not in keys:
            raise missing(call, kind, cursor)
    if after := asked.get("starting_after"):
        found = found[keys.index(after) + 1 :]
    elif before:
        found = found[: keys.index(before)]
    page = found[-limit:] if before else found[:limit]
    body = {
        "object": "list",
        "url": call.path,
        "has_more": len(found) > len(page),
        "data": [view(call.world, one) for one in page],
    }
    return Answer(200, expand(call.world, body, expansions(call)), headers_of(call))


def _created_fits(created: int, wanted: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return created == int(wanted)
    tests: Mapping[str, Callable[[int], bool]] = {
        "gt": lambda moment: created > moment,
        "gte": lambda moment: created >= moment,
        "lt": lambda moment: created < moment,
        "lte": lambda moment: created <= moment,
    }
    return all(tests[name](int(text)) for name, text in wanted.items())


def _created_of(call: Call, wanted: Any) -> None:
    parts = {"eq": wanted} if isinstance(wanted, str) else wanted or {}
    known = isinstance(parts, dict) and set(parts) <= {"eq", "gt", "gte", "lt", "lte"}
    if not known or not all(str(text).isdigit() for text in parts.values()):
        raise invalid(call, "Invalid created filter", "parameter_invalid_integer", "created")


def expansions(call: Call) -> list[str]:
    """The paths to expand; raises `Refused` for what is no list of them."""
    paths = call.params.get("expand", [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise invalid(call, "Invalid array", "", "expand")
    return paths
