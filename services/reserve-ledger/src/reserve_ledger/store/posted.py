"""Transactions as they were posted, with their legs."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from messaging import Tx
from reserve_ledger.domain.catalogue import Leg, Template
from reserve_ledger.domain.chain import Posted
from reserve_ledger.domain.entries import Entry
from reserve_ledger.store.keys import columns

TRANSACTION: Final = """
    select t.tenant_id, t.id, t.sequence, t.template, t.template_version, t.cause_event_id,
           t.invoice_id, t.payment_id, t.reverses, t.posted_at, t.reference, t.effective_at,
           t.metadata::text as metadata, t.actor,
           encode(t.previous_hash, 'hex') as previous_hash, encode(t.hash, 'hex') as hash,
           p.accounts, p.assets, p.amounts, p.addresses, p.balances, p.at_addresses
    from ledger_transaction t
    cross join lateral (
        select coalesce(array_agg(account::text order by line), '{}') as accounts,
               coalesce(array_agg(asset::text order by line), '{}') as assets,
               coalesce(array_agg(amount_minor order by line), '{}') as amounts,
               coalesce(array_agg(address order by line), '{}') as addresses,
               coalesce(array_agg(balance_minor order by line), '{}') as balances,
               coalesce(array_agg(coalesce(address_balance_minor, balance_minor) order by line),
                        '{}') as at_addresses
        from posting where tenant_id = t.tenant_id and sequence = t.sequence
    ) p
"""


async def select_named(
    tx: Tx, keys: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], Posted]:
    """Transactions by tenant and id."""
    rows = await tx.fetch(
        TRANSACTION
        + """
        join unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id)
            on k.tenant_id = t.tenant_id and k.id = t.id
        """,
        *columns(keys),
    )
    return {(row["tenant_id"], row["id"]): posted_of(row) for row in rows}


async def select_reversals(
    tx: Tx, keys: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], UUID]:
    """What reversed these transactions, of those that are reversed."""
    rows = await tx.fetch(
        """
        select t.tenant_id, t.reverses, t.id
        from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, id)
        join ledger_transaction t on t.tenant_id = k.tenant_id and t.reverses = k.id
        where t.reverses is not null
        """,
        *columns(keys),
    )
    return {(row["tenant_id"], row["reverses"]): row["id"] for row in rows}


def posted_of(row: Any) -> Posted:
    """A transaction from its row."""
    return Posted(
        entry=Entry(
            tenant_id=row["tenant_id"],
            id=row["id"],
            template=Template(row["template"], row["template_version"]),
            cause_event_id=row["cause_event_id"],
            legs=tuple(map(Leg, row["accounts"], row["assets"], row["amounts"], row["addresses"])),
            invoice_id=row["invoice_id"],
            payment_id=row["payment_id"],
            reverses=row["reverses"],
            reference=row["reference"],
            effective_at=row["effective_at"],
            metadata=row["metadata"],
            actor=row["actor"],
        ),
        sequence=row["sequence"],
        posted_at=row["posted_at"],
        previous_hash=row["previous_hash"],
        hash=row["hash"],
        balances=tuple(row["balances"]),
        address_balances=tuple(row["at_addresses"]),
    )
