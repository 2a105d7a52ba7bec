"""Facts of other services, as they state them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from chassis.sealing import Sealer
from invoiceos_contracts import Amount, Sealed, encode
from invoiceos_contracts.invoice_v1 import (
    InvoiceIssued,
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePartiallyPaid,
    InvoiceStatus,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OPEN = InvoiceStatus(document="open", settlement="unpaid", timeliness="on_time")


def sealed(email: str, name: str, customer_id: UUID, key: str) -> Sealed:
    return Sealer(key).seal(
        json.dumps({"email": email, "name": name}),
        subject=encode("cus", customer_id),
        data_key=Sealer.new_data_key(),
    )


def usd(minor: int) -> Amount:
    return Amount(amount_minor=minor, asset="USD")


def issued(tenant_id: UUID, **more: Any) -> InvoiceIssued:
    values: dict[str, Any] = {
        "tenant_id": tenant_id,
        "invoice_id": uuid4(),
        "number": "INV-000123",
        "status": OPEN,
        "total": usd(1250),
        "due": usd(1250),
        "received": usd(0),
        "received_micros": 0,
        "issued_at": NOW,
        "due_at": NOW + timedelta(days=14),
        "payment_link": "https://pay.example.com/p/abc",
        "customer_id": None,
        "issuer_name": "Acme & Söhne",
        "recipient": None,
        "wallet_id": uuid4(),
        "mode": "ephemeral",
        "rail": "tempo",
        "chain_id": 42431,
        "address": "0x1111111111111111111111111111111111111111",
        "memo": "ab" * 32,
        "accepted_assets": ("PATHUSD", "ALPHAUSD"),
        "expires_at": NOW + timedelta(days=30),
        "watch_window_s": 3600,
        "lines": (),
    }
    return InvoiceIssued(**(values | more))


_SETTLED = {InvoicePaid: "shortage", InvoicePartiallyPaid: "shortage", InvoiceOverpaid: "excess"}


def settled(kind: Any, of: InvoiceIssued, amount: int, due: int = 0, other: int = 0) -> Any:
    return kind(
        tenant_id=of.tenant_id,
        invoice_id=of.invoice_id,
        number=of.number,
        status=OPEN,
        total=of.total,
        due=usd(due),
        received=usd(amount),
        received_micros=amount * 10_000,
        booking_id=uuid4(),
        amount=Amount(amount_minor=amount * 10_000, asset="PATHUSD"),
        **{_SETTLED[kind]: usd(other)},
    )
