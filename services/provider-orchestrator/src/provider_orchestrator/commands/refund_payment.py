"""Giving money back through the provider it came by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from invoiceos_contracts import Event, encode
from messaging import Refusal, Tx
from provider_orchestrator.domain.adapters import Kind
from provider_orchestrator.domain.disbursements import ON_CHAIN, Disbursement, requested
from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.errors import (
    PaymentNotFound,
    PaymentNotRefundable,
    RefundNotSupported,
    RefundTooLarge,
)
from provider_orchestrator.store import approvals, disbursements
from provider_orchestrator.store.approvals import ActivePolicy
from provider_orchestrator.store.disbursements import Refundable
from provider_orchestrator.store.payment_rules import select_refund_sources


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Somebody wants a payment given back."""

    tenant_id: UUID
    payment_id: UUID
    actor: str
    catalogue: Sequence[Capabilities]
    """The providers there are."""
    amount_minor: int | None = None
    """All that is left where not given."""
    reason: str | None = None
    source: str | None = None
    """Whose money; by the terms the payment was begun under where not said."""
    confirm_payer_address: bool = False
    """The caller knows that the address the money came from is the payer's own."""


async def refund_payment(tx: Tx, requests: Sequence[RefundRequest]) -> list[Disbursement | Refusal]:
    """Keep each refund that is possible, and ask the ledger for the money; nothing is sent yet.

    What is left of a payment is counted under its row's lock, and held by the row itself.
    """
    keys = [(request.tenant_id, request.payment_id) for request in requests]
    payments = await disbursements.lock_refundable(tx, keys)
    sources = await select_refund_sources(tx, keys)
    requests = [
        replace(r, source=r.source or sources.get(r.payment_id, "merchant")) for r in requests
    ]
    policies = await approvals.select_policies(tx, list({tenant for tenant, _ in keys}))
    answers: list[Disbursement | Refusal] = []
    facts: list[Event] = []
    for request, key in zip(requests, keys, strict=True):
        made = _decide(tx, request, payments.get(key), policies[request.tenant_id])
        if isinstance(made, Disbursement):
            known = payments[key]
            given = known.given_back_minor + made.amount_minor
            payments[key] = replace(known, given_back_minor=given)
            made, stated = requested(made, tx.now)
            facts += stated
        answers.append(made)
    refunds = [answer for answer in answers if isinstance(answer, Disbursement)]
    if refunds:
        sums = [(r.tenant_id, r.payment_id, r.amount_minor) for r in refunds if r.payment_id]
        await disbursements.add_given_back(tx, sums)
        await disbursements.insert_disbursements(tx, refunds)
    tx.stage(facts)
    return answers


def _decide(
    tx: Tx, request: RefundRequest, payment: Refundable | None, active: ActivePolicy
) -> Disbursement | Refusal:
    if payment is None:
        return PaymentNotFound()
    hindrance = _hindrance(request, payment)
    if hindrance is not None:
        return hindrance
    left = payment.amount_minor - payment.given_back_minor
    amount = left if request.amount_minor is None else request.amount_minor
    if not 0 < amount <= left:
        return RefundTooLarge(
            f"{left} of {payment.amount_minor} minor units can still be given back", left_minor=left
        )
    agreement = active.policy.of_refund(payment.asset, amount)
    return Disbursement(
        tenant_id=request.tenant_id,
        id=tx.new_id(),
        kind=Kind.REFUND,
        amount_minor=amount,
        asset=payment.asset,
        rail=payment.rail,
        destination={"address": "0x" + payment.payer.hex()} if payment.payer else {},
        requested_by=request.actor,
        approvals_needed=agreement.approvals,
        approvers=agreement.approvers,
        policy_version=active.version,
        key=uuid4(),
        created_at=tx.now,
        payment_id=payment.id,
        invoice_id=payment.invoice_id,
        source=request.source,
        provider=payment.provider,
        parent_reference=payment.parent_reference,
        parent_minor=payment.parent_minor,
        reason=request.reason,
    )


def _hindrance(request: RefundRequest, payment: Refundable) -> Refusal | None:
    """Why nothing of it can be given back; None where it can."""
    told = {"payment_id": encode("pay", request.payment_id), "rail": payment.rail}
    able = any(
        (can.provider, can.rail) == (payment.provider, payment.rail)
        and Operation.REFUND in can.operations
        for can in request.catalogue
    )
    on_chain = payment.provider in ON_CHAIN
    if not able or (on_chain and (payment.payer is None or not request.confirm_payer_address)):
        further = (
            " If the payer says that the address is theirs alone, send confirm_payer_address."
            if able and payment.payer is not None
            else ""
        )
        return RefundNotSupported(
            f"A transfer over {payment.rail} is final. Send the payer a transfer from the treasury;"
            " the payment names the payer's address, which an exchange may own: ask the payer"
            f" first.{further}",
            **told,
        )
    if payment.state != "succeeded":
        return PaymentNotRefundable(f"The payment is {payment.state}", **told)
    return None
