"""The payer comes back from the provider's page: it is asked now, not when its webhook comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from messaging import Refusal, Tx
from provider_orchestrator.store.invoices import select_links
from provider_orchestrator.store.link_payments import hasten_waiting

NOT_SOONER = timedelta(seconds=2)
"""Whoever reloads the page does not make us ask more often than this."""


@dataclass(frozen=True, slots=True)
class CameBack:
    """Somebody with a link is back."""

    tenant_id: UUID
    link_hash: bytes


async def look_again(tx: Tx, requests: Sequence[CameBack]) -> list[CameBack | Refusal]:
    """Have the payments of these links looked at; an unknown link changes nothing."""
    links = await select_links(tx, [(one.tenant_id, one.link_hash) for one in requests])
    keys = sorted({(tenant, invoice) for (tenant, _), invoice in links.items()})
    await hasten_waiting(tx, keys, tx.now - NOT_SOONER)
    tx.wake()
    return list(requests)
