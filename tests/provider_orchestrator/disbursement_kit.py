"""A provider with a truth of its own, and money that can be given back or sent."""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from invoiceos_contracts import Amount
from invoiceos_contracts.ledger_v1 import FundsReservationRefused, FundsReserved
from provider_orchestrator.commands.claim_disbursements import Claimed
from provider_orchestrator.commands.record_disbursements import Heard
from provider_orchestrator.commands.refund_payment import RefundRequest
from provider_orchestrator.commands.request_payouts import PayoutRequest
from provider_orchestrator.domain.adapters import (
    Answer,
    Hint,
    Holding,
    NotAuthentic,
    Order,
    StatementLine,
    Status,
    Webhook,
)
from provider_orchestrator.domain.destinations import PayoutLine
from provider_orchestrator.domain.disbursements import Disbursement
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.domain.transfers import Payment
from provider_orchestrator.store.payments import save_payments
from provider_orchestrator.workers.disbursing import disbursing
from provider_orchestrator.workers.executor import Executor
from testkit.service import ServiceUnderTest

BANK = Capabilities(
    provider="bank",
    rail="tempo",
    assets=frozenset({"PATHUSD"}),
    operations=frozenset({Operation.REFUND, Operation.PAYOUT}),
)
TEMPO = BANK.model_copy(update={"provider": "tempo"})
ADDRESS = "0x" + "ab" * 20


@dataclass
class Bank:
    """Pays once for one key, whatever becomes of its answers."""

    name: str = "bank"
    paid: dict[UUID, Order] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    keys: dict[UUID, set[UUID]] = field(default_factory=dict)
    script: list[str] = field(default_factory=list)
    """What the next calls of `send` meet: ok, lost, dead, slow, no, gone; ok when it is empty."""
    blind: bool = False
    """It does not find what it has."""

    def prepare(self, orders: Sequence[Order], now: datetime) -> Sequence[bytes | None]:
        del now
        return [order.id.bytes for order in orders]

    async def send(self, order: Order) -> Answer:
        self.calls["send"] += 1
        self.keys.setdefault(order.id, set()).add(order.key)
        assert order.prepared == order.id.bytes, "what was prepared was stored before"
        fate = self.script.pop(0) if self.script else "ok"
        if fate == "dead":
            return Answer(Outcome.INFRA, cause="no_connection")
        if fate == "no":
            return Answer(Outcome.DECLINED, cause="account_closed")
        if fate == "gone":
            return Answer(Outcome.UNKNOWN, cause="timeout")
        self.paid.setdefault(order.key, order)
        if fate == "lost":
            return Answer(Outcome.UNKNOWN, cause="timeout")
        if fate == "slow":
            return Answer(Outcome.OK, Status.PROCESSING, str(order.key))
        return self._done(order)

    async def find(self, order: Order) -> Answer:
        self.calls["find"] += 1
        if order.key in self.paid and not self.blind:
            return self._done(order)
        return Answer(Outcome.OK, Status.NOT_FOUND)

    def _done(self, order: Order) -> Answer:
        return Answer(
            Outcome.OK,
            Status.SUCCEEDED,
            str(order.key),
            amount_minor=order.amount_minor,
            asset=order.asset,
        )

    async def probe(self, rail: str) -> Answer:
        del rail
        return Answer(Outcome.OK)

    def hint(self, webhook: Webhook) -> Hint:
        raise NotAuthentic

    async def holdings(self) -> Sequence[Holding]:
        return []

    async def statement(self, since: datetime, until: datetime) -> AsyncIterator[StatementLine]:
        return
        yield


def disburser(unit: ServiceUnderTest, *banks: Bank) -> Executor[Claimed, Heard]:
    return Executor(unit.worker, disbursing({bank.name: bank for bank in banks}, [BANK]))


async def a_payment(unit: ServiceUnderTest, amount_minor: int = 1000, **more: object) -> Payment:
    """A final payment of the rail tempo, as the sweep would have kept it."""
    now = datetime.now(UTC)
    values: dict[str, object] = {
        "tenant_id": uuid4(),
        "id": uuid4(),
        "wallet_id": uuid4(),
        "invoice_id": uuid4(),
        "state": "succeeded",
        "cause": None,
        "amount_minor": amount_minor,
        "asset": "PATHUSD",
        "due_minor": 1250,
        "due_asset": "USD",
        "expected": ("PATHUSD",),
        "chain_id": 1,
        "block_number": 7,
        "block_hash": secrets.token_bytes(32),
        "block_at": now,
        "transaction_hash": secrets.token_bytes(32),
        "log_index": 0,
        "payer": secrets.token_bytes(20),
        "memo_matches": None,
        "reference": secrets.token_hex(8),
        "final_at": now,
    }
    payment = Payment(**(values | more))  # type: ignore[arg-type]
    async with unit.worker.transaction() as tx:
        await save_payments(tx, [payment])
    return payment


def a_refund(payment: Payment, amount_minor: int | None = None, **more: object) -> RefundRequest:
    values: dict[str, object] = {
        "actor": "maker",
        "catalogue": [TEMPO],
        "confirm_payer_address": True,
    }
    return RefundRequest(
        tenant_id=payment.tenant_id,
        payment_id=payment.id,
        amount_minor=amount_minor,
        **(values | more),  # type: ignore[arg-type]
    )


def a_line(reference: str, amount_minor: int = 100, **more: object) -> PayoutLine:
    values: dict[str, object] = {
        "asset": "PATHUSD",
        "rail": "tempo",
        "destination": {"address": ADDRESS},
    }
    return PayoutLine(reference, amount_minor, **(values | more))  # type: ignore[arg-type]


def a_batch(tenant_id: UUID, count: int, reference: str = "batch") -> PayoutRequest:
    lines = [a_line(f"{reference}-{place}", 100 + place) for place in range(count)]
    return PayoutRequest(tenant_id, "maker", lines, batch_reference=reference)


def a_reservation(one: Disbursement) -> FundsReserved:
    return FundsReserved(
        tenant_id=one.tenant_id,
        reservation_id=one.id,
        purpose=str(one.kind),
        amount=one.amount,
        invoice_id=one.invoice_id,
        payment_id=one.payment_id,
        transaction_id=uuid4(),
        booked_at=datetime.now(UTC),
    )


def a_refusal(one: Disbursement) -> FundsReservationRefused:
    return FundsReservationRefused(
        tenant_id=one.tenant_id,
        reservation_id=one.id,
        purpose=str(one.kind),
        amount=one.amount,
        invoice_id=one.invoice_id,
        payment_id=one.payment_id,
        cause="insufficient_funds",
        available=Amount(amount_minor=0, asset=one.asset),
    )


async def let_pass(unit: ServiceUnderTest, seconds: float = 3600) -> None:
    """Time goes by for everything that waits to be sent or asked after."""
    await unit.worker.pool.execute(
        "update disbursement set next_at = next_at - $1::interval where next_at is not null",
        timedelta(seconds=seconds),
    )


async def states(unit: ServiceUnderTest) -> Counter[str]:
    rows = await unit.worker.fetch("select state from disbursement")
    return Counter(row["state"] for row in rows)


async def given_back(unit: ServiceUnderTest, payment: Payment) -> int:
    found: int = await unit.worker.fetchval(
        "select given_back_minor from payment where id = $1", payment.id
    )
    return found
