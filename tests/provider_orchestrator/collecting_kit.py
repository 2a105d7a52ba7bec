"""Invoices to be paid, and a service that collects, stepped by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from bank import Bank

from invoiceos_contracts import Amount
from invoiceos_contracts.invoice_v1 import InvoiceIssued, InvoiceStatus
from provider_orchestrator.commands.create_intents import NewIntent, Part, create_intents
from provider_orchestrator.workers.payments import Collector
from testkit.service import ServiceUnderTest

TENANT = uuid4()


def an_invoice(due_minor: int = 1250, asset: str = "USD", **more: Any) -> InvoiceIssued:
    now = datetime.now(UTC)
    due = Amount(amount_minor=due_minor, asset=asset)
    values: dict[str, Any] = {
        "tenant_id": TENANT,
        "invoice_id": uuid4(),
        "number": "INV-1",
        "status": InvoiceStatus(document="open", settlement="unpaid", timeliness="on_time"),
        "total": due,
        "due": due,
        "received": Amount(amount_minor=0, asset=asset),
        "received_micros": 0,
        "issued_at": now,
        "due_at": now + timedelta(days=14),
        "payment_link": "https://pay.example/x",
        "customer_id": None,
        "issuer_name": "Example",
        "recipient": None,
        "wallet_id": uuid4(),
        "mode": "ephemeral",
        "rail": "tempo",
        "chain_id": 1,
        "address": "0x" + "11" * 20,
        "memo": None,
        "accepted_assets": ("PATHUSD",),
        "expires_at": now + timedelta(days=1),
        "watch_window_s": 60,
        "lines": (),
    }
    return InvoiceIssued(**(values | more))


def wanted(*invoices: InvoiceIssued, **more: Any) -> NewIntent:
    intent = NewIntent(
        tenant_id=TENANT,
        parts=tuple(Part(one.invoice_id) for one in invoices),
        method="card",
        payer_country=None,
        instrument=None,
        manual_capture=False,
        description="Invoice INV-1",
        return_url="https://shop.example/back",
        lives=timedelta(hours=1),
        actor="test",
    )
    return replace(intent, **more)


@dataclass(slots=True)
class Collecting:
    """The service, one replica of its collector, and the banks it knows."""

    unit: ServiceUnderTest
    banks: Sequence[Bank]

    def another(self) -> Collector:
        """A replica that knows nothing but the database."""
        known = {bank.name: bank for bank in self.banks}
        return Collector(self.unit.worker, known, [bank.can for bank in self.banks])

    async def create(self, *invoices: InvoiceIssued, **more: Any) -> Any:
        """An intent, or the refusal."""
        (made,) = await self.unit.command(create_intents, wanted(*invoices, **more))
        return made

    async def work(self, collector: Collector | None = None) -> None:
        """Until nothing is due."""
        doing = collector or self.another()
        while await doing.step():
            pass

    async def pass_time(self, delay: timedelta) -> None:
        """Let time pass for what waits."""
        await self.unit.worker.pool.execute(
            """
            update payment_attempt set due_at = due_at - $1::interval,
                leased_until = leased_until - $1::interval,
                unknown_since = unknown_since - $1::interval
            """,
            delay,
        )

    async def state_of(self, intent_id: UUID) -> str:
        """Where an intent stands."""
        state: str = await self.unit.worker.fetchval(
            "select state from payment_intent where id = $1", intent_id
        )
        return state

    async def payments(self) -> list[Any]:
        """What became payments."""
        return await self.unit.worker.fetch("select * from payment order by position")
