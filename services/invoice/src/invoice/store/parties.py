"""The SQL of parties: customers, and who issues a tenant's invoices."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from invoice.domain.states import Invoice, Issuer, Parties
from invoice.store import Key, rows, sorted_keys
from messaging import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer as stored: what is personal is sealed."""

    tenant_id: UUID
    id: UUID
    version: int
    reference: str | None
    has_email: bool
    contact: Mapping[str, Any]
    postal: Mapping[str, Any] | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """How a tenant presents itself on its invoices."""

    tenant_id: UUID
    version: int
    issuer: Issuer


async def parties_of(tx: Tx, invoices: Sequence[Invoice]) -> dict[UUID, Parties]:
    """Issuer and customer of invoices as they are now, by invoice."""
    found = await tx.fetch(
        """
        select k.invoice_id, p.name, p.address, c.contact, c.postal, c.has_email
        from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k(tenant_id, invoice_id, customer_id)
        left join issuer_profile p on p.tenant_id = k.tenant_id
        left join customer c on c.tenant_id = k.tenant_id and c.id = k.customer_id
        """,
        [invoice.tenant_id for invoice in invoices],
        [invoice.id for invoice in invoices],
        [invoice.terms.customer_id for invoice in invoices],
    )
    return {row["invoice_id"]: rows.parties(row) for row in found}


async def lock_customers(tx: Tx, keys: Iterable[Key]) -> dict[Key, Customer]:
    """Customers, locked in the order of their keys."""
    found = await tx.fetch(
        """
        select tenant_id, id, version, reference, has_email, contact, postal, created_at, updated_at
        from customer where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, id for update
        """,
        *sorted_keys(keys),
    )
    return {(row["tenant_id"], row["id"]): Customer(**row) for row in found}


async def known_customers(tx: Tx, keys: Iterable[Key]) -> set[Key]:
    """Those of these customers that exist."""
    found = await tx.fetch(
        """
        select tenant_id, id from customer
            join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id) using (tenant_id, id)
        """,
        *sorted_keys(keys),
    )
    return {(row["tenant_id"], row["id"]) for row in found}


async def upsert_customers(tx: Tx, customers: Sequence[Customer]) -> None:
    """Store new or changed customers."""
    if not customers:
        return
    await tx.execute(
        """
        insert into customer (tenant_id, id, version, reference, has_email, contact, postal,
            created_at, updated_at)
        select tenant_id, id, version, reference, has_email, contact::jsonb, postal::jsonb, $8, $8
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::bool[], $6::text[],
            $7::text[]) as c(tenant_id, id, version, reference, has_email, contact, postal)
        on conflict (tenant_id, id) do update set version = excluded.version,
            reference = excluded.reference, has_email = excluded.has_email,
            contact = excluded.contact, postal = excluded.postal, updated_at = excluded.updated_at
        """,
        [customer.tenant_id for customer in customers],
        [customer.id for customer in customers],
        [customer.version for customer in customers],
        [customer.reference for customer in customers],
        [customer.has_email for customer in customers],
        [json.dumps(customer.contact) for customer in customers],
        [None if c.postal is None else json.dumps(c.postal) for c in customers],
        tx.now,
    )


async def put_profiles(tx: Tx, profiles: Mapping[UUID, Issuer]) -> dict[UUID, Profile]:
    """Store how tenants present themselves; each with its new version."""
    found = await tx.fetch(
        """
        insert into issuer_profile as p (tenant_id, name, address, updated_at)
        select tenant_id, name, array(select jsonb_array_elements_text(address::jsonb)), $4
        from unnest($1::uuid[], $2::text[], $3::text[]) as i(tenant_id, name, address)
        order by tenant_id
        on conflict (tenant_id) do update set name = excluded.name, address = excluded.address,
            version = p.version + 1, updated_at = excluded.updated_at
        returning tenant_id, version, name, address
        """,
        list(profiles),
        [issuer.name for issuer in profiles.values()],
        [json.dumps(issuer.address) for issuer in profiles.values()],
        tx.now,
    )
    return {
        row["tenant_id"]: Profile(
            row["tenant_id"], row["version"], Issuer(row["name"], tuple(row["address"]))
        )
        for row in found
    }
