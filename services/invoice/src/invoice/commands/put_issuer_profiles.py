"""Say who issues a tenant's invoices from now on."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from invoice.domain.states import Issuer
from invoice.store import parties as party_store
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class PutIssuerProfile:
    """How a tenant wishes to be named."""

    tenant_id: UUID
    issuer: Issuer


async def put_issuer_profiles(
    tx: Tx, requests: Sequence[PutIssuerProfile]
) -> Sequence[party_store.Profile | Refusal]:
    """Store each tenant's profile; of several in one batch the last one stands."""
    wanted = {request.tenant_id: request.issuer for request in requests}
    stored = await party_store.put_profiles(tx, wanted)
    return [
        party_store.Profile(request.tenant_id, stored[request.tenant_id].version, request.issuer)
        for request in requests
    ]
