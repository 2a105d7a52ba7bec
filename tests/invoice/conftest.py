"""The invoice service on a database of its own, its HTTP side included."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis import problems
from chassis.application import describe
from chassis.auth import Caller, TokenMint, TokenReader
from chassis.settings import load
from invoiceos_contracts import Amount
from invoiceos_contracts.ephemeral_v1 import (
    Certificate,
    CertificateBody,
    EphemeralWalletDestroyed,
    EphemeralWalletExtended,
    Guard,
)
from invoiceos_contracts.ledger_v1 import (
    ChargebackBooked,
    FundsBooked,
    FundsReversed,
    ReservationSettled,
)
from invoiceos_contracts.payment_v1 import (
    PaymentCreated,
    PaymentFailed,
    PaymentReverted,
    PaymentSeen,
    PaymentSubmitted,
)
from invoiceos_contracts.wallet_v1 import WalletFailed, WalletReady
from messaging import Writer
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

PERSONAL_DATA_KEY = base64.b64encode(bytes(range(32))).decode()
SCOPES = frozenset({"customers:read", "customers:write", "invoices:read", "invoices:write"})


@pytest.fixture(scope="session", autouse=True)
def configured() -> Iterator[None]:
    """Settings as the environment of a process would give them."""
    from invoice import settings

    wanted = {
        "INVOICEOS_DATABASE_API_URL": "postgresql://unused",
        "INVOICEOS_DATABASE_WORKER_URL": "postgresql://unused",
        "INVOICEOS_PUBLIC_URL": "https://pay.example.test/",
        "INVOICEOS_PERSONAL_DATA_KEY": PERSONAL_DATA_KEY,
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    for cached in (load, settings.sealer, settings.link_key):
        cached.cache_clear()
    yield
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    for cached in (load, settings.sealer, settings.link_key):
        cached.cache_clear()


@pytest.fixture(scope="session")
def place(make_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    """One database for the session: tests use tenants of their own."""
    return make_database("invoice")


@pytest.fixture
async def unit(place: ServiceDatabase) -> AsyncIterator[ServiceUnderTest]:
    """The service with nothing staged and no timers of other tests."""
    from invoice.app import service

    async with under_test(service, place) as opened:
        await opened.worker.pool.execute("delete from outbox")
        await opened.worker.pool.execute("delete from timer")
        yield opened


Client = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def client_of(unit: ServiceUnderTest) -> AsyncIterator[Client]:
    """Makes an HTTP client that acts for a tenant."""
    private = Ed25519PrivateKey.generate()
    mint = TokenMint(base64.b64encode(private.private_bytes_raw()).decode())
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    app = describe(unit.service)
    problems.install(app)
    writer = Writer(unit.api)
    app.state.writer = writer
    app.state.api_database = unit.api
    app.state.token_reader = TokenReader(public)
    app.state.runtime = SimpleNamespace(service=unit.service)
    task = asyncio.create_task(writer.run())
    clients: list[httpx.AsyncClient] = []

    def client(tenant: UUID | None, scopes: frozenset[str] = SCOPES) -> httpx.AsyncClient:
        token = mint.mint(Caller(tenant, "key_test", scopes)) if tenant else ""
        headers = {"Authorization": f"Bearer {token}"} if tenant else {}
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        made = httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)
        clients.append(made)
        return made

    yield client
    for made in clients:
        await made.aclose()
    task.cancel()


WALLET = UUID(int=77)
EXPIRES = datetime(2030, 2, 1, tzinfo=UTC)


class News:
    """Facts of other services about invoices."""

    def ready(self, tenant: UUID, invoice: UUID, **other: Any) -> WalletReady:
        """The wallet is there."""
        given = {
            "mode": "ephemeral",
            "rail": "tempo",
            "chain_id": 1337,
            "address": "0x" + "ab" * 20,
            "memo": "cd" * 32,
            "accepted_assets": ("PATHUSD", "ALPHAUSD"),
            "due": Amount(amount_minor=1000, asset="USD"),
            "ttl_s": 60,
            "watch_window_s": 60,
            "expires_at": EXPIRES,
            "decision": "tempo-first.v1",
        }
        common = {"tenant_id": tenant, "invoice_id": invoice, "wallet_id": uuid4()}
        return WalletReady(**(common | given | other))

    def failed(self, tenant: UUID, invoice: UUID) -> WalletFailed:
        """No wallet could be made."""
        return WalletFailed(
            tenant_id=tenant,
            invoice_id=invoice,
            wallet_id=uuid4(),
            reason="no_rail_available",
            tried=("tempo",),
        )

    def seen(
        self, tenant: UUID, invoice: UUID, payment: UUID, minor: int, asset: str = "PATHUSD"
    ) -> PaymentSeen:
        """A payment is on its way."""
        return PaymentSeen(
            tenant_id=tenant,
            invoice_id=invoice,
            wallet_id=WALLET,
            payment_id=payment,
            provider="tempo",
            rail="tempo",
            amount=Amount(amount_minor=minor, asset=asset),
            chain=None,
            payer=None,
            confirmations_needed=3,
        )

    def reverted(
        self, tenant: UUID, invoice: UUID, payment: UUID, minor: int, *, was_final: bool = False
    ) -> PaymentReverted:
        """The chain took it back."""
        return PaymentReverted(
            tenant_id=tenant,
            invoice_id=invoice,
            wallet_id=WALLET,
            payment_id=payment,
            provider="tempo",
            rail="tempo",
            amount=Amount(amount_minor=minor, asset="PATHUSD"),
            cause="reorg",
            was_final=was_final,
        )

    def booked(
        self,
        tenant: UUID,
        invoice: UUID,
        payment: UUID,
        transaction: UUID,
        minor: int,
        *,
        excess: int = 0,
        asset: str = "PATHUSD",
    ) -> FundsBooked:
        """The ledger booked it: `minor` applied, and the excess."""
        return FundsBooked(
            tenant_id=tenant,
            invoice_id=invoice,
            wallet_id=WALLET,
            payment_id=payment,
            transaction_id=transaction,
            sequence=1,
            template="invoice_paid.v1",
            applied=Amount(amount_minor=minor, asset=asset),
            excess=Amount(amount_minor=excess, asset=asset),
            fee=Amount(amount_minor=0, asset=asset),
            booked_at=datetime.now(UTC),
        )

    def collecting(self, tenant: UUID, invoice: UUID, payment: UUID) -> list[Any]:
        """Somebody pays by a provider: it begins, is sent, and comes to nothing."""
        common = {
            "tenant_id": tenant,
            "payment_id": payment,
            "invoice_id": invoice,
            "wallet_id": WALLET,
            "amount": Amount(amount_minor=100, asset="USD"),
        }
        begun = {**common, "intent_id": UUID(int=77)}
        target = {"provider": "stripe", "rail": "card"}
        expires = datetime(2026, 1, 2, tzinfo=UTC)
        created = {"method": "card", "manual_capture": False, "expires_at": expires}
        return [
            PaymentCreated.model_validate({**begun, **created}),
            PaymentSubmitted.model_validate({**begun, **target, "attempt": 1}),
            PaymentFailed.model_validate(
                {**common, **target, "cause": "card_declined", "retryable": False}
            ),
        ]

    def refunded(self, booked: FundsBooked, refund: UUID, minor: int) -> ReservationSettled:
        """Money of a booked payment was given back."""
        return ReservationSettled(
            tenant_id=booked.tenant_id,
            reservation_id=refund,
            purpose="refund",
            amount=Amount(amount_minor=minor, asset=booked.applied.asset),
            invoice_id=booked.invoice_id,
            payment_id=booked.payment_id,
            transaction_id=refund,
            booked_at=booked.booked_at,
        )

    def disputed(
        self, booked: FundsBooked, dispute: UUID, minor: int, outcome: str, day: int = 0
    ) -> ChargebackBooked:
        """A dispute about a booked payment, as it stands on a day."""
        return ChargebackBooked(
            tenant_id=booked.tenant_id,
            transaction_id=UUID(int=dispute.int + day),
            sequence=3,
            template="chargeback.v1",
            invoice_id=booked.invoice_id,
            payment_id=booked.payment_id,
            dispute_id=dispute,
            amount=Amount(amount_minor=minor, asset=booked.applied.asset),
            outcome=outcome,
            booked_at=booked.booked_at + timedelta(days=day),
        )

    def reversed(self, booked: FundsBooked, transaction: UUID) -> FundsReversed:
        """The ledger undid a booking."""
        return FundsReversed(
            tenant_id=booked.tenant_id,
            invoice_id=booked.invoice_id,
            wallet_id=WALLET,
            payment_id=booked.payment_id,
            transaction_id=transaction,
            sequence=2,
            template="reversal.v1",
            reverses=booked.transaction_id,
            applied=booked.applied,
            excess=booked.excess,
            cause="reorg",
            booked_at=datetime.now(UTC),
        )

    def extended(self, tenant: UUID, invoice: UUID, until: datetime) -> EphemeralWalletExtended:
        """The wallet lives longer."""
        return EphemeralWalletExtended(
            tenant_id=tenant, invoice_id=invoice, wallet_id=WALLET, until=until, by="key_test"
        )

    def destroyed(self, tenant: UUID, invoice: UUID) -> EphemeralWalletDestroyed:
        """The wallet is gone."""
        guard = Guard(
            drained=True,
            watch_window_over=True,
            unknown_payments=0,
            open_disputes=0,
            open_refunds=0,
            legal_hold=False,
        )
        now = datetime.now(UTC)
        body = CertificateBody(
            version=1,
            certificate_number=1,
            tenant_id="ten",
            wallet_id="wal",
            invoice_id="inv",
            rail="tempo",
            chain_id=1,
            address="0x",
            created_at=now - timedelta(days=1),
            destroyed_at=now,
            reason="settled",
            destroyed=(),
            kept=(),
            final_block=1,
            final_block_hash="0x",
            balances=(),
            guard=guard,
            policy="v1",
            previous_hash="0" * 64,
        )
        certificate = Certificate(body=body, hash="0", signature="s", key_id="k", public_key="p")
        return EphemeralWalletDestroyed(
            tenant_id=tenant, invoice_id=invoice, wallet_id=WALLET, certificate=certificate
        )


@pytest.fixture(scope="session")
def news() -> News:
    """Builder of other services' facts."""
    return News()


