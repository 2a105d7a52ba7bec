"""The manager on a database of its own, and the facts of one wallet's life."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.application import build
from chassis.auth import Caller, TokenMint, TokenReader
from chassis.settings import load
from ephemeral_manager.app import service
from ephemeral_manager.settings import EphemeralManagerSettings
from invoiceos_contracts import Amount
from invoiceos_contracts.invoice_v1 import (
    InvoiceIssued,
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePaymentReversed,
    InvoiceStatus,
    InvoiceVoided,
)
from invoiceos_contracts.ledger_v1 import FundsBooked
from invoiceos_contracts.payment_v1 import (
    PaymentConflicted,
    PaymentReverted,
    PaymentSeen,
    PaymentSucceeded,
)
from invoiceos_contracts.provider_v1 import WalletBalanceObserved
from invoiceos_contracts.wallet_v1 import DestroyedItem, WalletSecretsDestroyed
from messaging import Tx, Writer
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

# In importlib mode a test folder is not on the path by itself.
sys.path.insert(0, str(Path(__file__).parent))

SEED = os.urandom(32)
ENVIRONMENT = {
    "INVOICEOS_DATABASE_API_URL": "postgresql://unused",
    "INVOICEOS_DATABASE_WORKER_URL": "postgresql://unused",
    "INVOICEOS_EVIDENCE_PRIVATE_KEY": base64.b64encode(os.urandom(32)).decode(),
    "INVOICEOS_INTERNAL_TOKEN_PUBLIC_KEY": base64.b64encode(
        Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
    ).decode(),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    load.cache_clear()
    yield
    load.cache_clear()


@pytest.fixture
async def unit(
    make_database: Callable[[str], ServiceDatabase], environment: None
) -> AsyncIterator[ServiceUnderTest]:
    async with under_test(service, make_database("ephemeral_manager")) as opened:
        yield opened


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def choose(rows: int) -> None:
        monkeypatch.setenv("INVOICEOS_BULK_BATCH", str(rows))
        load.cache_clear()

    return choose


def usd(minor: int) -> Amount:
    return Amount(amount_minor=minor, asset="USD")


def path_usd(minor: int) -> Amount:
    return Amount(amount_minor=minor, asset="PATHUSD")


@dataclass
class Life:
    """States the facts others state about one invoice and its wallet."""

    tenant_id: UUID = field(default_factory=uuid4)
    invoice_id: UUID = field(default_factory=Tx.new_id)
    wallet_id: UUID = field(default_factory=Tx.new_id)
    expires_at: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=1))
    watch_window_s: int = 600
    sequence: int = 0

    def _invoice(self, settlement: str = "unpaid", document: str = "open") -> dict[str, Any]:
        return {
            "tenant_id": self.tenant_id,
            "invoice_id": self.invoice_id,
            "number": "INV-1",
            "status": InvoiceStatus(document=document, settlement=settlement, timeliness="on_time"),
            "total": usd(1000),
            "due": usd(1000),
            "received": usd(0),
            "received_micros": 0,
        }

    def issued(self, mode: str = "ephemeral") -> InvoiceIssued:
        return InvoiceIssued(
            **self._invoice(),
            issued_at=datetime.now(UTC),
            due_at=self.expires_at,
            payment_link="https://pay.example/x",
            customer_id=None,
            issuer_name="Acme",
            recipient=None,
            wallet_id=self.wallet_id,
            mode=mode,
            rail="tempo",
            chain_id=31337,
            address=f"0x58e21090{'fd' * 10}{self.wallet_id.hex[:12]}",
            memo="0x" + "5a" * 32,
            accepted_assets=("PATHUSD",),
            expires_at=self.expires_at,
            watch_window_s=self.watch_window_s,
            lines=(),
        )

    def paid(self, booking_id: UUID | None = None) -> InvoicePaid:
        return InvoicePaid(
            **self._invoice("paid"),
            booking_id=booking_id or uuid4(),
            amount=path_usd(10_000_000),
            shortage=usd(0),
        )

    def overpaid(self, booking_id: UUID | None = None) -> InvoiceOverpaid:
        return InvoiceOverpaid(
            **self._invoice("overpaid"),
            booking_id=booking_id or uuid4(),
            amount=path_usd(10_000_000),
            excess=usd(5),
        )

    def reversed(self, settlement: str = "unpaid") -> InvoicePaymentReversed:
        return InvoicePaymentReversed(
            **self._invoice(settlement),
            booking_id=uuid4(),
            amount=path_usd(-10_000_000),
            shortage=usd(1000),
        )

    def voided(self) -> InvoiceVoided:
        return InvoiceVoided(**self._invoice(document="void"), reason="wrong", by="test")

    def _payment(self, payment_id: UUID, minor: int) -> dict[str, Any]:
        return {
            "tenant_id": self.tenant_id,
            "payment_id": payment_id,
            "invoice_id": self.invoice_id,
            "wallet_id": self.wallet_id,
            "provider": "tempo",
            "rail": "tempo",
            "amount": path_usd(minor),
        }

    def seen(self, payment_id: UUID, minor: int = 10_000_000) -> PaymentSeen:
        return PaymentSeen(
            **self._payment(payment_id, minor), chain=None, payer=None, confirmations_needed=1
        )

    def succeeded(self, payment_id: UUID, minor: int = 10_000_000) -> PaymentSucceeded:
        return PaymentSucceeded(
            **self._payment(payment_id, minor),
            chain=None,
            payer=None,
            provider_reference=str(payment_id),
            fee=None,
            final_at=datetime.now(UTC),
            invoice_due=usd(1000),
            memo_matches=None,
        )

    def reverted(
        self, payment_id: UUID, minor: int = 10_000_000, *, was_final: bool = False
    ) -> PaymentReverted:
        return PaymentReverted(
            **self._payment(payment_id, minor), cause="reorg", was_final=was_final
        )

    def conflicted(self, payment_id: UUID, minor: int = 10_000_000) -> PaymentConflicted:
        return PaymentConflicted(
            **self._payment(payment_id, minor),
            cause="wrong_asset",
            chain=None,
            payer=None,
            expected=("PATHUSD",),
            provider_reference=str(payment_id),
        )

    def booked(
        self, payment_id: UUID, booking_id: UUID, minor: int = 10_000_000, *, applied: bool = True
    ) -> FundsBooked:
        self.sequence += 1
        return FundsBooked(
            tenant_id=self.tenant_id,
            transaction_id=booking_id,
            sequence=self.sequence,
            template="invoice_paid.v1",
            invoice_id=self.invoice_id,
            wallet_id=self.wallet_id,
            payment_id=payment_id,
            applied=path_usd(minor if applied else 0),
            excess=path_usd(0 if applied else minor),
            fee=path_usd(0),
            booked_at=datetime.now(UTC),
        )

    def secrets_destroyed(self) -> WalletSecretsDestroyed:
        return WalletSecretsDestroyed(
            tenant_id=self.tenant_id,
            wallet_id=self.wallet_id,
            invoice_id=self.invoice_id,
            items=(DestroyedItem(what="memo salt", fingerprint="ab" * 32),),
            kept=("the address",),
            destroyed_at=datetime.now(UTC),
        )

    def balance(self, minor: int = 0, pending: int = 0, block: int = 7) -> WalletBalanceObserved:
        return WalletBalanceObserved(
            tenant_id=self.tenant_id,
            wallet_id=self.wallet_id,
            invoice_id=self.invoice_id,
            rail="tempo",
            chain_id=31337,
            address="0x" + "11" * 20,
            block_number=block,
            block_hash="0x" + "22" * 32,
            balances=(path_usd(minor),),
            payments_pending=pending,
            observed_at=datetime.now(UTC),
        )


@pytest.fixture
def new_life() -> type[Life]:
    return Life


@pytest.fixture
def life() -> Life:
    return Life()


@dataclass(slots=True)
class Client:
    """Asks the service's own application as a tenant."""

    http: httpx.AsyncClient
    mint: TokenMint

    async def ask(
        self, method: str, path: str, tenant: UUID, *scopes: str, **more: Any
    ) -> httpx.Response:
        allowed = frozenset(scopes or {"wallets:read", "wallets:write"})
        token = self.mint.mint(Caller(tenant, "test", allowed))
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **more)


@pytest.fixture
async def client(unit: ServiceUnderTest) -> AsyncIterator[Client]:
    app = build(service, EphemeralManagerSettings())
    app.state.api_database = unit.api
    app.state.writer = Writer(unit.api)
    app.state.token_reader = TokenReader(ENVIRONMENT["INVOICEOS_INTERNAL_TOKEN_PUBLIC_KEY"])
    writing = asyncio.create_task(app.state.writer.run())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://manager") as http:
        yield Client(http, TokenMint(base64.b64encode(SEED).decode()))
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
