"""PayPal's webhooks: RSA over id, time, webhook and CRC32; certificate, verify, resend."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from provider_sandbox.core import keys
from provider_sandbox.core.clock import iso_milliseconds, iso_seconds
from provider_sandbox.core.provider import Answer, Call
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.paypal.wire import (
    base_of,
    body_of,
    headers_of,
    key_of,
    link,
    malformed,
    not_found,
)

_PATH = "/v1/notifications"
_CERTIFICATE = "CERT-sandbox"


def happened(world: World, kind: str, resource_type: str, resource: Document) -> None:
    """State an event and send it."""
    world.tell("paypal", _event(world, kind, resource_type, resource))


def _event(world: World, kind: str, resource_type: str, resource: Document) -> Document:
    draw = world.draw("paypal event")
    letters = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
    token = draw.token(34, letters)
    key = f"WH-{token[:17]}-{token[17:]}"
    path, base = f"{_PATH}/webhooks-events/{key}", base_of(world)
    event = {
        "id": key,
        "event_version": "1.0",
        "create_time": iso_milliseconds(world.now()),
        "resource_type": resource_type,
        "resource_version": "2.0",
        "event_type": kind,
        "summary": kind.replace(".", " ").replace("-", " ").capitalize(),
        "resource": resource,
        "links": [link(base, path, "self"), link(base, f"{path}/resend", "resend", "POST")],
    }
    world.store.put("paypal event", key, event)
    return event


def endpoints(world: World, event: Document) -> list[Document]:
    """Webhooks that asked for an event of this type."""
    return [
        one
        for one in world.store.all("paypal endpoint")
        if {"*", event["event_type"]} & {kind["name"] for kind in one["event_types"]}
    ]


def message(event: Document) -> bytes:
    """The event as it is sent."""
    return json.dumps(event, separators=(",", ":")).encode()


def certificate(call: Call) -> Answer:
    """The certificate that signatures are checked with."""
    if call.ids["id"] != _CERTIFICATE:
        raise not_found(call)
    headers = {"Content-Type": "application/x-pem-file"}
    return Answer(200, keys.certificate(call.world, "paypal"), headers)


def signed_text(transmission: str, time: str, webhook: str, body: bytes) -> bytes:
    """What the signature covers."""
    return f"{transmission}|{time}|{webhook}|{binascii.crc32(body)}".encode()


def sign(world: World, endpoint: Document, event: Document, body: bytes) -> Mapping[str, str]:
    """The headers of one attempt; each has a transmission id of its own."""
    transmission = world.draw("paypal transmission").uuid()
    time = iso_seconds(world.now())
    text = signed_text(transmission, time, endpoint["id"], body)
    signature = keys.rsa_key(world, "paypal").sign(text, padding.PKCS1v15(), hashes.SHA256())
    encoded = base64.b64encode(signature).decode()
    world.store.put(
        "paypal transmission",
        transmission,
        {"time": time, "webhook": endpoint["id"], "signature": encoded, "event": event["id"]},
    )
    return {
        "Content-Type": "application/json",
        "User-Agent": "PayPal/AUHD-214.0-58843536",
        "Paypal-Transmission-Id": transmission,
        "Paypal-Transmission-Time": time,
        "Paypal-Transmission-Sig": encoded,
        "Paypal-Cert-Url": f"{base_of(world)}{_PATH}/certs/{_CERTIFICATE}",
        "Paypal-Auth-Algo": "SHA256withRSA",
    }


def verify(call: Call) -> Answer:
    """Whether headers and event are those of a transmission that was made."""
    body = body_of(call)
    made = call.world.store.find("paypal transmission", str(body.get("transmission_id")))
    right = made is not None and (
        made["signature"] == body.get("transmission_sig")
        and made["time"] == body.get("transmission_time")
        and made["webhook"] == body.get("webhook_id")
        and call.world.store.get("paypal event", made["event"]) == body.get("webhook_event")
    )
    answer = {"verification_status": "SUCCESS" if right else "FAILURE"}
    return Answer(200, answer, headers_of(call), keep=False)


def create(call: Call) -> Answer:
    """A webhook: an address, and the events it wants."""
    body = body_of(call)
    url, wanted = body.get("url"), body.get("event_types")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise malformed(call, "url", "INVALID_PARAMETER", "The url is an address of HTTP.")
    if not isinstance(wanted, list) or not wanted or not all(isinstance(k, dict) for k in wanted):
        raise malformed(call, "event_types", "MISSING_REQUIRED_PARAMETER", "Name event types.")
    webhook: Document = {
        "id": key_of(call.world, "webhook"),
        "url": url,
        "event_types": [{"name": str(kind.get("name", ""))} for kind in wanted],
    }
    path = f"{_PATH}/webhooks/{webhook['id']}"
    webhook["links"] = [link(call, path, "self"), link(call, path, "delete", "DELETE")]
    call.world.store.put("paypal endpoint", webhook["id"], webhook)
    return Answer(201, webhook, headers_of(call), keep=False)


def _webhook(call: Call) -> Document:
    found = call.world.store.find("paypal endpoint", call.ids["id"])
    if found is None:
        raise not_found(call)
    return found


def read_webhook(call: Call) -> Answer:
    return Answer(200, _webhook(call), headers_of(call))


def list_webhooks(call: Call) -> Answer:
    found = list(call.world.store.all("paypal endpoint"))
    return Answer(200, {"webhooks": found}, headers_of(call))


def delete_webhook(call: Call) -> Answer:
    call.world.store.remove("paypal endpoint", _webhook(call)["id"])
    return Answer(204, None, headers_of(call))


def list_events(call: Call) -> Answer:
    """Events, the newest first, of a type or about a transaction."""
    kind, transaction = call.one("event_type"), call.one("transaction_id")
    found = [
        one
        for one in call.world.store.all("paypal event")
        if kind in ("", one["event_type"])
        and transaction in ("", str(one["resource"].get("id", "")))
    ]
    size = call.one("page_size", "10")
    page = found[::-1][: int(size) if size.isdigit() else 10]
    return Answer(200, {"events": page, "count": len(page)}, headers_of(call))


def _found_event(call: Call) -> Document:
    found = call.world.store.find("paypal event", call.ids["id"])
    if found is None:
        raise not_found(call)
    return found


def read_event(call: Call) -> Answer:
    return Answer(200, _found_event(call), headers_of(call))


def resend(call: Call) -> Answer:
    """Send an event again, to all who asked for it or to the webhooks that are named."""
    event, body = _found_event(call), body_of(call)
    wanted: Any = body.get("webhook_ids")
    player = call.world.providers["paypal"]
    for endpoint in endpoints(call.world, event):
        if not wanted or endpoint["id"] in wanted:
            call.world.deliveries.send(player, endpoint, event)
    return Answer(202, event, headers_of(call), keep=False)


def simulate(call: Call) -> Answer:
    """A made-up event of a type for one webhook or one address."""
    body = body_of(call)
    kind = body.get("event_type")
    if not isinstance(kind, str) or not kind:
        raise malformed(call, "event_type", "MISSING_REQUIRED_PARAMETER", "Name an event type.")
    world = call.world
    endpoint = world.store.find("paypal endpoint", str(body.get("webhook_id", "")))
    if endpoint is None and not body.get("url"):
        raise malformed(call, "webhook_id", "INVALID_PARAMETER", "No webhook has this id.")
    if endpoint is None:
        endpoint = {"id": "WEBHOOK_ID", "url": str(body["url"]), "event_types": []}
        world.store.put("paypal endpoint", endpoint["id"], endpoint)
    event = _event(world, kind, "simulated", {"id": key_of(world, "simulated"), "simulated": True})
    world.deliveries.send(world.providers["paypal"], endpoint, event)
    return Answer(202, event, headers_of(call), keep=False)
