"""The factory on a database of its own, with a master registered."""

import base64
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
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
from invoiceos_contracts import Amount
from invoiceos_contracts.invoice_v1 import (
    InvoiceIssuing,
    InvoiceStatus,
    SelectorInput,
    WalletPreference,
)
from messaging import Tx
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test
from wallet_factory.app import service
from wallet_factory.commands.register_factory import register_factory
from wallet_factory.commands.register_master import register_master
from wallet_factory.domain.configured import tempo_of
from wallet_factory.settings import WalletFactorySettings, settings

# In importlib mode a test folder is not on the path by itself.
sys.path.insert(0, str(Path(__file__).parent))

from rails_kit import CHAINS, KEY, the_rail

SEED = os.urandom(32)
TOKENS = (
    "PATHUSD=0x20c0000000000000000000000000000000000000,"
    "ALPHAUSD=0x20c0000000000000000000000000000000000001"
)
ENVIRONMENT = {
    "INVOICEOS_ENVIRONMENT": "test",
    "INVOICEOS_DATABASE_API_URL": "postgresql://unused",
    "INVOICEOS_DATABASE_WORKER_URL": "postgresql://unused",
    "INVOICEOS_TEMPO_CHAIN_ID": "31337",
    "INVOICEOS_TEMPO_MASTER_ADDRESS": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "INVOICEOS_TEMPO_MASTER_ID": "58e21090",
    "INVOICEOS_TEMPO_TOKENS": TOKENS,
    "INVOICEOS_TEMPO_TAG_KEY": "5a" * 32,
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
    async with under_test(service, make_database("wallet_factory")) as opened:
        async with opened.worker.transaction() as tx:
            await register_master(tx, tempo_of(settings()))
        yield opened


@pytest.fixture
def two_rails(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOICEOS_RAILS", "tempo,evm-create2")
    monkeypatch.setenv("INVOICEOS_EVM_CHAINS", CHAINS)
    monkeypatch.setenv("INVOICEOS_EVM_SALT_KEY", KEY)
    load.cache_clear()


@pytest.fixture
async def both(
    make_database: Callable[[str], ServiceDatabase], two_rails: None
) -> AsyncIterator[ServiceUnderTest]:
    async with under_test(service, make_database("wallet_factory")) as opened:
        async with opened.worker.transaction() as tx:
            await register_master(tx, tempo_of(settings()))
            await register_factory(tx, the_rail())
        yield opened


@pytest.fixture(name="issuing")
def _issuing() -> Callable[..., InvoiceIssuing]:
    return make_issuing


def make_issuing(invoice_id: UUID | None = None, **changes: Any) -> InvoiceIssuing:
    asset = changes.pop("asset", "USD")
    preference = WalletPreference(
        mode=changes.pop("mode", None),
        ttl_s=changes.pop("ttl_s", 3600),
        watch_window_s=changes.pop("watch_window_s", 600),
    )
    selector = SelectorInput(
        **{k: changes.pop(k) for k in list(changes) if k in SelectorInput.model_fields}
    )
    amount = Amount(amount_minor=12_500, asset=asset)
    zero = Amount(amount_minor=0, asset=asset)
    return InvoiceIssuing(
        tenant_id=changes.pop("tenant_id", None) or uuid4(),
        invoice_id=invoice_id or Tx.new_id(),
        number=None,
        status=InvoiceStatus(document="issuing", settlement="unpaid", timeliness="on_time"),
        total=amount,
        due=amount,
        received=zero,
        received_micros=0,
        asset=asset,
        customer_id=None,
        due_at=datetime.now(UTC) + timedelta(days=30),
        wallet=preference,
        selector=selector,
        attempt=changes.pop("attempt", 1),
    )


@dataclass(slots=True)
class Client:
    """Asks the service's own application as a tenant."""

    http: httpx.AsyncClient
    mint: TokenMint

    async def get(self, path: str, tenant: UUID, *scopes: str, **query: Any) -> httpx.Response:
        token = self.mint.mint(Caller(tenant, "test", frozenset(scopes or {"wallets:read"})))
        return await self.http.get(path, params=query, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
async def client(unit: ServiceUnderTest) -> AsyncIterator[Client]:
    app = build(service, WalletFactorySettings())
    app.state.api_database = unit.api
    app.state.token_reader = TokenReader(ENVIRONMENT["INVOICEOS_INTERNAL_TOKEN_PUBLIC_KEY"])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://factory") as http:
        yield Client(http, TokenMint(base64.b64encode(SEED).decode()))
