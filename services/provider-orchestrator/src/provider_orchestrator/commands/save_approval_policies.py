"""Who has to agree before money leaves: versions of the policy, and which of them counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Refusal, Tx
from provider_orchestrator.domain.approvals import ApprovalPolicy
from provider_orchestrator.errors import PolicyNotFound
from provider_orchestrator.store import approvals as store
from provider_orchestrator.store.approvals import PolicyVersion


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """Somebody wrote a policy."""

    tenant_id: UUID
    policy: ApprovalPolicy
    note: str | None
    actor: str


@dataclass(frozen=True, slots=True)
class ActivatePolicy:
    """Somebody wants a version to count."""

    tenant_id: UUID
    version: int
    actor: str


async def save_policies(tx: Tx, requests: Sequence[NewPolicy]) -> list[PolicyVersion]:
    """Keep each as the tenant's next version; none of them counts yet."""
    return [
        await store.insert_policy(tx, PolicyVersion(r.tenant_id, 0, r.policy, r.note, r.actor))
        for r in requests
    ]


async def activate_policies(tx: Tx, requests: Sequence[ActivatePolicy]) -> list[int | Refusal]:
    """Let each version count, for what is asked for from now on."""
    return [
        r.version
        if await store.activate_policy(tx, r.tenant_id, r.version, r.actor)
        else PolicyNotFound()
        for r in requests
    ]
