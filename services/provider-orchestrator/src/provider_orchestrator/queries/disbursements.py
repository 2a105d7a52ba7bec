"""What can be read of refunds, payouts, batches and the approval policy."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from invoiceos_contracts import Amount
from invoiceos_contracts.ids import InvoiceId, PaymentId, PayoutBatchId, PayoutId, RefundId
from messaging import Tx
from provider_orchestrator.domain.approvals import STANDARD, ApprovalPolicy
from provider_orchestrator.domain.attempts import PERSON_AFTER
from provider_orchestrator.errors import DisbursementNotFound, PaymentNotFound


class _View(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    state: str
    """One of requested, ready, sent, pending, unknown, succeeded, failed, canceled; more may
    come."""
    cause: str | None
    """Why it failed, was given up or is not known."""
    amount: Amount
    provider: str | None
    rail: str
    reason: str | None
    requested_by: str
    approvals_needed: int
    approved_by: Sequence[str]
    funds_reserved: bool
    """The ledger has set the money apart."""
    provider_reference: str | None
    needs_person: bool
    """Its outcome has been unknown for a day: look it up at the provider."""
    created_at: datetime
    updated_at: datetime


class RefundView(_View):
    """Money on its way back to where it came from."""

    id: RefundId
    payment_id: PaymentId
    invoice_id: InvoiceId
    source: str


class PayoutView(_View):
    """Money on its way to whom it is owed."""

    id: PayoutId
    batch_id: PayoutBatchId | None
    line: int | None
    reference: str
    destination: Mapping[str, str]


class PayoutBatchView(BaseModel):
    """Payouts that were asked for together."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: PayoutBatchId
    reference: str
    state: str
    """One of requested, approved, rejected, completed; more may come."""
    lines: int
    lines_hash: str
    """Names exactly these lines: whoever agrees sends it back."""
    totals: Sequence[Amount]
    requested_by: str
    approvals_needed: int
    approved_by: Sequence[str]
    succeeded: int
    failed: int
    canceled: int
    created_at: datetime
    updated_at: datetime


class PolicyView(BaseModel):
    """A version of the approval policy."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    version: int | None
    """Null for the policy that holds as long as none is activated."""
    active: bool
    policy: ApprovalPolicy
    note: str | None
    created_by: str | None
    created_at: datetime | None


_DISBURSEMENT = """
    d.*, coalesce((select array_agg(a.approver order by a.decided_at, a.id) from approval as a
                   where a.tenant_id = d.tenant_id and a.verdict = 'approved'
                     and (a.disbursement_id = d.id or a.batch_id = d.batch_id)), '{}')
        as approved_by
"""
_BATCH = """
    b.*, coalesce((select array_agg(a.approver order by a.decided_at, a.id) from approval as a
                   where a.tenant_id = b.tenant_id and a.verdict = 'approved'
                     and a.batch_id = b.id), '{}') as approved_by
