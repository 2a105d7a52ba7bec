"""Asking for money to be sent: one payout, or a batch of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from invoiceos_contracts import Amount, Event
from invoiceos_contracts.payout_v1 import PayoutBatchCreated
from messaging import Refusal, Tx
from provider_orchestrator.domain.adapters import Kind
from provider_orchestrator.domain.approvals import Asked
from provider_orchestrator.domain.destinations import PayoutLine, flaw_of, hash_of, totals_of
from provider_orchestrator.domain.disbursements import Disbursement, requested
from provider_orchestrator.errors import InvalidPayoutLine, ReferenceTaken
from provider_orchestrator.store import approvals, disbursements
from provider_orchestrator.store.approvals import ActivePolicy, PayoutBatch

SHOWN_MAX = 10
"""References or lines a refusal names."""


@dataclass(frozen=True, slots=True)
class PayoutRequest:
    """Somebody wants money sent."""

    tenant_id: UUID
    actor: str
    lines: Sequence[PayoutLine]
    batch_reference: str | None = None
    """The tenant's own name for the batch; None asks for one payout by itself."""
    reason: str | None = None


async def request_payouts(tx: Tx, requests: Sequence[PayoutRequest]) -> list[Asked | Refusal]:
    """Keep each payout once, and ask the ledger for the money; nothing is sent yet.

    A batch that is sent again, whole, is the batch there is: a caller who lost the answer asks
    again. One payout stands for each reference, whoever asks.
    """
    wanted = [(r.tenant_id, line.reference) for r in requests for line in r.lines]
    taken = await disbursements.taken_references(tx, wanted)
    named = [(r.tenant_id, r.batch_reference) for r in requests if r.batch_reference is not None]
    batches = await approvals.select_batches(tx, named)
    policies = await approvals.select_policies(tx, list({r.tenant_id for r in requests}))
    answers: list[Asked | Refusal] = []
    for request in requests:
        known = batches.get((request.tenant_id, request.batch_reference or ""))
        refusal = _flaw(request) or _repeated(request, known, taken)
        if refusal is not None or known is not None:
            answers.append(refusal or known or ReferenceTaken())
            continue
        made = await _ask(tx, request, policies[request.tenant_id])
        taken |= {(request.tenant_id, line.reference) for line in request.lines}
        if isinstance(made, PayoutBatch):
            batches[request.tenant_id, made.reference] = made
        answers.append(made)
    return answers


def _flaw(request: PayoutRequest) -> Refusal | None:
    flaws = [
        f"line {place}: {flaw}"
        for place, line in enumerate(request.lines, 1)
        if (flaw := flaw_of(line.rail, line.destination)) is not None
    ]
    counted = Counter(line.reference for line in request.lines)
    twice = [reference for reference, times in counted.items() if times > 1]
    flaws += [f"the reference {reference!r} stands on two lines" for reference in twice]
    if not flaws:
        return None
    return InvalidPayoutLine("; ".join(flaws[:SHOWN_MAX]), flaws=len(flaws))


def _repeated(
    request: PayoutRequest, known: PayoutBatch | None, taken: set[tuple[UUID, str]]
) -> Refusal | None:
    if known is not None:
        if known.lines_hash == hash_of(request.lines):
            return None
        return ReferenceTaken("A batch with this reference has other lines")
    used = [x.reference for x in request.lines if (request.tenant_id, x.reference) in taken]
    if not used:
        return None
    return ReferenceTaken(
        f"Another payout has the reference {', '.join(used[:SHOWN_MAX])}", references=len(used)
    )


async def _ask(tx: Tx, request: PayoutRequest, active: ActivePolicy) -> Asked:
    totals = totals_of(request.lines)
    agreement = active.policy.of_payouts(totals)
    batch = None
    facts: list[Event] = []
    if request.batch_reference is not None:
        batch = PayoutBatch(
            tenant_id=request.tenant_id,
            id=tx.new_id(),
            reference=request.batch_reference,
            lines=len(request.lines),
            lines_hash=hash_of(request.lines),
            totals=totals,
            requested_by=request.actor,
            approvals_needed=agreement.approvals,
            approvers=agreement.approvers,
            policy_version=active.version,
            state="requested" if agreement.approvals else "approved",
        )
        await approvals.insert_batches(tx, [batch])
        facts.append(
            PayoutBatchCreated(
                tenant_id=batch.tenant_id,
                batch_id=batch.id,
                lines=batch.lines,
                totals=tuple(Amount(amount_minor=m, asset=asset) for asset, m in totals.items()),
                requested_by=request.actor,
                approvals_needed=agreement.approvals,
            )
        )
    steps = [
        requested(
            Disbursement(
                tenant_id=request.tenant_id,
                id=tx.new_id(),
                kind=Kind.PAYOUT,
                amount_minor=line.amount_minor,
                asset=line.asset,
                rail=line.rail,
                destination=dict(line.destination),
                requested_by=request.actor,
                approvals_needed=agreement.approvals,
                approvers=agreement.approvers,
                policy_version=active.version,
                key=uuid4(),
                created_at=tx.now,
                batch_id=None if batch is None else batch.id,
                line=None if batch is None else place,
                reference=line.reference,
                reason=request.reason,
            ),
            tx.now,
        )
        for place, line in enumerate(request.lines, 1)
    ]
    await disbursements.insert_disbursements(tx, [one for one, _ in steps])
    tx.stage([*facts, *(fact for _, stated in steps for fact in stated)])
    return steps[0][0] if batch is None else batch
