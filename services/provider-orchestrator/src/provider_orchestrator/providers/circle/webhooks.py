"""Circle's notifications in both schemes: SNS envelopes, and signatures of Circle's own keys."""

import asyncio
import json
import re
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from provider_orchestrator.domain.adapters import Hint, NotAuthentic, ProviderFault, Webhook
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.certificates import Certificates
from provider_orchestrator.providers.circle.client import CircleClient, data_of
from provider_orchestrator.providers.circle.mapping import references_of
from provider_orchestrator.providers.circle.settings import CircleSettings
from provider_orchestrator.providers.documents import moment, object_in, text_in
from provider_orchestrator.providers.exchange import Senseless

LIVES = timedelta(days=1)
"""Both schemes sign the time of the event, not of the attempt to deliver it: those end sooner."""
KEYS_MAX = 16
STRANGE_KEYS_PER_MINUTE = 10
"""Unknown ids of keys that Circle is asked for: whoever makes them up must not make us ask."""
_DIGESTS = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - what Amazon signs with
_CONFIRMATION = "SubscriptionConfirmation"
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    _CONFIRMATION: (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_KEY_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Keys:
    """Circle's public keys by their ids, each fetched once."""

    def __init__(self, client: CircleClient) -> None:
        """Nothing is fetched yet."""
        self._client = client
        self._kept: dict[str, ec.EllipticCurvePublicKey] = {}
        self._strange: list[float] = []
        self._fetching = asyncio.Lock()

    async def key(self, key_id: str) -> ec.EllipticCurvePublicKey:
        """The key of this id; raises `NotAuthentic`, or `ProviderFault` where it cannot be had."""
        if not _KEY_ID.fullmatch(key_id):
            raise NotAuthentic("there is no such key")
        async with self._fetching:
            if key_id not in self._kept:
                found = await self._fetch(key_id)
                if len(self._kept) >= KEYS_MAX:
                    del self._kept[next(iter(self._kept))]
                self._kept[key_id] = found
            return self._kept[key_id]

    async def _fetch(self, key_id: str) -> ec.EllipticCurvePublicKey:
        lately = time.monotonic() - 60
        self._strange = [at for at in self._strange if at > lately]
        if len(self._strange) >= STRANGE_KEYS_PER_MINUTE:
            raise ProviderFault(Outcome.THROTTLED, "too_many_keys")
        reply = await self._client.get(f"/v2/notifications/publicKey/{key_id}")
        if reply.outcome is Outcome.OUR_FAULT:
            self._strange.append(time.monotonic())
            raise NotAuthentic("there is no such key")
        if not reply.ok:
            raise reply.fault()
        data = data_of(reply)
        if data.get("algorithm") != "ECDSA_SHA_256":
            raise NotAuthentic("the key is of another kind")
        try:
            key = load_der_public_key(b64decode(str(data.get("publicKey")), validate=True))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise NotAuthentic("this is no key") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise NotAuthentic("the key is of another kind")
        return key


class Notifications:
    """Makes hints of what Circle sends."""

    def __init__(
        self,
        settings: CircleSettings,
        client: CircleClient,
        certificates: Certificates,
        now: Callable[[], datetime],
    ) -> None:
        """Nothing is fetched yet."""
        self._topics = frozenset(settings.circle_topics)
        self._hosts = frozenset(settings.circle_certificate_hosts)
        self._keys = Keys(client)
        self._certificates = certificates
        self._now = now

    async def hint(self, webhook: Webhook) -> Hint:
        """What it points at, once its signature fits; raises as `Adapter.hint`."""
        signature = webhook.headers.get("x-circle-signature")
        if signature is not None:
            return await self._signed(webhook, signature)
        if "x-amz-sns-message-type" in webhook.headers:
            return await self._enveloped(webhook)
        raise NotAuthentic("there is no signature")

    async def _signed(self, webhook: Webhook, signature: str) -> Hint:
        key = await self._keys.key(webhook.headers.get("x-circle-key-id", ""))
        try:
            key.verify(_decoded(signature), webhook.body, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise NotAuthentic("the signature does not fit") from error
        told = _object(webhook.body)
        event_id, kind = text_in(told, "notificationId"), text_in(told, "notificationType")
        at = self._lately(told.get("timestamp"))
        return _hint(event_id, kind, references_of(object_in(told, "notification")), at)

    async def _enveloped(self, webhook: Webhook) -> Hint:
        envelope = _object(webhook.body)
        names = _SIGNED.get(text_in(envelope, "Type") or "")
        digest = _DIGESTS.get(text_in(envelope, "SignatureVersion") or "")
        if names is None or digest is None:
            raise NotAuthentic("this is no message of SNS")
        if text_in(envelope, "TopicArn") not in self._topics:
            raise NotAuthentic("the message is of another topic")
        signature = _decoded(text_in(envelope, "Signature") or "")
        signed = _canonical(envelope, names)
        url = text_in(envelope, "SigningCertURL") or ""
        now = self._now()
        await self._certificates.check(url, signature, signed, now, digest)
        at = self._lately(envelope.get("Timestamp"))
        event_id = text_in(envelope, "MessageId")
        if envelope["Type"] == _CONFIRMATION:
            confirm_url = self._own_address(text_in(envelope, "SubscribeURL") or "")
            return Hint(event_id or "", _CONFIRMATION, at=at, confirm_url=confirm_url)
        told = _object((text_in(envelope, "Message") or "").encode())
        kind = text_in(told, "notificationType")
        references = (references_of(part) for part in told.values() if isinstance(part, Mapping))
        return _hint(event_id, kind, tuple(one for found in references for one in found), at)

    def _lately(self, text: object) -> datetime:
        try:
            at = moment(text)
        except Senseless as error:
            raise NotAuthentic("the message has no time") from error
        if at is None or abs(self._now() - at) > LIVES:
            raise NotAuthentic("the message is of another time")
        return at

    def _own_address(self, url: str) -> str:
        try:
            host = urlsplit(url).netloc
        except ValueError as error:
            raise NotAuthentic("the confirmation has no address") from error
        if host not in self._hosts:
            raise NotAuthentic("the confirmation is at another host")
        return url


def _hint(
    event_id: str | None, kind: str | None, references: tuple[str, ...], at: datetime
) -> Hint:
    if event_id is None or kind is None:
        raise NotAuthentic("an event has an id and a type")
    return Hint(event_id, kind, references, at)


def _canonical(envelope: Mapping[str, Any], names: tuple[str, ...]) -> bytes:
    """What SNS signs: names and values in their order, each on a line of its own."""
    parts = []
    for name in names:
        value = envelope.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise NotAuthentic(f"the message has no {name}")
        parts.append(f"{name}\n{value}\n")
    return "".join(parts).encode()


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise NotAuthentic("the signature cannot be read") from error


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotAuthentic("this is no event") from error
    if not isinstance(found, dict):
        raise NotAuthentic("this is no event")
    return found
