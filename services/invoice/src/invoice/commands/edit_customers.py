"""Change customers; invoices that were issued keep what was true then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from invoice import store
from invoice.commands.create_customers import customer_of, person_of
from invoice.errors import CustomerNotFound, VersionMismatch
from invoice.store import parties as party_store
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class EditCustomer:
    """The fields to change, by their names in `NewPerson`."""

    tenant_id: UUID
    customer_id: UUID
    changes: Mapping[str, Any]
    expected_version: int | None = None


async def edit_customers(
    tx: Tx, requests: Sequence[EditCustomer]
) -> Sequence[party_store.Customer | Refusal]:
    """Store each change."""
    keys = [(request.tenant_id, request.customer_id) for request in requests]
    states = await party_store.lock_customers(tx, keys)
    changed: dict[store.Key, party_store.Customer] = {}
    outcomes: list[party_store.Customer | Refusal] = []
    for request, key in zip(requests, keys, strict=True):
        customer = states.get(key)
        if customer is None:
            outcomes.append(CustomerNotFound())
        elif request.expected_version not in (None, customer.version):
            outcomes.append(VersionMismatch(current=customer.version))
        else:
            person = replace(person_of(customer), **request.changes)
            states[key] = changed[key] = customer_of(tx, customer.tenant_id, person, customer)
            outcomes.append(states[key])
    await party_store.upsert_customers(tx, list(changed.values()))
    return outcomes
