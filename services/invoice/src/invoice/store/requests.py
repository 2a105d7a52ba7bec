"""The SQL of requests that partners made by topic."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from invoice.store import Key, sorted_keys
from messaging import Tx


@dataclass(frozen=True, slots=True)
class Answered:
    """A request and its answer: an invoice, or the code of a refusal."""

    tenant_id: UUID
    id: UUID
    partner: str
    request_id: str
    invoice_id: UUID | None
    code: str | None


async def answered(tx: Tx, keys: Iterable[Key]) -> set[Key]:
    """Those of these requests that have their answer."""
    found = await tx.fetch(
        """
        select tenant_id, id from invoice_request
            join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id) using (tenant_id, id)
        """,
        *sorted_keys(keys),
    )
    return {(row["tenant_id"], row["id"]) for row in found}


async def insert_answered(tx: Tx, requests: Sequence[Answered]) -> None:
    """Store answers; a second one for the same request is an error of ours."""
    await tx.execute(
        """
        insert into invoice_request (tenant_id, id, partner, request_id, invoice_id, code,
            answered_at)
        select tenant_id, id, partner, request_id, invoice_id, code, $7
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[])
            as r(tenant_id, id, partner, request_id, invoice_id, code)
        order by tenant_id, id
        """,
        [request.tenant_id for request in requests],
        [request.id for request in requests],
        [request.partner for request in requests],
        [request.request_id for request in requests],
        [request.invoice_id for request in requests],
        [request.code for request in requests],
        tx.now,
    )
