"""An operator turns a partner away for good."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from gateway import store
from gateway.domain.partners import Partner
from gateway.errors import PartnerNotFound
from gateway.store import partners as partner_store
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class PartnerRevocation:
    """Which partner, and whose it is."""

    tenant_id: UUID
    name: str


async def revoke_partners(tx: Tx, requests: Sequence[PartnerRevocation]) -> list[Partner | Refusal]:
    """Revoke partners. One that is revoked stays as it is, so the request may be repeated."""
    await store.admit_tenants(tx, [request.tenant_id for request in requests])
    known = await partner_store.partners_named(tx, [r.name for r in requests], lock=True)
    revoked = [
        replace(partner, state="revoked", revoked_at=tx.now)
        for partner in known.values()
        if partner.is_active
    ]
    await partner_store.update_partners(tx, revoked)
    tx.stage(partner.revoked() for partner in revoked)
    after = known | {partner.name: partner for partner in revoked}
    return [after.get(request.name) or PartnerNotFound() for request in requests]
