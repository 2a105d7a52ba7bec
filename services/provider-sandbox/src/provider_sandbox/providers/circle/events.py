"""Circle's notifications: SNS envelopes (version 1) and ECDSA signatures (version 2)."""

import base64
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from provider_sandbox.core import keys
from provider_sandbox.core.clock import iso_milliseconds
from provider_sandbox.core.provider import Answer, Call
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.circle.wire import headers_of, invalid, not_found, view

_TOPIC = "arn:aws:sns:us-east-1:000000000000:provider-sandbox"
_RESOURCES = {
    "paymentIntents": "paymentIntent",
    "payments": "payment",
    "transfers": "transfer",
    "payouts": "payout",
    "deposits": "deposit",
    "wire": "wire",
}


def client_of(world: World) -> str:
    """The account's identifier in every notification."""
    found = world.store.find("circle account", "client")
    if found is None:
        found = {"id": world.draw("circle client").uuid()}
        world.store.put("circle account", "client", found)
    return str(found["id"])


def happened(world: World, kind: str, resource: Document) -> None:
    """State an event and send it."""
    key = world.draw("circle event").uuid()
    event = {"id": key, "type": kind, "resource": view(resource), "at": world.now()}
    world.store.put("circle event", key, event)
    world.tell("circle", event)


def endpoints(world: World, event: Document) -> list[Document]:
    """Confirmed subscriptions of version 1, and those of version 2 that asked for the type."""
    return [
        one
        for one in world.store.all("circle endpoint")
        if (one["version"] == 1 and one["status"] == "confirmed")
        or (one["version"] == 2 and {"*", event["type"]} & set(one["types"]))
    ]


def message(world: World, endpoint: Document, event: Document) -> bytes:
    """The event as it is sent: wrapped by SNS, or plain."""
    if endpoint["version"] == 2:
        return json.dumps(
            {
                "subscriptionId": endpoint["id"],
                "notificationId": event["id"],
                "notificationType": event["type"],
                "notification": event["resource"],
                "timestamp": iso_milliseconds(event["at"]),
                "version": 2,
            }
        ).encode()
    envelope: Document = {
        "Type": "Notification",
        "MessageId": event["id"],
        "TopicArn": _TOPIC,
        "Timestamp": iso_milliseconds(event["at"]),
        "SignatureVersion": "2",
        "SigningCertURL": f"{world.public_url}/circle/sns/certificate.pem",
    }
    if event["type"] == "SubscriptionConfirmation":
        token = event["resource"]["token"]
        envelope |= {
            "Type": "SubscriptionConfirmation",
            "Token": token,
            "Message": f"Confirm the subscription to {_TOPIC} by visiting the SubscribeURL.",
            "SubscribeURL": f"{world.public_url}/circle/sns/confirm?Token={token}",
        }
    else:
        told = {
            "clientId": client_of(world),
            "notificationType": event["type"],
            "version": 1,
            "customAttributes": {"clientId": client_of(world)},
            _RESOURCES[event["type"]]: event["resource"],
        }
        envelope["Message"] = json.dumps(told)
        envelope["UnsubscribeURL"] = f"{world.public_url}/circle/sns/unsubscribe"
    signature = keys.rsa_key(world, "circle-sns").sign(
        canonical(envelope), padding.PKCS1v15(), hashes.SHA256()
    )
    envelope["Signature"] = base64.b64encode(signature).decode()
    return json.dumps(envelope).encode()


