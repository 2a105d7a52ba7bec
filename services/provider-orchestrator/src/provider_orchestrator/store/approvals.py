"""Batches of payouts, who agreed to what, and the versions of the policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.approvals import STANDARD, ApprovalPolicy, Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutBatch(Asked):
    """Payouts that were asked for together."""

    reference: str
    lines: int
    lines_hash: bytes
    totals: Mapping[str, int]
    state: str = "requested"
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def is_ended(self) -> bool:
        """Every line has ended."""
        return self.succeeded + self.failed + self.canceled == self.lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What one person said to one request."""

    tenant_id: UUID
    id: UUID
    disbursement_id: UUID | None
    batch_id: UUID | None
    lines_hash: bytes | None
    requested_by: str
    approver: str
    verdict: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A policy as it was written once."""

    tenant_id: UUID
    version: int
    policy: ApprovalPolicy
    note: str | None
    created_by: str


@dataclass(frozen=True, slots=True)
class ActivePolicy:
    """The policy that counts for a tenant; no version where nobody has said anything."""

    version: int | None = None
    policy: ApprovalPolicy = STANDARD


_BATCH = """
    tenant_id, id, reference, lines, lines_hash, totals, requested_by, approvals_needed, approvers,
    policy_version, approvals_given, state, succeeded, failed, canceled
"""


async def insert_batches(tx: Tx, batches: Sequence[PayoutBatch]) -> None:
    """Keep new batches; their lines follow."""
    for batch in batches:
        await tx.execute(
            """
            insert into payout_batch (
                tenant_id, id, reference, lines, lines_hash, totals, requested_by,
                approvals_needed, approvers, policy_version, state, created_at, updated_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
            """,
            batch.tenant_id,
            batch.id,
            batch.reference,
            batch.lines,
            batch.lines_hash,
            dict(batch.totals),
            batch.requested_by,
            batch.approvals_needed,
            list(batch.approvers),
            batch.policy_version,
            batch.state,
            tx.now,
        )


async def select_batches(
    tx: Tx, keys: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], PayoutBatch]:
    """Batches by tenant and their own reference."""
    rows = await tx.fetch(
        f"""
        select {_BATCH} from payout_batch
        where (tenant_id, reference) in (select * from unnest($1::uuid[], $2::text[]))
        """,
        [tenant for tenant, _ in keys],
        [reference for _, reference in keys],
    )
    return {(row["tenant_id"], row["reference"]): _batch(row) for row in rows}


async def lock_batches(
    tx: Tx, keys: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], PayoutBatch]:
    """Batches, locked: always before their lines. The keys are tenant and batch."""
    rows = await tx.fetch(
        f"""
        select {_BATCH} from payout_batch
        where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, id for no key update
        """,
        [tenant for tenant, _ in keys],
        [batch for _, batch in keys],
    )
    return {(row["tenant_id"], row["id"]): _batch(row) for row in rows}


async def update_batches(tx: Tx, batches: Sequence[PayoutBatch]) -> None:
    """Write where locked batches stand now."""
    await tx.execute(
        """
        update payout_batch as b set
            approvals_given = n.given, state = n.state, succeeded = n.succeeded,
            failed = n.failed, canceled = n.canceled, updated_at = $8
        from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::int[], $6::int[], $7::int[])
            as n(tenant_id, id, given, state, succeeded, failed, canceled)
        where b.tenant_id = n.tenant_id and b.id = n.id
        """,
        [batch.tenant_id for batch in batches],
        [batch.id for batch in batches],
        [batch.approvals_given for batch in batches],
        [batch.state for batch in batches],
        [batch.succeeded for batch in batches],
        [batch.failed for batch in batches],
        [batch.canceled for batch in batches],
        tx.now,
    )


def _batch(row: Any) -> PayoutBatch:
    return PayoutBatch(**{**row, "approvers": tuple(row["approvers"])})


async def insert_approvals(tx: Tx, approvals: Sequence[Approval]) -> None:
    """Keep what people said; the table refuses what somebody says to a request of their own."""
    await tx.execute(
        """
        insert into approval (tenant_id, id, disbursement_id, batch_id, lines_hash, requested_by,
                              approver, verdict, reason, decided_at)
        select tenant_id, id, disbursement_id, batch_id, lines_hash, requested_by, approver,
               verdict, reason, $10
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bytea[], $6::text[],
                    $7::text[], $8::text[], $9::text[])
            as n(tenant_id, id, disbursement_id, batch_id, lines_hash, requested_by, approver,
                 verdict, reason)
        """,
        [one.tenant_id for one in approvals],
        [one.id for one in approvals],
        [one.disbursement_id for one in approvals],
        [one.batch_id for one in approvals],
        [one.lines_hash for one in approvals],
        [one.requested_by for one in approvals],
        [one.approver for one in approvals],
        [one.verdict for one in approvals],
        [one.reason for one in approvals],
        tx.now,
    )


async def approvers_of(
    tx: Tx, keys: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], tuple[str, ...]]:
    """Who has agreed, first come first; the keys are tenant and what was asked for."""
    rows = await tx.fetch(
        """
        select tenant_id, coalesce(disbursement_id, batch_id) as id,
               array_agg(approver order by decided_at, id) as approvers
        from approval
        where (tenant_id, coalesce(disbursement_id, batch_id))
              in (select * from unnest($1::uuid[], $2::uuid[])) and verdict = 'approved'
        group by 1, 2
        """,
        [tenant for tenant, _ in keys],
        [one for _, one in keys],
    )
    return {(row["tenant_id"], row["id"]): tuple(row["approvers"]) for row in rows}


async def select_policies(tx: Tx, tenants: Sequence[UUID]) -> dict[UUID, ActivePolicy]:
    """The policy that counts, by tenant."""
    rows = await tx.fetch(
        """
        select h.tenant_id, p.version, p.document from approval_head as h
        join approval_policy as p on p.tenant_id = h.tenant_id and p.version = h.active
        where h.tenant_id = any($1::uuid[])
        """,
        list(tenants),
    )
    kept = {
        row["tenant_id"]: ActivePolicy(
            row["version"], ApprovalPolicy.model_validate(row["document"])
        )
        for row in rows
    }
    return {tenant: kept.get(tenant, ActivePolicy()) for tenant in tenants}


async def insert_policy(tx: Tx, new: PolicyVersion) -> PolicyVersion:
    """Keep a policy as the tenant's next version; it does not count yet."""
    number = await tx.fetchval(
        """
        insert into approval_head as h (tenant_id, versions) values ($1, 1)
        on conflict (tenant_id) do update set versions = h.versions + 1 returning versions
        """,
        new.tenant_id,
    )
    await tx.execute(
        """
        insert into approval_policy (tenant_id, version, document, note, created_by, created_at)
        values ($1, $2, $3, $4, $5, $6)
        """,
        new.tenant_id,
        number,
        new.policy.model_dump(mode="json"),
        new.note,
        new.created_by,
        tx.now,
    )
    return replace(new, version=number)


async def activate_policy(tx: Tx, tenant_id: UUID, version: int, actor: str) -> bool:
    """Let a version count; false where there is none."""
    tag = await tx.execute(
        """
        update approval_head set active = $2, activated_by = $3, activated_at = $4
        where tenant_id = $1 and $2 between 1 and versions
        """,
        tenant_id,
        version,
        actor,
        tx.now,
    )
    return bool(int(tag.split()[-1]))