"""


async def refunds_of(
    tx: Tx, tenant_id: UUID, payment_id: UUID, *, after: UUID | None, limit: int
) -> list[RefundView]:
    """Refunds of a payment, the newest first; raises `PaymentNotFound`."""
    known = "select exists (select from payment where tenant_id = $1 and id = $2)"
    if not await tx.fetchval(known, tenant_id, payment_id):
        raise PaymentNotFound
    rows = await tx.fetch(
        f"""
        select {_DISBURSEMENT} from disbursement as d
        where d.tenant_id = $1 and d.payment_id = $2 and d.kind = 'refund'
          and ($3::uuid is null or d.id < $3)
        order by d.id desc limit $4
        """,
        tenant_id,
        payment_id,
        after,
        limit,
    )
    return [_refund(row, tx.now) for row in rows]


async def refund_of(tx: Tx, tenant_id: UUID, refund_id: UUID) -> RefundView:
    """One refund; raises `DisbursementNotFound`."""
    return _refund(await _one(tx, tenant_id, refund_id, "refund"), tx.now)


async def payout_of(tx: Tx, tenant_id: UUID, payout_id: UUID) -> PayoutView:
    """One payout; raises `DisbursementNotFound`."""
    return _payout(await _one(tx, tenant_id, payout_id, "payout"), tx.now)


async def _one(tx: Tx, tenant_id: UUID, one: UUID, kind: str) -> Any:
    row = await tx.fetchrow(
        f"""
        select {_DISBURSEMENT} from disbursement as d
        where d.tenant_id = $1 and d.id = $2 and d.kind = $3
        """,
        tenant_id,
        one,
        kind,
    )
    if row is None:
        raise DisbursementNotFound
    return row


async def payouts_of(
    tx: Tx,
    tenant_id: UUID,
    *,
    batch_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[PayoutView]:
    """Payouts, the newest first."""
    rows = await tx.fetch(
        f"""
        select {_DISBURSEMENT} from disbursement as d
        where d.tenant_id = $1 and d.kind = 'payout' and ($2::uuid is null or d.batch_id = $2)
          and ($3::text is null or d.state = $3) and ($4::uuid is null or d.id < $4)
        order by d.id desc limit $5
        """,
        tenant_id,
        batch_id,
        state,
        after,
        limit,
    )
    return [_payout(row, tx.now) for row in rows]


async def batch_of(tx: Tx, tenant_id: UUID, batch_id: UUID) -> PayoutBatchView:
    """One batch; raises `DisbursementNotFound`."""
    row = await tx.fetchrow(
        f"select {_BATCH} from payout_batch as b where b.tenant_id = $1 and b.id = $2",
        tenant_id,
        batch_id,
    )
    if row is None:
        raise DisbursementNotFound
    return _batch(row)


async def batches_of(
    tx: Tx, tenant_id: UUID, *, after: UUID | None, limit: int
) -> list[PayoutBatchView]:
    """Batches, the newest first."""
    rows = await tx.fetch(
        f"""
        select {_BATCH} from payout_batch as b
        where b.tenant_id = $1 and ($2::uuid is null or b.id < $2)
        order by b.id desc limit $3
        """,
        tenant_id,
        after,
        limit,
    )
    return [_batch(row) for row in rows]


async def policies_of(
    tx: Tx, tenant_id: UUID, *, below: int | None, limit: int
) -> list[PolicyView]:
    """Versions of the approval policy, the newest first."""
    rows = await tx.fetch(
        """
        select p.version, p.version = h.active as active, p.document as policy, p.note,
               p.created_by, p.created_at
        from approval_policy as p join approval_head as h using (tenant_id)
        where p.tenant_id = $1 and ($2::int is null or p.version < $2)
        order by p.version desc limit $3
        """,
        tenant_id,
        below,
        limit,
    )
    return [PolicyView.model_validate({**row, "active": bool(row["active"])}) for row in rows]


async def active_policy(tx: Tx, tenant_id: UUID) -> PolicyView:
    """The policy that counts; the standard where none was activated."""
    row = await tx.fetchrow(
        """
        select p.version, true as active, p.document as policy, p.note, p.created_by, p.created_at
        from approval_head as h
        join approval_policy as p on p.tenant_id = h.tenant_id and p.version = h.active
        where h.tenant_id = $1
        """,
        tenant_id,
    )
    if row is not None:
        return PolicyView.model_validate(dict(row))
    return PolicyView(
        version=None, active=True, policy=STANDARD, note=None, created_by=None, created_at=None
    )


def _common(row: Any, now: datetime) -> dict[str, Any]:
    since = row["unknown_since"]
    return {
        "id": row["id"],
        "state": row["state"],
        "cause": row["cause"],
        "amount": Amount(amount_minor=row["amount_minor"], asset=row["asset"]),
        "provider": row["provider"],
        "rail": row["rail"],
        "reason": row["reason"],
        "requested_by": row["requested_by"],
        "approvals_needed": row["approvals_needed"],
        "approved_by": row["approved_by"],
        "funds_reserved": row["reserved_at"] is not None,
        "provider_reference": row["provider_reference"],
        "needs_person": since is not None and now - since >= PERSON_AFTER,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _refund(row: Any, now: datetime) -> RefundView:
    more = {name: row[name] for name in ("payment_id", "invoice_id", "source")}
    return RefundView.model_validate({**_common(row, now), **more})


def _payout(row: Any, now: datetime) -> PayoutView:
    more = {name: row[name] for name in ("batch_id", "line", "reference", "destination")}
    return PayoutView.model_validate({**_common(row, now), **more})


def _batch(row: Any) -> PayoutBatchView:
    totals = [Amount(amount_minor=m, asset=asset) for asset, m in row["totals"].items()]
    told = {**row, "lines_hash": row["lines_hash"].hex(), "totals": totals}
    return PayoutBatchView.model_validate(told)
