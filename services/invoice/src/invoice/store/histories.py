"""What payers and issuers have done before: what the mode selector may know of an invoice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from invoice.domain.documents import Past
from invoice.store import Key, sorted_keys
from messaging import Tx
from money import asset

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Histories:
    """Of the payers and issuers of one batch."""

    payers: Mapping[Key, Past] = field(default_factory=dict)
    """By tenant and customer."""
    late_ppm: Mapping[UUID, int] = field(default_factory=dict)
    """By tenant."""

    def of(self, tenant_id: UUID, customer_id: UUID | None) -> Past:
        """What is known before an invoice of this tenant to this payer."""
        late = self.late_ppm.get(tenant_id)
        if customer_id is None:
            return Past(issuer_late_ppm=late)
        found = self.payers.get((tenant_id, customer_id), Past(0, 0, pays_by_token=False))
        return Past(found.invoices, found.settled, found.pays_by_token, late)


async def select_histories(tx: Tx, tenants: Iterable[UUID], payers: Iterable[Key]) -> Histories:
    """Of each payer the last 50 issued invoices, of each issuer those among its last 200."""
    known = sorted_keys(payers)
    return Histories(
        await _payers(tx, known) if known[0] else {}, await _late(tx, sorted(set(tenants)))
    )


async def _payers(tx: Tx, keys: tuple[list[UUID], list[UUID]]) -> dict[Key, Past]:
    rows = await tx.fetch(
        """
        select k.tenant_id, k.customer_id, h.invoices, h.settled, b.assets
        from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, customer_id)
        cross join lateral (
            select count(*)::int as invoices, array_agg(r.id) as ids,
                   (count(*) filter (where r.settlement in ('paid', 'overpaid')))::int as settled
            from (select id, settlement from invoice i
                  where i.tenant_id = k.tenant_id and i.customer_id = k.customer_id
                    and i.document in ('open', 'closed', 'void')
                  order by i.id desc limit 50) r) h
        left join lateral (
            select array_agg(distinct asset) as assets from invoice_booking o
            where o.tenant_id = k.tenant_id and o.invoice_id = any(h.ids)
              and o.state = 'counted') b on true
        """,
        *keys,
    )
    return {
        (row["tenant_id"], row["customer_id"]): Past(
            row["invoices"],
            row["settled"],
            any(asset(code).is_token for code in row["assets"] or ()),
        )
        for row in rows
    }


async def _late(tx: Tx, tenants: list[UUID]) -> dict[UUID, int]:
    """Share of what was issued lately whose money came late."""
    if not tenants:
        return {}
    rows = await tx.fetch(
        """
        select t.tenant_id, l.issued, l.late
        from unnest($1::uuid[]) as t(tenant_id)
        cross join lateral (
            select count(*) filter (where r.document in ('open', 'closed')) as issued,
                   count(*) filter (where r.timeliness in ('settled_late', 'paid_late')) as late
            from (select document, timeliness from invoice i where i.tenant_id = t.tenant_id
                  order by i.id desc limit 200) r) l
        where l.issued > 0
        """,
        tenants,
    )
    return {row["tenant_id"]: row["late"] * PPM // row["issued"] for row in rows}


async def select_payers(tx: Tx, invoices: Iterable[Key]) -> list[Key]:
    """Tenant and customer of each of these invoices that names one."""
    rows = await tx.fetch(
        """
        select i.tenant_id, i.customer_id
        from invoice i join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id)
            using (tenant_id, id)
        where i.customer_id is not null
        """,
        *sorted_keys(invoices),
    )
    return [(row["tenant_id"], row["customer_id"]) for row in rows]
