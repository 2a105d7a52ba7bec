"""A tenant makes itself another key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway import store
from gateway.domain.keys import ApiKey, Secret, key_created, refusal_of_grant
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """Which key is wanted, and what the caller holds itself."""

    tenant_id: UUID
    key_id: UUID
    secret: Secret
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    created_by: str
    held: frozenset[str]


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """The key, and its secret, which is stored nowhere."""

    key: ApiKey
    secret: Secret


async def create_api_keys(tx: Tx, requests: Sequence[NewApiKey]) -> list[CreatedApiKey | Refusal]:
    """Make keys that can do no more than the key that asks."""
    results = [_decide(request, tx.now) for request in requests]
    created = [result.key for result in results if isinstance(result, CreatedApiKey)]
    if created:
        await store.insert_keys(tx, created)
        tx.stage(key_created(key) for key in created)
    return results


def _decide(request: NewApiKey, now: datetime) -> CreatedApiKey | Refusal:
    refusal = refusal_of_grant(request.scopes, request.held, expires_at=request.expires_at, now=now)
    if refusal is not None:
        return refusal
    key = ApiKey(
        tenant_id=request.tenant_id,
        id=request.key_id,
        name=request.name,
        prefix=request.secret.prefix,
        secret_hash=request.secret.hash,
        scopes=tuple(sorted(set(request.scopes))),
        created_by=request.created_by,
        created_at=now,
        expires_at=request.expires_at,
    )
    return CreatedApiKey(key, request.secret)
