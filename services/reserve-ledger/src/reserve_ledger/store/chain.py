"""Heads of the tenants' chains, and the transactions they are made of."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from messaging import Tx
from reserve_ledger.domain.chain import Head, Posted
from reserve_ledger.store.keys import columns


async def lock_heads(tx: Tx, tenants: Iterable[UUID]) -> dict[UUID, Head]:
    """Lock the tenants' chains, in order, until the transaction ends; makes those that are new.

    The time for what is posted next is read under the lock, not at the transaction's start: so
    time follows sequence, and the books as of a moment are a prefix of the chain.
    """
    rows = await tx.fetch(
        """
        insert into ledger_head as h (tenant_id)
        select tenant_id from unnest($1::uuid[]) as t(tenant_id) order by tenant_id
        on conflict (tenant_id) do update set sequence = h.sequence
        returning tenant_id, sequence, encode(hash, 'hex') as hash,
                  greatest(clock_timestamp(), posted_at) as posted_at
        """,
        list(set(tenants)),
    )
    return {
        row["tenant_id"]: Head(row["tenant_id"], row["sequence"], row["hash"], row["posted_at"])
        for row in rows
    }


async def select_known_causes(tx: Tx, causes: Sequence[tuple[UUID, UUID]]) -> set[UUID]:
    """Those of these events (each with its tenant) that were posted before."""
    rows = await tx.fetch(
        """
        select t.cause_event_id
        from unnest($1::uuid[], $2::uuid[]) as c(tenant_id, cause_event_id)
        join ledger_transaction t using (tenant_id, cause_event_id)
        where t.cause_event_id <> t.id
        """,
        *columns(causes),
    )
    return {row["cause_event_id"] for row in rows}


ENTER: Final = """
    with entered as (
        insert into ledger_transaction
            (tenant_id, id, sequence, template, template_version, cause_event_id, invoice_id,
             payment_id, reverses, posted_at, previous_hash, hash, reference, effective_at,
             metadata, actor)
        select tenant_id, id, sequence, template, template_version, cause_event_id, invoice_id,
               payment_id, reverses, posted_at, previous_hash, hash, reference, effective_at,
               metadata::json, actor
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::smallint[],
                    $6::uuid[], $7::uuid[], $8::uuid[], $9::uuid[], $10::timestamptz[],
                    $11::bytea[], $12::bytea[], $13::text[], $14::timestamptz[], $15::text[],
                    $16::text[])
            as t(tenant_id, id, sequence, template, template_version, cause_event_id,
                 invoice_id, payment_id, reverses, posted_at, previous_hash, hash, reference,
                 effective_at, metadata, actor)
    ), posted as (
        insert into posting
            (tenant_id, transaction_id, sequence, line, account, asset, amount_minor,
             balance_minor, address, address_balance_minor)
        select tenant_id, transaction_id, sequence, line, account, asset, amount_minor,
               balance_minor, address, address_balance_minor
        from unnest($17::uuid[], $18::uuid[], $19::bigint[], $20::smallint[], $21::text[],
                    $22::text[], $23::bigint[], $24::bigint[], $25::text[], $26::bigint[])
            as p(tenant_id, transaction_id, sequence, line, account, asset, amount_minor,
                 balance_minor, address, address_balance_minor)
    )
"""
"""Enters transactions with all their postings, as the schema asks for it: in one statement."""


def entered(posted: Sequence[Posted]) -> list[list[Any]]:
    """What `ENTER` takes, column by column: of the transactions, then of their postings."""
    entries = [p.entry for p in posted]
    legs = [leg for entry in entries for leg in entry.legs]
    tenants, ids = [e.tenant_id for e in entries], [e.id for e in entries]
    sequences, sizes = [p.sequence for p in posted], [len(e.legs) for e in entries]
    return [
        tenants,
        ids,
        sequences,
        [e.template.name for e in entries],
        [e.template.version for e in entries],
        [e.cause_event_id for e in entries],
        [e.invoice_id for e in entries],
        [e.payment_id for e in entries],
        [e.reverses for e in entries],
        [p.posted_at for p in posted],
        [bytes.fromhex(p.previous_hash) for p in posted],
        [bytes.fromhex(p.hash) for p in posted],
        [e.reference for e in entries],
        [e.effective_at for e in entries],
        [e.metadata for e in entries],
        [e.actor for e in entries],
        [tenant for tenant, size in zip(tenants, sizes, strict=True) for _ in range(size)],
        [one for one, size in zip(ids, sizes, strict=True) for _ in range(size)],
        [place for place, size in zip(sequences, sizes, strict=True) for _ in range(size)],
        [line for size in sizes for line in range(1, size + 1)],
        [leg.account for leg in legs],
        [leg.asset for leg in legs],
        [leg.amount_minor for leg in legs],
        [balance for p in posted for balance in p.balances],
        [leg.address for leg in legs],
        [balance for p in posted for balance in p.address_balances],
    ]
