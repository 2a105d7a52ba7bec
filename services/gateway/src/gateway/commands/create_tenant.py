"""A company joins, with the first key that acts for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway import store
from gateway.domain.keys import EVERYTHING, ApiKey, Secret, key_created
from gateway.store import Tenant
from invoiceos_contracts.identity_v1 import TenantCreated
from messaging import Tx

FIRST_KEY_NAME = "first key"


@dataclass(frozen=True, slots=True)
class NewTenant:
    """The operator's wish; the ids are new, so two wishes never touch the same rows."""

    tenant_id: UUID
    name: str
    key_id: UUID
    secret: Secret
    created_by: str


@dataclass(frozen=True, slots=True)
class CreatedTenant:
    """The company, its first key, and that key's secret, which is stored nowhere."""

    tenant: Tenant
    key: ApiKey
    secret: Secret


async def create_tenants(tx: Tx, requests: Sequence[NewTenant]) -> list[CreatedTenant]:
    """Make companies; each may do everything within itself with its first key."""
    created = [_created(tx, request) for request in requests]
    await store.admit_tenants(tx, [made.tenant.tenant_id for made in created])
    await store.insert_tenants(tx, [made.tenant for made in created])
    await store.insert_keys(tx, [made.key for made in created])
    for made in created:
        tx.stage([TenantCreated(tenant_id=made.tenant.tenant_id, name=made.tenant.name)])
        tx.stage([key_created(made.key)])
    return created


def _created(tx: Tx, request: NewTenant) -> CreatedTenant:
    key = ApiKey(
        tenant_id=request.tenant_id,
        id=request.key_id,
        name=FIRST_KEY_NAME,
        prefix=request.secret.prefix,
        secret_hash=request.secret.hash,
        scopes=(EVERYTHING,),
        created_by=request.created_by,
        created_at=tx.now,
    )
    return CreatedTenant(Tenant(request.tenant_id, request.name, tx.now), key, request.secret)
