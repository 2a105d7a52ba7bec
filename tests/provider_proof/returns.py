"""Money that leaves: what merchants give back and send out, and what the ledger says to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from tests.provider_proof.core import CAN, Core, chunks

from invoiceos_contracts import Amount
from invoiceos_contracts.ledger_v1 import FundsReservationRefused, FundsReserved
from messaging import Refusal
from provider_orchestrator.commands.decide_approvals import Verdict, decide_approvals
from provider_orchestrator.commands.refund_payment import RefundRequest, refund_payment
from provider_orchestrator.commands.request_payouts import PayoutRequest, request_payouts
from provider_orchestrator.domain.destinations import PayoutLine
from provider_orchestrator.domain.disbursements import Disbursement
from provider_orchestrator.errors import OwnRequest
from provider_orchestrator.store.approvals import PayoutBatch

_REFUNDABLE = """
    select id, amount_minor from payment where tenant_id = $1 and state = 'succeeded' order by id
"""
_UNRESERVED = """
    select id, kind, amount_minor, asset, invoice_id, payment_id from disbursement
    where tenant_id = $1 and state = 'requested' and reserved_at is null order by id
"""
DESTINATIONS = {
    "paypal": {"email": "ada@example.test"},
    "wallet": {"email": "ada@example.test"},
    "usdc": {"address": "0x" + "ab" * 20, "chain": "ETH"},
}


@dataclass(slots=True)
class Returns:
    """One merchant's refunds and payouts; every choice is the seed's."""

    core: Core
    tenant_id: UUID
    looked_at: set[UUID] = field(default_factory=set)

    async def pay_out(self, count: int) -> None:
        """So many payouts, in batches; now and then a caller lost the answer and asks again."""
        chance = self.core.chance
        for number, places in enumerate(chunks(range(count), 20)):
            lines = [self._line(f"{number}-{place}") for place in places]
            request = PayoutRequest(self.tenant_id, "proof", lines, f"batch {number}")
            asked = [request] * chance.choice((1, 1, 2))
            made = await self.core.unit.command(request_payouts, *asked)
            assert all(isinstance(one, PayoutBatch) for one in made), made
            await self._agreed(made[0])

    async def _agreed(self, batch: PayoutBatch) -> None:
        """Whoever asked may not agree; somebody else does, now and then twice."""

        def said_by(actor: str) -> Verdict:
            return Verdict(self.tenant_id, actor, batch.id, lines_hash=batch.lines_hash)

        (own,) = await self.core.unit.command(decide_approvals, said_by("proof"))
        assert isinstance(own, OwnRequest), own
        said = [said_by("ann")] * self.core.chance.choice((1, 2))
        for one in await self.core.unit.command(decide_approvals, *said):
            assert not isinstance(one, Refusal), one

    def _line(self, reference: str) -> PayoutLine:
        rail = self.core.chance.choice(sorted(DESTINATIONS))
        amount = self.core.chance.randrange(100, 5_000)
        return PayoutLine(reference, amount, "USD", rail, DESTINATIONS[rail])

    async def act(self) -> bool:
        """Give back a part of what came, and have the ledger answer; whether there was any."""
        rows = await self.core.unit.worker.fetch(_REFUNDABLE, self.tenant_id)
        asked = [
            request
            for row in rows
            if row["id"] not in self.looked_at
            for request in self._refunds(row)
        ]
        for some in chunks(asked, 100):
            made = await self.core.unit.command(refund_payment, *some)
            assert all(isinstance(one, Disbursement) for one in made), made
        return await self._answered() or bool(asked)

    def _refunds(self, row: Any) -> list[RefundRequest]:
        """None of most; of others all of it, a part, or two parts."""
        self.looked_at.add(row["id"])
        minor, half = row["amount_minor"], max(1, row["amount_minor"] // 2)
        parts: Sequence[int | None] = self.core.chance.choices(
            ((), (None,), (half,), (half, minor - half)), (70, 15, 8, 7)
        )[0]
        return [
            RefundRequest(self.tenant_id, row["id"], "proof", CAN, part)
            for part in parts
            if part != 0
        ]

    async def _answered(self) -> bool:
        """The ledger sets the money apart, and says so twice now and then; or has none."""
        rows = await self.core.unit.worker.fetch(_UNRESERVED, self.tenant_id)
        facts = []
        for row in rows:
            said = self._reserved(row) if self.core.chance.random() > 0.05 else self._refused(row)
            facts += [said] * self.core.chance.choice((1, 1, 1, 2))
        for some in chunks(facts, 200):
            await self.core.unit.receives(*some)
        return bool(facts)

    def _reserved(self, row: Any) -> FundsReserved:
        return FundsReserved(
            **self._about(row), transaction_id=uuid4(), booked_at=datetime.now(UTC)
        )

    def _refused(self, row: Any) -> FundsReservationRefused:
        none = Amount(amount_minor=0, asset=row["asset"])
        return FundsReservationRefused(
            **self._about(row), cause="insufficient_funds", available=none
        )

    def _about(self, row: Any) -> dict[str, Any]:
        return {
            "tenant_id": self.tenant_id,
            "reservation_id": row["id"],
            "purpose": row["kind"],
            "amount": Amount(amount_minor=row["amount_minor"], asset=row["asset"]),
            "invoice_id": row["invoice_id"],
            "payment_id": row["payment_id"],
        }