def canonical(envelope: Document) -> bytes:
    """What the signature of an SNS message covers."""
    names = ["Message", "MessageId"]
    if envelope["Type"] == "SubscriptionConfirmation":
        names += ["SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    else:
        names += ["Subject"] if "Subject" in envelope else []
        names += ["Timestamp", "TopicArn", "Type"]
    return "".join(f"{name}\n{envelope[name]}\n" for name in names).encode()


def _key_id(world: World) -> str:
    found = world.store.find("circle account", "notification key")
    if found is None:
        found = {"id": world.draw("circle notification key").uuid()}
        world.store.put("circle account", "notification key", found)
    return str(found["id"])


def sign(world: World, endpoint: Document, event: Document, body: bytes) -> Mapping[str, str]:
    """The headers of one attempt."""
    if endpoint["version"] == 1:
        confirming = event["type"] == "SubscriptionConfirmation"
        return {
            "Content-Type": "text/plain; charset=UTF-8",
            "x-amz-sns-message-type": "SubscriptionConfirmation" if confirming else "Notification",
            "x-amz-sns-message-id": event["id"],
            "x-amz-sns-topic-arn": _TOPIC,
        }
    signature = keys.ec_key(world, "circle").sign(body, ec.ECDSA(hashes.SHA256()))
    return {
        "Content-Type": "application/json",
        "X-Circle-Signature": base64.b64encode(signature).decode(),
        "X-Circle-Key-Id": _key_id(world),
    }


def public_key(call: Call) -> Answer:
    """The key that signatures of version 2 are checked with, by its id."""
    if call.ids["id"] != _key_id(call.world):
        raise not_found(call, "public key")
    der = (
        keys.ec_key(call.world, "circle")
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    body = {
        "id": call.ids["id"],
        "algorithm": "ECDSA_SHA_256",
        "publicKey": base64.b64encode(der).decode(),
        "createDate": "2020-01-01T00:00:00Z",
    }
    return Answer(200, {"data": body}, headers_of(call))


def certificate(call: Call) -> Answer:
    """The certificate that SNS signatures are checked with."""
    headers = {"Content-Type": "application/x-pem-file"}
    return Answer(200, keys.certificate(call.world, "circle-sns"), headers)


def subscribe(call: Call) -> Answer:
    """A subscription: of version 1 it counts once it is confirmed."""
    version = 2 if call.path.startswith("/v2") else 1
    url = call.params.get("endpoint")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise invalid(call, "endpoint", "must be an address of HTTP")
    world = call.world
    endpoint: Document = {
        "id": world.draw("circle subscription").uuid(),
        "url": url,
        "version": version,
        "types": call.params.get("notificationTypes") or ["*"],
        "status": "pending" if version == 1 else "confirmed",
        "token": world.draw("circle token").hexadecimal(64),
    }
    world.store.put("circle endpoint", endpoint["id"], endpoint)
    if version == 1:
        key = world.draw("circle event").uuid()
        event = {
            "id": key,
            "type": "SubscriptionConfirmation",
            "resource": {"token": endpoint["token"]},
            "at": world.now(),
        }
        world.store.put("circle event", key, event)
        world.deliveries.send(world.providers["circle"], endpoint, event)
    status = 200 if version == 1 else 201
    return Answer(status, {"data": _shown(endpoint)}, headers_of(call), keep=False)


def _shown(endpoint: Document) -> Document:
    if endpoint["version"] == 2:
        return {
            "id": endpoint["id"],
            "name": "provider-sandbox",
            "endpoint": endpoint["url"],
            "enabled": True,
            "notificationTypes": endpoint["types"],
            "restricted": False,
            "createDate": "2020-01-01T00:00:00Z",
            "updateDate": "2020-01-01T00:00:00Z",
        }
    details = [{"url": f"{_TOPIC}:{endpoint['id']}", "status": endpoint["status"]}]
    return {"id": endpoint["id"], "endpoint": endpoint["url"], "subscriptionDetails": details}


def subscriptions(call: Call) -> Answer:
    version = 2 if call.path.startswith("/v2") else 1
    found = [_shown(e) for e in call.world.store.all("circle endpoint") if e["version"] == version]
    return Answer(200, {"data": found}, headers_of(call))


def unsubscribe(call: Call) -> Answer:
    if call.world.store.find("circle endpoint", call.ids["id"]) is None:
        raise not_found(call, "subscription")
    call.world.store.remove("circle endpoint", call.ids["id"])
    return Answer(200, {}, headers_of(call))


def confirm(call: Call) -> Answer:
    """What a subscriber visits to say that it wants the notifications."""
    for endpoint in call.world.store.all("circle endpoint"):
        if endpoint["version"] == 1 and endpoint["token"] == call.one("Token"):
            endpoint["status"] = "confirmed"
            call.world.store.put("circle endpoint", endpoint["id"], endpoint)
            text = f"<ConfirmSubscriptionResponse>{endpoint['id']}</ConfirmSubscriptionResponse>"
            return Answer(200, text, {"Content-Type": "text/xml"})
    raise not_found(call, "token")
