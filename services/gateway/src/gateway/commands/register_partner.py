"""An operator lets a company integrate through topics."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from gateway import store
from gateway.domain.partners import EVERYTHING, Partner, unknown_patterns
from gateway.errors import EventTypeUnknown, PartnerNameTaken, TenantNotFound
from gateway.store import partners as partner_store
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class NewPartner:
    """The operator's wish; None leaves the events a partner wants as they are."""

    name: str
    tenant_id: UUID
    event_types: tuple[str, ...] | None
    created_by: str


async def register_partners(tx: Tx, requests: Sequence[NewPartner]) -> list[Partner | Refusal]:
    """Register each partner, once; what it wants may be changed by asking again."""
    await store.admit_tenants(tx, [request.tenant_id for request in requests])
    tenants = await partner_store.known_tenants(tx, [r.tenant_id for r in requests])
    known = await partner_store.partners_named(tx, [r.name for r in requests], lock=True)
    before = dict(known)
    results: list[Partner | Refusal] = []
    for request in requests:
        result = _decide(tx, request, known.get(request.name), tenants)
        if isinstance(result, Partner):
            known[result.name] = result
        results.append(result)
    changed = [partner for name, partner in known.items() if before.get(name) != partner]
    new = [partner for partner in changed if partner.name not in before]
    taken = {partner.name for partner in new} - await partner_store.insert_partners(tx, new)
    await partner_store.update_partners(tx, [p for p in changed if p.name in before])
    tx.stage(partner.registered() for partner in changed if partner.name not in taken)
    return [
        PartnerNameTaken() if isinstance(result, Partner) and result.name in taken else result
        for result in results
    ]


def _decide(
    tx: Tx, request: NewPartner, known: Partner | None, tenants: set[UUID]
) -> Partner | Refusal:
    unknown = unknown_patterns(request.event_types or ())
    if unknown:
        return EventTypeUnknown(f"No fact is ever of the type {unknown[0]}")
    if request.tenant_id not in tenants:
        return TenantNotFound()
    if known is None:
        wanted = (EVERYTHING,) if request.event_types is None else request.event_types
        return Partner(
            request.tenant_id, request.name, "active", wanted, request.created_by, tx.now
        )
    if known.tenant_id != request.tenant_id:
        return PartnerNameTaken()
    if request.event_types is None or not known.is_active:
        return known
    return replace(known, event_types=request.event_types)
