"""The whole platform under test: processes of its own, a company, a feed of every fact."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from invoiceos_contracts import decode, encode
from invoiceos_contracts.invoice_v1 import InvoiceIssued
from invoiceos_local.chain import pay
from invoiceos_local.demo.client import Client, an_invoice
from invoiceos_local.demo.feed import Feed
from invoiceos_local.stack import Stack

UNITS_PER_CENT = 10_000
PAYER = 4


@dataclass
class Platform:
    """A running stack and one company's view of it."""

    stack: Stack
    client: Client
    feed: Feed
    overrides: dict[str, dict[str, str]]
    """Settings by service, taken up when the service is restarted."""

    async def issue(self, body: Mapping[str, Any] | None = None) -> tuple[UUID, InvoiceIssued]:
        """An open invoice."""
        chosen = body or an_invoice("Work", 10_000)
        made = await self.client.post("/api/v1/invoices", chosen)
        invoice_id = decode("inv", made["id"])
        issued: InvoiceIssued = await self.feed.until(InvoiceIssued, invoice_id, seconds=60)
        return invoice_id, issued

    async def transfer(self, issued: InvoiceIssued, cents: int, token: str = "PATHUSD") -> None:
        """Pay into its wallet on the chain."""
        memo = bytes.fromhex(issued.memo.removeprefix("0x")) if issued.memo else None
        url = self.stack.infrastructure.tempo_rpc_url
        await pay(url, PAYER, token, issued.address, cents * UNITS_PER_CENT, memo)

    async def invoice(self, invoice_id: UUID) -> Any:
        """The invoice as the API shows it."""
        return await self.client.get(f"/api/v1/invoices/{encode('inv', invoice_id)}")

    async def transactions(self, invoice_id: UUID) -> list[Any]:
        """Ledger transactions of an invoice, oldest first."""
        public = encode("inv", invoice_id)
        found = await self.client.get(f"/api/v1/ledger/transactions?invoice_id={public}")
        return sorted(found["items"], key=lambda transaction: transaction["sequence"])

    async def sql(self, statement: str, *arguments: object) -> list[Any]:
        """Look at the database as its superuser."""
        url = self.stack.administration_env()["INVOICEOS_DATABASE_ADMIN_URL"]
        connection = await asyncpg.connect(url)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def books_are_right(self) -> None:
        """Sums are zero, caches agree with entries, and the reserve covers what circulates."""
        unbalanced = await self.sql(
            "select transaction_id, asset from reserve_ledger.posting"
            " group by 1, 2 having sum(amount_minor) <> 0"
        )
        assert unbalanced == []
        reserve = await self.client.get("/api/v1/reserves")
        assert all(position["difference_minor"] == 0 for position in reserve["positions"])
        doubled = await self.sql(
            "select payment_id from reserve_ledger.ledger_transaction where payment_id is not null"
            " group by 1, template having count(*) > 1"
        )
        assert doubled == []

    async def quiet(self, seconds: float = 30) -> None:
        """Wait until no service has anything left to publish."""
        schemas = [name.replace("-", "_") for name in self.stack.ports]
        async with asyncio.timeout(seconds):
            while True:
                counts = [
                    (await self.sql(f"select count(*) as n from {schema}.outbox"))[0]["n"]
                    for schema in schemas
                ]
                if not any(counts):
                    return
                await asyncio.sleep(0.1)


def a_key() -> str:
    """An idempotency key nobody else uses."""
    return str(uuid.uuid4())