class Shop:
    """A tenant that issues invoices of 10.00 USD through the service under test."""

    def __init__(self, unit: ServiceUnderTest, news: News) -> None:
        """A tenant nobody else uses."""
        self.unit, self.news, self.tenant = unit, news, uuid4()

    async def drafts(self, count: int = 1, **terms: Any) -> list[Any]:
        """So many new drafts."""
        from invoice.commands.create_invoices import CreateInvoice, create_invoices
        from invoice.domain.states import Line, Terms
        from invoice.domain.totals import work_out

        issue = terms.pop("issue", False)
        wanted = {
            "asset": "USD",
            "customer_id": None,
            "reference": None,
            "due_at": datetime(2030, 1, 1, tzinfo=UTC),
            "watch_window_s": 60,
        }
        worked = work_out(Terms(**(wanted | terms)), [Line("Work", "1", 1000)])
        request = CreateInvoice(self.tenant, worked, issue=issue)
        return await self.unit.command(create_invoices, *[request] * count)

    async def open(self, **terms: Any) -> UUID:
        """A new open invoice."""
        expires = terms.pop("expires_at", EXPIRES)
        (invoice,) = await self.drafts(issue=True, **terms)
        await self.unit.receives(self.news.ready(self.tenant, invoice.id, expires_at=expires))
        return invoice.id

    async def state(self, invoice: UUID) -> Any:
        """The invoice as it stands."""
        from invoice import store

        async with self.unit.worker.transaction() as tx:
            found = await store.lock_invoices(tx, [(self.tenant, invoice)])
        return found[self.tenant, invoice]

    async def axes(self, invoice: UUID) -> tuple[str, str, str]:
        """The three axes."""
        return tuple(map(str, (await self.state(invoice)).axes))  # type: ignore[return-value]

    async def kinds(self) -> list[str]:
        """Names of the facts stated so far, since the start of the test."""
        return [type(fact).__name__ for fact in await self.unit.facts()]


@pytest.fixture
def shop(unit: ServiceUnderTest, news: News) -> Shop:
    """A tenant nobody else uses."""
    return Shop(unit, news)
