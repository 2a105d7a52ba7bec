"""One attempt: sign by Standard Webhooks, POST, say how it ended. Never raises."""

import asyncio
import time
from collections.abc import Collection
from datetime import UTC, datetime

import aiohttp
from standardwebhooks import Webhook
from yarl import URL

from chassis.sealing import Sealer, Unreadable
from invoiceos_contracts import Sealed, encode
from notification.domain.deliveries import Answer, Claim, Outcome
from notification.domain.urls import inspect
from notification.providers.guard import AddressRefused

EXCERPT_BYTES = 1024
_EXCERPT_S = 2.0
"""Longest wait for the answer's body, whose status is already known."""


class Sender:
    """Delivers webhooks."""

    def __init__(
        self, session: aiohttp.ClientSession, sealer: Sealer, allow_hosts: Collection[str]
    ) -> None:
        """Use a session of `guard.open_session`."""
        self._session = session
        self._sealer = sealer
        self._allow_hosts = frozenset(allow_hosts)

    async def attempt(self, claim: Claim) -> Outcome:
        """Attempt a delivery."""
        at, begun = datetime.now(UTC), time.monotonic()
        answer = await self._answer(claim, at)
        return Outcome(claim, at, int((time.monotonic() - begun) * 1000), answer)

    async def _answer(self, claim: Claim, at: datetime) -> Answer:
        try:
            # Checked again: the rules or the allow-list may have changed since registration.
            if isinstance(inspect(claim.url, self._allow_hosts), str):
                return Answer(error="refused_address")
            headers = self._headers(claim, at)
            async with self._session.post(
                URL(claim.url, encoded=True),
                data=claim.body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                return Answer(
                    status_code=response.status,
                    excerpt=await _excerpt(response),
                    retry_after=response.headers.get("Retry-After"),
                )
        except Exception as error:
            return Answer(error=_kind_of(error))

    def _headers(self, claim: Claim, at: datetime) -> dict[str, str]:
        subject, text = encode("whe", claim.endpoint_id), claim.body.decode()
        secrets = [
            self._sealer.open(Sealed.model_validate(secret), subject=subject)
            for secret in claim.secrets
        ]
        signatures = [Webhook(secret).sign(str(claim.event_id), at, text) for secret in secrets]
        return {
            "Content-Type": "application/json",
            "webhook-id": str(claim.event_id),
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


async def _excerpt(response: aiohttp.ClientResponse) -> str:
    """The first part of the answer; a body that does not come is not waited for."""
    collected = b""
    try:
        async with asyncio.timeout(_EXCERPT_S):
            while len(collected) < EXCERPT_BYTES:
                chunk = await response.content.read(EXCERPT_BYTES - len(collected))
                if not chunk:
                    break
                collected += chunk
    except (TimeoutError, aiohttp.ClientError, OSError):
        response.close()
    return collected.decode("utf-8", "replace").replace("\x00", "")[:EXCERPT_BYTES]


_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (Unreadable, "secret_unreadable"),
    (TimeoutError, "timeout"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientConnectorError, "connect"),
    (aiohttp.ClientError, "network"),
    (OSError, "network"),
)


def _kind_of(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefused):
            return "refused_address"
        cause = cause.__cause__
    return next((name for kind, name in _KINDS if isinstance(error, kind)), "internal")
