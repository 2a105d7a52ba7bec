"""Create customers; what is personal is sealed before it is stored."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from invoice.settings import sealer
from invoice.store.parties import Customer, upsert_customers
from invoice.store.rows import sealed
from invoiceos_contracts import Sealed, encode
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A customer in clear; lives in memory only."""

    name: str
    email: str | None
    address: tuple[str, ...]
    reference: str | None


@dataclass(frozen=True, slots=True)
class CreateCustomer:
    """A customer that someone wishes to bill."""

    tenant_id: UUID
    person: NewPerson


async def create_customers(
    tx: Tx, requests: Sequence[CreateCustomer]
) -> Sequence[Customer | Refusal]:
    """Store each customer."""
    customers = [customer_of(tx, request.tenant_id, request.person) for request in requests]
    await upsert_customers(tx, customers)
    return customers


def customer_of(
    tx: Tx, tenant_id: UUID, person: NewPerson, known: Customer | None = None
) -> Customer:
    """A customer with a data key of its own; a new key with each change.

    An invoice that was issued keeps the copy, and the key, of its day.
    """
    customer_id = known.id if known else tx.new_id()
    contact = {"email": person.email, "name": person.name}
    address = {"address": list(person.address)} if person.address else None
    data_key = sealer().new_data_key()

    def seal(value: dict[str, Any]) -> dict[str, Any]:
        subject = encode("cus", customer_id)
        text = json.dumps(value, ensure_ascii=False)
        return sealer().seal(text, subject=subject, data_key=data_key).model_dump()

    return Customer(
        tenant_id=tenant_id,
        id=customer_id,
        version=known.version + 1 if known else 1,
        reference=person.reference,
        has_email=person.email is not None,
        contact=seal(contact),
        postal=seal(address) if address else None,
        created_at=known.created_at if known else tx.now,
        updated_at=tx.now,
    )


def person_of(customer: Customer) -> NewPerson:
    """A customer in clear."""
    return opened(
        customer.id, Sealed(**customer.contact), sealed(customer.postal), customer.reference
    )


def opened(
    customer_id: UUID, contact: Sealed, postal: Sealed | None, reference: str | None = None
) -> NewPerson:
    """A customer in clear, from what is stored of it or was frozen with an invoice."""
    subject = encode("cus", customer_id)
    person = json.loads(sealer().open(contact, subject=subject))
    lines = json.loads(sealer().open(postal, subject=subject))["address"] if postal else []
    return NewPerson(person["name"], person["email"], tuple(lines), reference)
