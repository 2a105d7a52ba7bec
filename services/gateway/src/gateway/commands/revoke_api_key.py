"""A key stops working."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from gateway import store
from gateway.domain.keys import ApiKey
from gateway.errors import ApiKeyNotFound
from invoiceos_contracts.identity_v1 import ApiKeyRevoked
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class Revocation:
    """Which key shall stop working."""

    tenant_id: UUID
    key_id: UUID


async def revoke_api_keys(tx: Tx, requests: Sequence[Revocation]) -> list[ApiKey | Refusal]:
    """Revoke keys. One that is revoked stays as it is, so the request may be repeated."""
    keys = await store.lock_keys(
        tx, [request.tenant_id for request in requests], [request.key_id for request in requests]
    )
    results: list[ApiKey | Refusal] = []
    revoked: list[ApiKey] = []
    for request in requests:
        name = (request.tenant_id, request.key_id)
        if name not in keys:
            results.append(ApiKeyNotFound())
            continue
        if keys[name].revoked_at is None:
            keys[name] = replace(keys[name], revoked_at=tx.now)
            revoked.append(keys[name])
        results.append(keys[name])
    if revoked:
        await store.revoke_keys(tx, revoked)
        tx.stage(
            ApiKeyRevoked(tenant_id=key.tenant_id, api_key_id=key.id, prefix=key.prefix)
            for key in revoked
        )
    return results
