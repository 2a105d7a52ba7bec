"""What of a request's headers goes on, and what of an answer's comes back.

Only headers on a list go on. So a client cannot send `X-Tenant`, `X-Forwarded-For`, a header
spelled with an underscore, or anything else a service might one day believe.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.edge.rejection import Rejection

Headers = Iterable[tuple[bytes, bytes]]
_PASSED = frozenset(
    {
        b"accept",
        b"accept-language",
        b"content-language",
        b"content-type",
        b"idempotency-key",
        b"last-event-id",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"origin",
        b"prefer",
        b"user-agent",
    }
)
_PASSED_TO_WEBHOOKS = _PASSED | {
    b"paypal-auth-algo",
    b"paypal-auth-version",
    b"paypal-cert-url",
    b"paypal-transmission-id",
    b"paypal-transmission-sig",
    b"paypal-transmission-time",
    b"stripe-signature",
}
_READ = {b"authorization", b"content-length", b"host", b"transfer-encoding", b"x-request-id"}
_ONCE = _READ | _PASSED_TO_WEBHOOKS - {b"accept", b"accept-language", b"prefer"}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_KEPT_HERE = frozenset(
    {
        b"connection",
        b"content-length",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"server",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
    }
)


@dataclass(slots=True)
class RequestHeaders:
    """Headers of a request, sorted out."""

    read: Mapping[bytes, bytes]
    """Those the edge itself acts on."""
    passed: dict[str, str]
    """Those that go on."""


def sort_out(headers: Headers, *, webhook: bool) -> RequestHeaders:
    """Tell headers apart; raises `Rejection` for those that could be read in two ways."""
    list_of_passed = _PASSED_TO_WEBHOOKS if webhook else _PASSED
    seen: dict[bytes, bytes] = {}
    passed: dict[str, str] = {}
    for name, value in headers:
        if name not in _READ and name not in list_of_passed:
            continue
        if name in seen and name in _ONCE:
            raise _ambiguous(f"{name.decode()} is given twice")
        if name in list_of_passed:
            if not value.isascii():
                raise _ambiguous(f"{name.decode()} is not ASCII")
            text = value.decode("ascii")
            key = name.decode("ascii")
            passed[key] = f"{passed[key]}, {text}" if name in seen else text
        seen[name] = value
    if b"transfer-encoding" in seen:
        if b"content-length" in seen:
            raise _ambiguous("the length of the body is given in two ways")
        if seen[b"transfer-encoding"].lower() != b"chunked":
            raise _ambiguous("the only transfer coding taken is chunked")
    length = seen.get(b"content-length")
    if length is not None and not (length.isdigit() and len(length) < 16):
        raise _ambiguous("content-length is not a number")
    return RequestHeaders(seen, passed)


def _ambiguous(detail: str) -> Rejection:
    return Rejection(
        400,
        "invalid_header",
        "The headers are not acceptable",
        detail[0].upper() + detail[1:],
        {"Connection": "close"},
    )


def valid_request_id(headers: Headers) -> bytes | None:
    """The client's own name for the request, where it is one."""
    for name, value in headers:
        if name == b"x-request-id":
            return value if _REQUEST_ID.fullmatch(value) else None
    return None


def returned(raw: Headers, upstream: str) -> list[tuple[bytes, bytes]]:
    """An answer's headers as the client may see them; no address of ours among them."""
    dropped = _KEPT_HERE
    result: list[tuple[bytes, bytes]] = []
    for name, value in raw:
        lower = name.lower()
        if lower == b"connection" and value.lower() not in (b"close", b"keep-alive"):
            dropped = dropped | {part.strip().lower() for part in value.split(b",")}
        if lower == b"location" and value.startswith(upstream.encode()):
            value = value[len(upstream) :] or b"/"  # noqa: PLW2901 - the one header that changes
        result.append((lower, value))
    return [(name, value) for name, value in result if name not in dropped]
