"""Giving money back through the provider it came by."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from invoiceos_contracts import encode
from messaging import Refusal, Tx
from provider_orchestrator.errors import PaymentNotFound, RefundNotSupported
from provider_orchestrator.store.payments import select_rails


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Somebody wants a payment given back."""

    tenant_id: UUID
    payment_id: UUID


async def refund_payment(tx: Tx, requests: Sequence[RefundRequest]) -> list[Refusal]:
    """Refuse, and say what to do instead: no rail we have can take money back."""
    keys = [(request.tenant_id, request.payment_id) for request in requests]
    rails = await select_rails(tx, keys)
    return [_refusal(request, rails.get(key)) for request, key in zip(requests, keys, strict=True)]


def _refusal(request: RefundRequest, rail: str | None) -> Refusal:
    if rail is None:
        return PaymentNotFound()
    return RefundNotSupported(
        f"A transfer over {rail} is final. Send the payer a transfer from the treasury; "
        "the payment names the payer's address, which an exchange may own: ask the payer first.",
        payment_id=encode("pay", request.payment_id),
        rail=rail,
    )
