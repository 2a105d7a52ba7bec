"""Whether what an adapter sends fits the provider's own published description."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft4Validator
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest
from tests.provider_sandbox import specs
from tests.torture.tools import go

from invoiceos_local.cache import cached
from invoiceos_local.errors import Unavailable

from .stage import Exchanged

_STRIPE = "github.com/stripe/stripe-mock@v0.203.0"
_STRIPE_SUM = "h1:EzW7nb/fphqcAkgVRHAaC88OaAZo6SBWSl54cflDTio="
_NEWER = {"/v1/checkout/sessions": frozenset({"allowed_payment_method_types"})}
"""Stripe publishes the description of a version some weeks late: what is newer than 2026-08-26 and
in its library, which `test_stripe` compares with."""
_PAYPAL = {
    "/v2/checkout/": "checkout_orders_v2",
    "/v2/payments/": "payments_payment_v2",
    "/v1/payments/payouts": "payments_payouts_batch_v1",
    "/v1/notifications/": "notifications_webhooks_v1",
}
_UNDESCRIBED = ("/v1/oauth2/", "/v1/reporting/", "/v2/notifications/publicKey/")
"""No description of these can be had."""


class Unfit(AssertionError):
    """A request is not as the description says."""


def checked(sent: Exchanged) -> bool:
    """Whether there was a description to check it against; raises `Unfit`."""
    _, provider, *rest = sent.path.split("/")
    path = "/" + "/".join(rest)
    if path.startswith(_UNDESCRIBED):
        return False
    return {"stripe": _stripe_takes, "paypal": _paypal_takes, "circle": _circle_takes}[provider](
        path, sent
    )


def _paypal_takes(path: str, sent: Exchanged) -> bool:
    (name,) = [name for prefix, name in _PAYPAL.items() if path.startswith(prefix)]
    described = specs.paypal(name)
    if described is None:
        return False
    request = MockRequest(
        "https://api-m.sandbox.paypal.com",
        sent.method.lower(),
        path,
        args=dict(sent.query),
        headers=sent.headers,
        data=sent.body or None,
        content_type=sent.headers.get("content-type", "application/json"),
    )
    try:
        described.validate_request(request)
    except OpenAPIError as error:
        raise Unfit(f"{sent.method} {path}: {error} {error.__cause__}") from error
    return True


def _circle_takes(path: str, sent: Exchanged) -> bool:
    described = specs.circle()
    if described is None:
        return False
    operation = _operation(described["paths"], path, sent.method)
    known = {specs.at(described, one)["name"] for one in operation.get("parameters", ())}
    _all_known(path, dict(sent.query), known)
    body = operation.get("requestBody")
    if body is not None:
        schema = specs.at(described, body)["content"]["application/json"]["schema"]
        whole = {**schema, "components": described["components"]}
        _fits(path, whole, json.loads(sent.body))
    return True


def _stripe_takes(path: str, sent: Exchanged) -> bool:
    described = stripe()
    if described is None:
        return False
    operation = _operation(described, path, sent.method)
    parameters = {one["name"]: one["schema"] for one in operation.get("parameters", ())}
    query = _unfolded(sent.query)
    _all_known(path, query, parameters)
    for name, value in query.items():
        _fits(path, parameters[name], _typed(value, parameters[name]))
    if sent.method == "POST":
        content = operation["requestBody"]["content"]
        schema = content["application/x-www-form-urlencoded"]["schema"]
        body = _unfolded(parse_qsl(sent.body.decode(), keep_blank_values=True))
        body = {name: part for name, part in body.items() if name not in _NEWER.get(path, ())}
        _fits(path, schema, _typed(body, schema))
    return True


def _operation(paths: Mapping[str, Any], path: str, method: str) -> Mapping[str, Any]:
    """By the template that names most of the path; raises `Unfit`."""
    given = path.split("/")
    found = [
        template
        for template in paths
        if len(parts := template.split("/")) == len(given)
        and all(a == b or a.startswith("{") for a, b in zip(parts, given, strict=True))
    ]
    if not found:
        raise Unfit(f"{path} is not described")
    template = min(found, key=lambda one: one.count("{"))
    if method.lower() not in paths[template]:
        raise Unfit(f"{method} {template} is not described")
    operation: Mapping[str, Any] = paths[template][method.lower()]
    return operation


def _all_known(path: str, query: Mapping[str, Any], known: Any) -> None:
    if strange := query.keys() - known:
        raise Unfit(f"{path} has no parameters {strange}")


def _fits(path: str, schema: Any, value: Any) -> None:
    checker = Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)
    for error in checker.iter_errors(value):
        raise Unfit(f"{path} {list(error.path)}: {error.message}")


def _unfolded(pairs: Any) -> dict[str, Any]:
    """A form with brackets as the object that it means."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        first, *rest = name.replace("]", "").split("[")
        place = found
        for before, after in zip([first, *rest], rest, strict=False):
            place = place.setdefault(before, {})
            assert after is not None
        place[[first, *rest][-1]] = value
    return found


def _typed(value: Any, schema: Mapping[str, Any]) -> Any:
    """What a form can only say as text, as the type that the description has for it."""
    if "anyOf" in schema:
        for one in schema["anyOf"]:
            typed = _typed(value, one)
            if Draft4Validator(one).is_valid(typed):
                return typed
        return value
    kind = schema.get("type")
    if kind == "array" and isinstance(value, Mapping):
        return [_typed(value[str(place)], schema["items"]) for place in range(len(value))]
    if isinstance(value, Mapping):
        return dict(_parts(value, schema))
    if kind == "integer" and value.lstrip("-").isdecimal():
        return int(value)
    return {"true": True, "false": False}.get(value, value) if kind == "boolean" else value


def _parts(value: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    more = schema.get("additionalProperties")
    for name, part in value.items():
        inner = schema.get("properties", {}).get(name) or (more if isinstance(more, dict) else {})
        yield name, _typed(part, inner)


@cache
def stripe() -> dict[str, Any] | None:
    """The operations of Stripe's description, from the Go module of its own mock."""
    try:
        place = cached("stripe-openapi-0.203.0", _fetch_stripe)
    except (Unavailable, subprocess.CalledProcessError):
        return None
    described: dict[str, Any] = json.loads((place / "operations.json").read_text())
    return described


def _fetch_stripe(target: Path) -> None:
    done = subprocess.run(
        [str(go()), "mod", "download", "-json", _STRIPE],
        check=True,
        capture_output=True,
        env={**os.environ, "GOFLAGS": "-mod=mod"},
        cwd=target,
    )
    module = json.loads(done.stdout)
    assert module["Sum"] == _STRIPE_SUM, "not the pinned module"
    whole = json.loads((Path(module["Dir"]) / "embedded/openapi/spec3.json").read_text())
    wanted = ("requestBody", "parameters")
    operations = {
        path: {
            method: {name: operation[name] for name in wanted if name in operation}
            for method, operation in methods.items()
            if isinstance(operation, dict)
        }
        for path, methods in whole["paths"].items()
    }
    (target / "operations.json").write_text(json.dumps(operations))


def missing() -> list[str]:
    """One line for each provider whose description this machine does not have."""
    absent = [] if stripe() else [f"Stripe's description cannot be had: no Go module {_STRIPE}."]
    return specs.missing() + absent
