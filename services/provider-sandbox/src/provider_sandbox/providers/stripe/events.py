"""Stripe's events and webhook endpoints, and the `Stripe-Signature`."""

import hashlib
import hmac
import json
from collections.abc import Mapping

from provider_sandbox.core.provider import Answer, Call
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.stripe.wire import (
    API_VERSION,
    find,
    headers_of,
    invalid,
    make,
    ok,
    take,
    view,
)


def happened(world: World, kind: str, document: Document, call: Call | None = None) -> None:
    """State an event and send it."""
    request: Document = {"id": None, "idempotency_key": None}
    if call is not None:
        request["id"] = headers_of(call)["Request-Id"]
        request["idempotency_key"] = call.headers.get("idempotency-key")
    event = make(
        world,
        "evt",
        type=kind,
        api_version=API_VERSION,
        data={"object": view(world, document)},
        pending_webhooks=len(_listening(world, kind)),
        request=request,
    )
    world.tell("stripe", event)


def _listening(world: World, kind: str) -> list[Document]:
    return [
        one
        for one in world.store.all("stripe endpoint")
        if one["status"] == "enabled" and {"*", kind} & set(one["enabled_events"])
    ]


def endpoints(world: World, event: Document) -> list[Document]:
    """Who asked for an event of this type."""
    return _listening(world, event["type"])


def message(event: Document) -> bytes:
    """The event as it is sent."""
    return json.dumps(event, indent=2).encode()


def sign(world: World, endpoint: Document, body: bytes) -> Mapping[str, str]:
    """HMAC-SHA256 over time and body, at the time of this attempt."""
    at = int(world.now())
    signed = f"{at}.".encode() + body
    digest = hmac.new(endpoint["secret"].encode(), signed, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Stripe-Signature": f"t={at},v1={digest}",
    }


def create_endpoint(call: Call) -> Answer:
    """The only answer that shows the secret."""
    asked = take(
        call,
        url="str!",
        enabled_events="list!",
        description="str",
        metadata="dict",
        api_version="str",
        connect="bool",
    )
    if not asked["url"].startswith(("http://", "https://")):
        raise invalid(call, "Invalid URL", "url_invalid", "url")
    draw = call.world.draw("stripe webhook secret")
    endpoint = {
        "id": f"we_{draw.token(24)}",
        "object": "webhook_endpoint",
        "created": int(call.world.now()),
        "livemode": False,
        "api_version": asked.get("api_version"),
        "application": None,
        "description": asked.get("description"),
        "enabled_events": asked["enabled_events"],
        "metadata": asked.get("metadata", {}),
        "status": "enabled",
        "url": asked["url"],
        "secret": f"whsec_{draw.hexadecimal(48)}",
    }
    call.world.store.put("stripe endpoint", endpoint["id"], endpoint)
    return Answer(200, endpoint, headers_of(call))


def _endpoint(call: Call) -> Document:
    found = call.world.store.find("stripe endpoint", call.ids["id"])
    if found is None:
        raise invalid(
            call, f"No such webhook endpoint: '{call.ids['id']}'", "resource_missing", "id", 404
        )
    return found


def _without_secret(endpoint: Document) -> Document:
    return {name: value for name, value in endpoint.items() if name != "secret"}


def read_endpoint(call: Call) -> Answer:
    return Answer(200, _without_secret(_endpoint(call)), headers_of(call))


def list_endpoints(call: Call) -> Answer:
    found = [_without_secret(one) for one in call.world.store.all("stripe endpoint")]
    body = {"object": "list", "url": call.path, "has_more": False, "data": found[::-1]}
    return Answer(200, body, headers_of(call))


def delete_endpoint(call: Call) -> Answer:
    endpoint = _endpoint(call)
    call.world.store.remove("stripe endpoint", endpoint["id"])
    body = {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}
    return Answer(200, body, headers_of(call))


def read_event(call: Call) -> Answer:
    return ok(call, find(call, "event", call.ids["id"]))
