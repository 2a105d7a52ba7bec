"""Refunds and payouts, and what of a payment has been given back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.adapters import Kind
from provider_orchestrator.domain.disbursements import Disbursement, State

_FIELDS = """
    tenant_id, id, kind, payment_id, invoice_id, batch_id, line, reference, amount_minor, asset,
    source, rail, destination, parent_reference, parent_minor, reason, requested_by,
    approvals_needed, approvers, policy_version, key, created_at, state, approvals_given,
    approved_at, reserved_at, provider, decision_id, prepared, sends, inquiries, unknown_since,
    next_at, provider_reference, fee_minor, fee_asset, cause
"""


@dataclass(frozen=True, slots=True)
class Refundable:
    """A payment as a refund sees it, locked."""

    id: UUID
    invoice_id: UUID
    state: str
    provider: str
    rail: str
    amount_minor: int
    given_back_minor: int
    asset: str
    payer: bytes | None
    parent_reference: str
    """The capture's name at the provider; it may have become payments of several invoices."""
    parent_minor: int
    """What was captured in all."""


async def lock_refundable(
    tx: Tx, keys: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], Refundable]:
    """Payments, locked, so that their refunds follow one another; keys are tenant and payment."""
    rows = await tx.fetch(
        """
        select p.tenant_id, p.id, p.invoice_id, p.state, p.provider, p.rail, p.amount_minor,
               p.given_back_minor, p.asset, p.payer,
               coalesce(a.provider_reference, p.reference) as parent_reference,
               coalesce(a.captured_minor, p.amount_minor) as parent_minor
        from payment p
        left join payment_attempt a on a.tenant_id = p.tenant_id and a.id = p.attempt_id
        where (p.tenant_id, p.id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by p.tenant_id, p.id for no key update of p
        """,
        [tenant for tenant, _ in keys],
        [payment for _, payment in keys],
    )
    return {
        (row["tenant_id"], row["id"]): Refundable(
            **{name: value for name, value in row.items() if name != "tenant_id"}
        )
        for row in rows
    }


async def add_given_back(tx: Tx, sums: Sequence[tuple[UUID, UUID, int]]) -> None:
    """Count what is given back of payments, or no longer is; each is tenant, payment, minor units.

    The table refuses to give back more than came.
    """
    await tx.execute(
        """
        update payment as p set given_back_minor = p.given_back_minor + n.minor
        from (select tenant_id, id, sum(minor)::bigint as minor
              from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as n(tenant_id, id, minor)
              group by tenant_id, id) as n
        where p.tenant_id = n.tenant_id and p.id = n.id
        """,
        [tenant for tenant, _, _ in sums],
        [payment for _, payment, _ in sums],
        [minor for _, _, minor in sums],
    )


async def insert_disbursements(tx: Tx, disbursements: Sequence[Disbursement]) -> None:
    """Keep new ones; a payout's reference must be free."""
    rows = [
        (
            *(d.tenant_id, d.id, d.kind, d.payment_id, d.invoice_id, d.batch_id, d.line),
            *(d.reference, d.amount_minor, d.asset, d.source, d.rail, dict(d.destination)),
            *(d.parent_reference, d.parent_minor, d.reason, d.requested_by, d.approvals_needed),
            *("\x1f".join(d.approvers), d.policy_version, d.key, d.created_at, d.state),
            *(d.approved_at, d.provider),
        )
        for d in disbursements
    ]
    await tx.execute(
        """
        insert into disbursement (
            tenant_id, id, kind, payment_id, invoice_id, batch_id, line, reference, amount_minor,
            asset, source, rail, destination, parent_reference, parent_minor, reason, requested_by,
            approvals_needed, approvers, policy_version, key, created_at, state, approved_at,
            provider, updated_at)
        select tenant_id, id, kind, payment_id, invoice_id, batch_id, line, reference, amount_minor,
               asset, source, rail, destination, parent_reference, parent_minor, reason,
               requested_by, approvals_needed, string_to_array(approvers, e'\\x1f'), policy_version,
               key, created_at, state, approved_at, provider, $26
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[],
                    $7::int[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::text[],
                    $13::jsonb[], $14::text[], $15::bigint[], $16::text[], $17::text[], $18::int[],
                    $19::text[], $20::int[], $21::uuid[], $22::timestamptz[], $23::text[],
                    $24::timestamptz[], $25::text[])
            as n(tenant_id, id, kind, payment_id, invoice_id, batch_id, line, reference,
                 amount_minor, asset, source, rail, destination, parent_reference, parent_minor,
                 reason, requested_by, approvals_needed, approvers, policy_version, key,
                 created_at, state, approved_at, provider)
        """,
        *[list(column) for column in zip(*rows, strict=True)],
        tx.now,
    )


