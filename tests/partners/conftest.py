"""The gateway's door for partners and the invoice service behind it, each on its own database."""

import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from chassis.settings import load
from gateway.commands.register_partner import NewPartner, register_partners
from gateway.commands.revoke_partner import PartnerRevocation, revoke_partners
from gateway.domain.partners import Partner
from invoiceos_contracts.ids import PLATFORM
from invoiceos_contracts.partner_v1 import InvoiceRequest
from invoiceos_contracts.registry import OUTCOMES, REQUESTS
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, record, under_test

SEED = base64.b64encode(bytes(range(32))).decode()
BODY: dict[str, Any] = {
    "asset": "USD",
    "due_at": "2100-01-31T12:00:00Z",
    "lines": [{"description": "Work", "quantity": "2", "unit_price_minor": 5000}],
    "customer": {"name": "Ada", "email": "ada@example.test"},
}


@pytest.fixture(scope="session", autouse=True)
def configured() -> Iterator[None]:
    """Settings as the environments of the processes would give them."""
    from gateway import settings as of_gateway
    from invoice import settings as of_invoice

    names = ("INVOICE", "WALLET_FACTORY", "EPHEMERAL_MANAGER", "PROVIDER_ORCHESTRATOR")
    wanted = {
        "INVOICEOS_ENVIRONMENT": "test",
        "INVOICEOS_DATABASE_API_URL": "postgresql://unused",
        "INVOICEOS_DATABASE_WORKER_URL": "postgresql://unused",
        "INVOICEOS_PUBLIC_URL": "https://pay.example.test",
        "INVOICEOS_PERSONAL_DATA_KEY": SEED,
        "INVOICEOS_INTERNAL_TOKEN_PRIVATE_KEY": SEED,
        **{
            f"INVOICEOS_{name}_URL": "http://unused"
            for name in (*names, "RESERVE_LEDGER", "NOTIFICATION")
        },
    }
    cached = (load, of_gateway.sealer, of_invoice.sealer, of_invoice.link_key)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in wanted.items():
            patch.setenv(name, value)
        patch.delenv("INVOICEOS_INTERNAL_TOKEN_PUBLIC_KEY", raising=False)
        for made in cached:
            made.cache_clear()
        yield
    for made in cached:
        made.cache_clear()


@dataclass
class Door:
    """The gateway as partners and operators meet it."""

    unit: ServiceUnderTest
    _sent: int = field(default=0)

    async def partner(self, tenant_id: UUID | None = None, **more: Any) -> Partner:
        """A partner nobody else is, of a company that is made for it."""
        tenant_id = tenant_id or await self.tenant()
        wish = NewPartner(f"p{uuid.uuid4().hex[:12]}", tenant_id, more.get("event_types"), "test")
        return await self.register(wish)

    async def tenant(self) -> UUID:
        """A company."""
        tenant_id = uuid.uuid4()
        await self.unit.worker.pool.execute(
            "insert into tenant (tenant_id, name) values ($1, 'A company')", tenant_id
        )
        return tenant_id

    async def register(self, wish: NewPartner) -> Any:
        async with self.unit.api.transaction([PLATFORM]) as tx:
            return (await register_partners(tx, [wish]))[0]

    async def revoke(self, partner: Partner) -> Any:
        async with self.unit.api.transaction([PLATFORM]) as tx:
            wish = PartnerRevocation(partner.tenant_id, partner.name)
            return (await revoke_partners(tx, [wish]))[0]

    async def submits(self, *records: Any) -> None:
        """The partner's records reach the door in one poll."""
        await self.unit.reads("partners", *records)

    async def outcomes(self, partner: Partner) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """What is on its way to the partner's topic of outcomes: headers and body, in order."""
        return await self.sent_to(OUTCOMES.topic(partner.name))

    async def sent_to(self, topic: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
        rows = await self.unit.worker.fetch(
            "select headers, payload from outbox where topic = $1 order by seq", topic
        )
        return [(dict(row["headers"]), json.loads(row["payload"])) for row in rows]


def request_of(
    partner: Partner | str,
    body: Any = BODY,
    *,
    request_id: str | None = None,
    headers: dict[str, str | bytes | None] | None = None,
    key: bytes | None = None,
) -> Any:
    """A record as a partner writes it; a header that is None is left out."""
    name = partner if isinstance(partner, str) else partner.name
    given: dict[str, str | bytes | None] = {
        "ce_specversion": "1.0",
        "ce_id": request_id or uuid.uuid4().hex,
        "ce_type": InvoiceRequest.TYPE,
        "ce_source": "/test",
        "content-type": "application/json",
        **(headers or {}),
    }
    value = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    pairs = [
        (header, text if isinstance(text, bytes) else text.encode())
        for header, text in given.items()
        if text is not None
    ]
    return record(REQUESTS.topic(name), key, value, pairs)


@pytest.fixture(scope="session")
def gateway_place(make_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return make_database("gateway")


@pytest.fixture(scope="session")
def invoice_place(make_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return make_database("invoice")


@pytest.fixture
async def door(gateway_place: ServiceDatabase) -> AsyncIterator[Door]:
    from gateway.app import service

    async with under_test(service, gateway_place) as unit:
        await unit.worker.pool.execute("delete from outbox")
        yield Door(unit)


@pytest.fixture
async def invoice(invoice_place: ServiceDatabase) -> AsyncIterator[ServiceUnderTest]:
    from invoice.app import service

    async with under_test(service, invoice_place) as unit:
        await unit.worker.pool.execute("delete from outbox")
        yield unit
