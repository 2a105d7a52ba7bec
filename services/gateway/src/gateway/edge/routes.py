"""Which path goes to which service. Longest prefix wins; prefixes end at a slash or at the end."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gateway.edge.rejection import Rejection

METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})
ALLOW = ", ".join(sorted(METHODS))
PATH_BYTES_MAX = 2048
QUERY_BYTES_MAX = 8192
_PATH = re.compile(rb"/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]+(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/?)?")
_QUERY = re.compile(rb"[\x21-\x7e]*")
_DEPTH = 6
BODY_BYTES_MAX = 262_144
BULK = "/api/v1/wallets/ephemeral/bulk"
LEDGER = "/api/v1/ledger"
BULK_BYTES_MAX = 8 * 1_048_576
"""As the routes that take bulk orders and batches have it."""


class Where(StrEnum):
    """Who answers: one of these, else the service of this name."""

    OWN = "own"
    """The gateway's own application."""
    PAGE = "page"
    """A page the edge itself makes."""


@dataclass(frozen=True, slots=True)
class Route:
    """What becomes of the requests under a prefix."""

    prefix: str
    to: str
    """A value of `Where`, else the name of a service."""
    public: bool = False
    """Whether it is for everyone; else it takes an API key or the operator's token."""
    replaced_by: str = ""
    """Prefix the service knows instead; the same where empty."""
    exact: bool = False
    body_bytes_max: int = BODY_BYTES_MAX
    """Longest body that goes on."""
    limited: bool = False
    """Whether each client address is limited: nobody says there whose request it is."""

    def is_streamed(self, path: str) -> bool:
        """Whether an answer goes on as it comes: progress that lasts, files of any length."""
        if self.prefix == BULK:
            return path.endswith(("/events", "/results"))
        return self.prefix == LEDGER and path.endswith((".csv", ".xlsx"))


def _table() -> Iterator[Route]:
    services = {
        "invoice": ["customers", "invoices", "issuer-profile"],
        "ephemeral-manager": ["wallets/ephemeral", "certificates"],
        "wallet-factory": ["wallets"],
        "provider-orchestrator": [
            *("providers", "payments", "payment-intents", "routing"),
            *("payouts", "payout-batches", "approval-policies", "payment-rules"),
        ],
        "reserve-ledger": ["ledger", "reserves"],
        "notification": ["webhook-endpoints", "webhook-deliveries", "notifications"],
    }
    for service, names in services.items():
        for name in names:
            yield Route(f"/api/v1/{name}", service)
    yield Route(BULK, "ephemeral-manager", body_bytes_max=BULK_BYTES_MAX)
    yield Route("/api/v1/reserves/bank-statements", "reserve-ledger", body_bytes_max=BULK_BYTES_MAX)
    batches = "/api/v1/payout-batches"
    yield Route(batches, "provider-orchestrator", body_bytes_max=BULK_BYTES_MAX)
    yield Route("/api/v1/payment-links", "invoice", public=True, limited=True)
    yield Route("/pay", "invoice", public=True, limited=True)
    yield Route("/pay/with", "provider-orchestrator", public=True, limited=True)
    yield Route("/pay/back", "provider-orchestrator", public=True, limited=True)
    yield Route("/api/v1/webhooks/circle", "provider-orchestrator", public=True)
    for provider in ("stripe", "paypal"):
        path = f"/api/v1/webhooks/{provider}"
        yield Route(path, "provider-orchestrator", public=True)
        yield Route(f"/api/webhooks/{provider}", "provider-orchestrator", True, path)
    yield Route("/api/invoices", "invoice", replaced_by="/api/v1/invoices")
    yield Route("/api/invoice-wallets", "wallet-factory", replaced_by="/api/v1/wallets")
    yield Route("/api/payments", "provider-orchestrator", replaced_by="/api/v1/payments")
    yield Route("/api/v1/tenants", Where.OWN)
    yield Route("/api/v1/api-keys", Where.OWN)
    yield Route("/api/v1/operations", Where.OWN)
    yield Route("/api/v1/events", Where.OWN)
    yield Route("/api/v1/partners", Where.OWN)
    for path in ("/livez", "/readyz", "/metrics", "/version"):
        yield Route(path, Where.OWN, public=True, exact=True)
    for path in ("/", "/api/health", "/openapi.json", "/docs", "/docs/docs.css", "/docs/docs.js"):
        yield Route(path, Where.PAGE, public=True, exact=True)
    for ending in ("", ".css", ".js", ".json"):
        yield Route(f"/docs/events{ending}", Where.PAGE, public=True, exact=True)


TABLE = {route.prefix: route for route in _table()}


def find(path: str) -> Route | None:
    """The route of a path; None where nobody answers."""
    route = TABLE.get(path)
    if route is not None:
        return route
    parts = path.split("/", _DEPTH)
    for count in range(min(len(parts), _DEPTH) - 1, 0, -1):
        route = TABLE.get("/".join(parts[: count + 1]))
        if route is not None:
            return None if route.exact else route
    return None


def target_of(route: Route, path: str) -> str:
    """The path as the service knows it."""
    return route.replaced_by + path[len(route.prefix) :] if route.replaced_by else path


def checked_path(raw: bytes, query: bytes) -> str:
    """The path of a request; raises `Rejection` for whatever two programs could read differently.

    Nothing of ours needs escapes in a path, so none are taken: no encoded slash, NUL or dot can
    mean one thing here and another at the service.
    """
    if len(raw) > PATH_BYTES_MAX or len(query) > QUERY_BYTES_MAX:
        raise Rejection(414, "uri_too_long", "The address is too long")
    if _PATH.fullmatch(raw) is None or b"/." in raw:
        raise Rejection(
            400,
            "invalid_path",
            "The path is not acceptable",
            "Use plain paths: no escapes, no empty or dotted segments",
        )
    if _QUERY.fullmatch(query) is None:
        raise Rejection(400, "invalid_query", "The query is not acceptable", "Escape it as UTF-8")
    return raw.decode("ascii")