async def update_disbursements(tx: Tx, disbursements: Sequence[Disbursement]) -> None:
    """Write where locked ones stand now; what they ask for cannot be changed."""
    rows = [
        (
            *(d.tenant_id, d.id, d.state, d.approvals_given, d.approved_at, d.reserved_at),
            *(d.provider, d.decision_id, d.prepared, d.sends, d.inquiries, d.unknown_since),
            *(d.next_at, d.provider_reference, d.fee_minor, d.fee_asset, d.cause),
        )
        for d in disbursements
    ]
    if not rows:
        return
    await tx.execute(
        """
        update disbursement as d set
            state = n.state, approvals_given = n.approvals_given, approved_at = n.approved_at,
            reserved_at = n.reserved_at, provider = n.provider, decision_id = n.decision_id,
            prepared = n.prepared, sends = n.sends, inquiries = n.inquiries,
            unknown_since = n.unknown_since, next_at = n.next_at,
            provider_reference = n.provider_reference, fee_minor = n.fee_minor,
            fee_asset = n.fee_asset, cause = n.cause, updated_at = $18
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::timestamptz[],
                    $6::timestamptz[], $7::text[], $8::uuid[], $9::bytea[], $10::int[],
                    $11::int[], $12::timestamptz[], $13::timestamptz[], $14::text[],
                    $15::bigint[], $16::text[], $17::text[])
            as n(tenant_id, id, state, approvals_given, approved_at, reserved_at, provider,
                 decision_id, prepared, sends, inquiries, unknown_since, next_at,
                 provider_reference, fee_minor, fee_asset, cause)
        where d.tenant_id = n.tenant_id and d.id = n.id
        """,
        *[list(column) for column in zip(*rows, strict=True)],
        tx.now,
    )


async def lock_disbursements(
    tx: Tx, keys: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], Disbursement]:
    """Refunds and payouts, locked; the keys are tenant and id."""
    return _by_key(
        await tx.fetch(
            f"""
            select {_FIELDS} from disbursement
            where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
            order by tenant_id, id for no key update
            """,
            [tenant for tenant, _ in keys],
            [one for _, one in keys],
        )
    )


async def lock_lines(tx: Tx, batches: Sequence[tuple[UUID, UUID]]) -> list[Disbursement]:
    """Lines of batches, locked; the keys are tenant and batch."""
    rows = await tx.fetch(
        f"""
        select {_FIELDS} from disbursement
        where (tenant_id, batch_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, id for no key update
        """,
        [tenant for tenant, _ in batches],
        [batch for _, batch in batches],
    )
    return [disbursement_of(row) for row in rows]


async def lock_due(tx: Tx, limit: int) -> list[Disbursement]:
    """What is to be sent or asked after now and nobody else has, locked, the longest due first.

    While the reserve is frozen no payout begins; what may be on its way is asked after as ever.
    """
    rows = await tx.fetch(
        f"""
        select {_FIELDS} from disbursement where next_at <= $1
          and not (kind = 'payout' and state = 'ready'
                   and coalesce((select frozen from payout_freeze), false))
        order by next_at limit $2 for no key update skip locked
        """,
        tx.now,
        limit,
    )
    return [disbursement_of(row) for row in rows]


async def batches_of(tx: Tx, keys: Sequence[tuple[UUID, UUID]]) -> list[tuple[UUID, UUID]]:
    """Tenant and batch of those that are lines of one; the keys are tenant and id."""
    rows = await tx.fetch(
        """
        select distinct tenant_id, batch_id from disbursement
        where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
          and batch_id is not null
        """,
        [tenant for tenant, _ in keys],
        [one for _, one in keys],
    )
    return [(row["tenant_id"], row["batch_id"]) for row in rows]


async def taken_references(tx: Tx, wanted: Sequence[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Which references payouts have already; each is tenant and reference.

    Requests of one tenant wait for one another here, so that none takes one meanwhile.
    """
    for tenant in sorted({tenant for tenant, _ in wanted}):
        await tx.execute(
            "select pg_advisory_xact_lock(hashtextextended('payouts:' || $1::text, 0))", str(tenant)
        )
    rows = await tx.fetch(
        """
        select d.tenant_id, d.reference from disbursement as d
        join unnest($1::uuid[], $2::text[]) as n(tenant_id, reference) using (tenant_id, reference)
        where d.kind = 'payout'
        """,
        [tenant for tenant, _ in wanted],
        [reference for _, reference in wanted],
    )
    return {(row["tenant_id"], row["reference"]) for row in rows}


def disbursement_of(row: Any) -> Disbursement:
    """A row as the domain knows it."""
    return Disbursement(
        **{
            **row,
            "kind": Kind(row["kind"]),
            "state": State(row["state"]),
            "approvers": tuple(row["approvers"]),
        }
    )


def _by_key(rows: Sequence[Any]) -> dict[tuple[UUID, UUID], Disbursement]:
    return {(row["tenant_id"], row["id"]): disbursement_of(row) for row in rows}
