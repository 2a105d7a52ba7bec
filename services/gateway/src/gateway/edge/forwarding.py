"""One request to one service, once."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from gateway.edge.headers import returned
from gateway.edge.rejection import Rejection

_CONNECT_S = 2.0
_POOL_WAIT_S = 5.0
_KEEPALIVE_S = 3.0
"""Shorter than any server keeps a connection (services 75 s, a bare uvicorn 5 s), so that a request
never meets one that is just being closed."""
_CONNECTIONS_MAX = 2000
_CONNECTIONS_PER_SERVICE = 400
_STREAM_TIMEOUT = aiohttp.ClientTimeout(
    total=None, connect=_POOL_WAIT_S, sock_connect=_CONNECT_S, sock_read=60
)
"""Streams of ours say something at least every fifteen seconds."""
_PIECE_BYTES = 262_144
_ANSWER_BYTES_MAX = 32 * 1024 * 1024
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_SAME_KEY = "Send it again with the same Idempotency-Key: it happens once, and you get its answer"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as a service gets it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Incoming:
    """A service's answer as the client may see it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Forwarder:
    """Connections to the services."""

    def __init__(self, timeout_s: float) -> None:
        """Nothing is opened before the first request."""
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s, connect=_POOL_WAIT_S, sock_connect=_CONNECT_S
        )
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Opened at its first use, in the loop that uses it. It has no memory for cookies."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_CONNECTIONS_MAX,
                    limit_per_host=_CONNECTIONS_PER_SERVICE,
                    keepalive_timeout=_KEEPALIVE_S,
                    ttl_dns_cache=10,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                auto_decompress=False,
                skip_auto_headers=_NOT_ADDED,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, service: str, base: str, outgoing: Outgoing) -> Incoming:
        """Ask a service once and give back its whole answer.

        Raises `Rejection` that says truly whether the request may have been carried out.
        """
        with _told_truly(service, outgoing.method):
            async with self._asked(outgoing) as response:
                return Incoming(
                    response.status,
                    returned(response.raw_headers, base),
                    await _body_of(response, service),
                )
        raise AssertionError("every fault has become a rejection")

    @asynccontextmanager
    async def stream(
        self, service: str, base: str, outgoing: Outgoing
    ) -> AsyncIterator[tuple[Incoming, AsyncIterator[bytes]]]:
        """Ask a service once; its answer without the body, and the body as it comes.

        Raises `Rejection` like `send` while nothing has come. What breaks off later ends the body.
        """
        async with AsyncExitStack() as stack:
            with _told_truly(service, outgoing.method):
                response = await stack.enter_async_context(
                    self._asked(outgoing, timeout=_STREAM_TIMEOUT)
                )
            yield (
                Incoming(response.status, returned(response.raw_headers, base), b""),
                response.content.iter_any(),
            )

    def _asked(self, outgoing: Outgoing, **more: Any) -> Any:
        return self.session.request(
            outgoing.method,
            URL(outgoing.url, encoded=True),
            headers=outgoing.headers,
            data=_payload(outgoing.body),
            allow_redirects=False,
            **more,
        )


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    """A long body is sent in pieces, so that others get their turn between them."""
    return io.BytesIO(body) if len(body) > _PIECE_BYTES else body or None


@contextmanager
def _told_truly(service: str, method: str) -> Iterator[None]:
    """Turn what can happen on the way into a rejection that says what may have been done."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        refused = isinstance(error.os_error, ConnectionRefusedError)
        raise _unreachable(service, refused=refused) from error
    except aiohttp.ConnectionTimeoutError as error:
        raise _unreachable(service, refused=False) from error
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        if method not in _SAFE:
            raise _unknown(service) from error
        if isinstance(error, asyncio.TimeoutError):
            raise Rejection(
                504, "upstream_timeout", f"The {service} service took too long; ask again"
            ) from error
        raise Rejection(
            502, "upstream_unavailable", f"The {service} service broke off; ask again"
        ) from error


async def _body_of(response: aiohttp.ClientResponse, service: str) -> bytes:
    if response.content_length is not None and response.content_length <= _ANSWER_BYTES_MAX:
        return await response.read()
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > _ANSWER_BYTES_MAX:
            response.close()
            raise Rejection(502, "answer_too_large", f"The answer of {service} is too large")
        chunks.append(chunk)
    return b"".join(chunks)


def _unreachable(service: str, *, refused: bool) -> Rejection:
    title = f"The {service} service cannot be reached; nothing was done"
    if refused:
        return Rejection(503, "upstream_unavailable", title, headers={"Retry-After": "1"})
    return Rejection(502, "upstream_unavailable", title)


def _unknown(service: str) -> Rejection:
    return Rejection(
        504,
        "outcome_unknown",
        f"The {service} service did not answer; the request may have been carried out",
        _SAME_KEY,
    )
