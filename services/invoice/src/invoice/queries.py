"""Reads: straight from the tables to what is shown."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from invoice import store
from invoice.domain.links import PaymentLink
from invoice.domain.states import Invoice, Issuer
from invoice.errors import CustomerNotFound, InvoiceNotFound, PaymentLinkNotFound
from invoice.store import parties as party_store
from invoice.store import rows
from messaging import Database, Tx
from messaging.operations import Traced

POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceFilter:
    """Which invoices a list shows; None shows all."""

    document: str | None = None
    settlement: str | None = None
    timeliness: str | None = None
    customer_id: UUID | None = None
    reference: str | None = None
    number: str | None = None
    due_before: datetime | None = None
    due_after: datetime | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None


async def invoice_by_id(tx: Tx, tenant_id: UUID, invoice_id: UUID) -> Invoice:
    """One invoice with its lines; raises `InvoiceNotFound`."""
    row = await tx.fetchrow(
        f"""
        select {rows.COLUMNS} from invoice
        where tenant_id = $1 and id = $2 and document <> 'deleted'
        """,
        tenant_id,
        invoice_id,
    )
    if row is None:
        raise InvoiceNotFound
    key = (tenant_id, invoice_id)
    return (await store.with_lines(tx, {key: rows.invoice(row)}))[key]


async def invoices(
    tx: Tx, tenant_id: UUID, wanted: InvoiceFilter, *, after: UUID | None, limit: int
) -> Sequence[Invoice]:
    """Invoices without lines, the newest first; times are from (inclusive) and before."""
    found = await tx.fetch(
        f"""
        select {rows.COLUMNS} from invoice
        where tenant_id = $1 and document <> 'deleted'
          and ($2::uuid is null or id < $2)
          and ($3::text is null or document = $3)
          and ($4::text is null or settlement = $4)
          and ($5::text is null or timeliness = $5)
          and ($6::uuid is null or customer_id = $6)
          and ($7::text is null or reference = $7)
          and ($8::text is null or number = $8)
          and ($9::timestamptz is null or due_at < $9)
          and ($10::timestamptz is null or due_at >= $10)
          and ($11::timestamptz is null or created_at < $11)
          and ($12::timestamptz is null or created_at >= $12)
        order by id desc limit $13
        """,
        tenant_id,
        after,
        wanted.document,
        wanted.settlement,
        wanted.timeliness,
        wanted.customer_id,
        wanted.reference,
        wanted.number,
        wanted.due_before,
        wanted.due_after,
        wanted.created_before,
        wanted.created_after,
        limit,
    )
    return [rows.invoice(row) for row in found]


async def invoice_by_link(tx: Tx, link: PaymentLink) -> Invoice:
    """The invoice a payment link was made for; raises `PaymentLinkNotFound`."""
    row = await tx.fetchrow(
        f"select {rows.COLUMNS} from invoice where tenant_id = $1 and link_hash = $2",
        link.tenant_id,
        link.hash,
    )
    if row is None:
        raise PaymentLinkNotFound
    return rows.invoice(row)


async def customer_by_id(tx: Tx, tenant_id: UUID, customer_id: UUID) -> party_store.Customer:
    """One customer; raises `CustomerNotFound`."""
    row = await tx.fetchrow(
        """
        select tenant_id, id, version, reference, has_email, contact, postal, created_at, updated_at
        from customer where tenant_id = $1 and id = $2
        """,
        tenant_id,
        customer_id,
    )
    if row is None:
        raise CustomerNotFound
    return party_store.Customer(**row)


async def customers(
    tx: Tx, tenant_id: UUID, *, reference: str | None, after: UUID | None, limit: int
) -> Sequence[party_store.Customer]:
    """Customers, the newest first."""
    found = await tx.fetch(
        """
        select tenant_id, id, version, reference, has_email, contact, postal, created_at, updated_at
        from customer
        where tenant_id = $1 and ($2::uuid is null or id < $2)
          and ($3::text is null or reference = $3)
        order by id desc limit $4
        """,
        tenant_id,
        after,
        reference,
        limit,
    )
    return [party_store.Customer(**row) for row in found]


async def issuer_profile(tx: Tx, tenant_id: UUID) -> party_store.Profile:
    """How a tenant is named on its invoices; version 0 where it never said."""
    row = await tx.fetchrow(
        "select version, name, address from issuer_profile where tenant_id = $1", tenant_id
    )
    if row is None:
        return party_store.Profile(tenant_id, 0, Issuer())
    return party_store.Profile(
        tenant_id, row["version"], Issuer(row["name"], tuple(row["address"]))
    )


class IssueOutcomes:
    """Waits until invoices have left `issuing`: one look every 20 ms for all who wait."""

    def __init__(self, database: Database) -> None:
        """Use the api role's database."""
        self._database = database
        self._waiting: dict[tuple[UUID, UUID], list[asyncio.Future[None]]] = {}
        self._loop: asyncio.Task[None] | None = None

    async def wait(self, tenant_id: UUID, invoice_id: UUID, seconds: float) -> None:
        """Return once the invoice has a wallet or none could be made, or the time is over."""
        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault((tenant_id, invoice_id), []).append(left)
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._look(), name="issue-outcomes")
        try:
            await asyncio.wait_for(left, seconds)
        except TimeoutError:
            pass
        finally:
            self._forget((tenant_id, invoice_id), left)

    def _forget(self, key: tuple[UUID, UUID], left: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(key, [])
        if left in waiting:
            waiting.remove(left)
        if not waiting:
            self._waiting.pop(key, None)

    async def _look(self) -> None:
        while self._waiting:
            keys = list(self._waiting)
            async with self._database.transaction({tenant for tenant, _ in keys}) as tx:
                found = await tx.fetch(
                    """
                    select i.tenant_id, i.id from invoice i
                    join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id) using (tenant_id, id)
                    where i.document <> 'issuing'
                    """,
                    [tenant for tenant, _ in keys],
                    [item for _, item in keys],
                )
            for row in found:
                for left in self._waiting.pop((row["tenant_id"], row["id"]), []):
                    if not left.done():
                        left.set_result(None)
            await asyncio.sleep(POLL_S)


TRACED = (
    Traced(
        "invoice",
        """
        select tenant_id, id as invoice_id, updated_at as at,
               document || ', ' || settlement || ', ' || timeliness as title, null::uuid as cause,
               'inv:' || id as subject,
               jsonb_build_object('number', number, 'total_minor', total_minor, 'asset', asset,
                                  'received_micros', received_micros, 'version', version) as details
        from invoice
        """,
    ),
)
"""What operators see of an invoice when they trace it."""
