"""One request to a provider over HTTP, and what can be known where no answer comes.

The same for all of them, and the place where money would be lost: whatever may have been accepted
is *unknown*, and only what provably was not is *infra*.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import aiohttp

from provider_orchestrator.domain.adapters import Answer, ProviderFault, Status
from provider_orchestrator.domain.outcomes import Outcome

ANSWER_BYTES_MAX = 16 * 1024 * 1024
SANDBOX = "Provider-Sandbox"
"""A header of the stand-in for providers: no money moves there."""
_RETRY_AFTER_S_MAX = 3600.0


class Senseless(ValueError):
    """A provider said something that is no amount, time or object of it."""


class Unsayable(ValueError):
    """What is ordered cannot be written to this provider; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of it. `body` is the provider's own object, whatever the outcome; else empty."""

    outcome: Outcome
    cause: str = ""
    status: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None
    latency_us: int = 0

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.outcome is Outcome.OK

    def answer(self, outcome: Outcome | None = None, cause: str = "", **more: Any) -> Answer:
        """An answer that tells no more than how the request went, and what else is given."""
        return Answer(
            outcome=outcome or self.outcome,
            cause=cause or ("" if self.ok else self.cause),
            retry_after_s=self.retry_after_s,
            latency_us=self.latency_us,
            **{"raw": {"http_status": self.status}, **more},
        )

    def fault(self) -> ProviderFault:
        """For questions that have no answer but the one that was asked for."""
        outcome = Outcome.UNKNOWN if self.ok else self.outcome
        return ProviderFault(outcome, self.cause or "unreadable")


def sent(answer: Answer) -> Answer:
    """An answer to an order: what definitely came to nothing was said no to."""
    failed = answer.outcome is Outcome.OK and answer.status is Status.FAILED
    return replace(answer, outcome=Outcome.DECLINED) if failed else answer


def asked(answer: Answer) -> Answer:
    """An answer to a question that moves nothing, as one: no failure of it says `not happened`."""
    return replace(answer, outcome=Outcome.UNKNOWN) if answer.outcome is Outcome.INFRA else answer


async def exchange(
    session: aiohttp.ClientSession, request: Request, *, in_production: bool
) -> Reply:
    """Send a request once; every way it can go is a `Reply`."""
    started = time.perf_counter()
    try:
        reply = await _exchange(session, request, in_production=in_production)
    except (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        aiohttp.InvalidURL,
    ) as error:
        # There was no connection, so nothing was sent.
        reply = Reply(Outcome.INFRA, "unreachable", body={"error": type(error).__name__})
    except TimeoutError:
        reply = Reply(Outcome.UNKNOWN, "timeout")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # It broke while sending or reading: the provider may have all of it.
        reply = Reply(Outcome.UNKNOWN, "no_answer", body={"error": type(error).__name__})
    latency_us = int((time.perf_counter() - started) * 1_000_000)
    return replace(reply, latency_us=latency_us)


async def _exchange(
    session: aiohttp.ClientSession, request: Request, *, in_production: bool
) -> Reply:
    async with session.request(
        request.method,
        request.url,
        data=request.body,
        headers=dict(request.headers),
        timeout=aiohttp.ClientTimeout(total=request.timeout_s),
        # Elsewhere nobody knows our key, and our credentials are not for others.
        allow_redirects=False,
    ) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if in_production and SANDBOX.lower() in headers:
            return Reply(Outcome.AUTH, "provider_sandbox", response.status)
        body = _object(await _read(response))
    outcome, cause = _folded(response.status, body)
    return Reply(outcome, cause, response.status, body or {}, headers, retry_after_s(headers))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    pieces: list[bytes] = []
    left = ANSWER_BYTES_MAX
    async for piece in response.content.iter_any():
        left -= len(piece)
        if left < 0:
            raise ValueError("the answer is too long")
        pieces.append(piece)
    return b"".join(pieces)


def _object(raw: bytes) -> Mapping[str, Any] | None:
    """The JSON object that came; an empty one where nothing came, None for anything else."""
    if not raw.strip():
        return {}
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _folded(status: int, body: Mapping[str, Any] | None) -> tuple[Outcome, str]:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Outcome.AUTH, "credentials_refused"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome.THROTTLED, "throttled"
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return (Outcome.OK, "") if body is not None else (Outcome.UNKNOWN, "unreadable")
    if status == HTTPStatus.CONFLICT:
        return Outcome.UNKNOWN, "in_progress"
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if refused and status != HTTPStatus.REQUEST_TIMEOUT and body:
        return Outcome.OUR_FAULT, "refused"
    # Somebody on the way, or the provider while it was at work: it may have happened.
    return Outcome.UNKNOWN, f"http_{status}"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as `Retry-After` says, where it says it in seconds."""
    text = headers.get("retry-after", "")
    return min(float(text), _RETRY_AFTER_S_MAX) if text.isdecimal() else None


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)
