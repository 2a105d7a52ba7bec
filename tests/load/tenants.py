"""Who sends the requests: tenants with keys, and the invoices they send."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.load.loadgen import Connection, request_bytes
from tests.load.place import Platform, call

from chassis.auth import Caller, TokenMint
from invoiceos_contracts import decode

INVOICES = "/api/v1/invoices"
LINES = 5
TOTAL_CENTS = 1_190
UNITS_PER_CENT = 10_000
"""Of PATHUSD, which has six decimals."""
UNITS = TOTAL_CENTS * UNITS_PER_CENT
_SCOPES = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class Tenant:
    """One company with its key."""

    id: str
    api_key: str
    token: str = ""
    """Internal token, for requests that go past the gateway; empty where it cannot be made."""


def make_tenants(platform: Platform, count: int) -> list[Tenant]:
    """New companies, made through the gateway as an operator does."""
    seed = platform.environment["gateway"].get("INVOICEOS_INTERNAL_TOKEN_PRIVATE_KEY", "")
    mint = TokenMint(seed) if seed else None
    found = []
    for number in range(count):
        made = call(
            "POST",
            platform.urls["gateway"] + "/api/v1/tenants",
            platform.operator_token,
            {"name": f"Bench {number}"},
        )
        caller = Caller(decode("ten", made["tenant_id"]), "bench", _SCOPES)
        token = mint.mint(caller) if mint else ""
        found.append(Tenant(made["tenant_id"], made["api_key"], token))
    return found


def subscribe(platform: Platform, tenant: Tenant, url: str, types: Sequence[str]) -> None:
    """Have these events of a tenant delivered to a receiver."""
    call(
        "POST",
        platform.urls["gateway"] + "/api/v1/webhook-endpoints",
        tenant.api_key,
        {"url": url, "event_types": list(types)},
    )


def invoice(*, issue: bool, watch_window_s: int = 7 * 24 * 3600) -> bytes:
    """An invoice of five lines."""
    line = {"quantity": "1", "unit_price_minor": TOTAL_CENTS // LINES}
    lines = [{"description": f"Consulting hours, on site {n}", **line} for n in range(LINES)]
    body: dict[str, Any] = {
        "asset": "USD",
        "due_at": "2030-01-31T12:00:00Z",
        "reference": "PO-2026-0017",
        "lines": lines,
        "wallet": {"watch_window_s": watch_window_s},
        "issue": issue,
    }
    return json.dumps(body, separators=(",", ":")).encode()


@dataclass(slots=True)
class Requests:
    """Makes requests of tenants in turn, each with an Idempotency-Key of its own."""

    tenants: Sequence[Tenant]
    issue: bool
    direct: bool = False
    """Past the gateway: with the token it would have signed."""
    _run: str = field(default_factory=lambda: uuid.uuid4().hex)
    _numbers: Any = field(default_factory=itertools.count)
    _body: bytes = b""

    def __post_init__(self) -> None:
        self._body = invoice(issue=self.issue)

    def __call__(self, _: int = 0) -> tuple[bytes, bytes]:
        number = next(self._numbers)
        tenant = self.tenants[number % len(self.tenants)]
        bearer = tenant.token if self.direct else tenant.api_key
        head = (
            f"authorization: Bearer {bearer}\r\ncontent-type: application/json\r\n"
            f"idempotency-key: {self._run}-{number}\r\n"
        )
        return head.encode(), self._body


async def post_invoice(connection: Connection, make: Requests) -> Mapping[str, Any]:
    """One invoice over an open connection; its view."""
    headers, body = make()
    status, answer = await connection.ask(request_bytes("POST", INVOICES, headers, body))
    if status != 201:
        raise RuntimeError(f"an invoice was refused with {status}: {answer[:300]!r}")
    found: Mapping[str, Any] = json.loads(answer)
    return found
