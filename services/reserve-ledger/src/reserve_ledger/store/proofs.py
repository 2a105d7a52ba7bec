"""Proofs of what is owed, with their trees and leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from messaging import Tx
from reserve_ledger.domain.liabilities import Leaf


@dataclass(frozen=True, slots=True)
class Owed:
    """A holder, and what is owed in one asset."""

    tenant_id: UUID
    account: str
    invoice_id: UUID | None
    asset: str
    minor: int


@dataclass(frozen=True, slots=True)
class Proof:
    """A root, and what it stands for."""

    id: UUID
    asset: str
    statement_sequence: int
    leaf_count: int
    total_minor: int
    root: str
    signature: str
    key_id: str


async def due_since(tx: Tx, every: timedelta) -> int | None:
    """The statement to prove as of, locked against postings; None where none is due."""
    await tx.execute("select from reserve_head for update")
    sequence: int | None = await tx.fetchval(
        """
        select sequence from reserve_head
        where sequence > 0 and not exists (
            select from liability_proof p
            where p.statement_sequence = reserve_head.sequence
               or p.proved_at > $1::timestamptz - $2::interval)
        """,
        tx.now,
        every,
    )
    return sequence


async def select_owed(tx: Tx) -> list[Owed]:
    """What every holder is owed: a tenant by account, payers by invoice. One snapshot.

    Where the credit of an invoice was spent for another one, the tenant's payers are one holder.
    """
    rows = await tx.fetch(
        """
        with payer as (
            select p.tenant_id, p.asset, t.invoice_id, -sum(p.amount_minor)::bigint as minor,
                   min(-sum(p.amount_minor)) over (partition by p.tenant_id, p.asset) < 0 as mixed
            from posting p join ledger_transaction t using (tenant_id, sequence)
            where p.account = '2500' group by p.tenant_id, p.asset, t.invoice_id
        )
        select tenant_id, account, null::uuid as invoice_id, asset,
               credit_minor - debit_minor as minor
        from account_balance
        where account like '2%' and account <> '2500' and credit_minor <> debit_minor
        union all
        select tenant_id, '2500', case when mixed then null else invoice_id end, asset,
               sum(minor)::bigint
        from payer group by 1, 2, 3, 4 having sum(minor) <> 0
        order by 4, 1, 2, 3
        """
    )
    return [Owed(**row) for row in rows]


async def insert_proof(
    tx: Tx, proof: Proof, leaves: Sequence[Leaf], levels: Sequence[bytes]
) -> None:
    """Keep a proof with its tree and its leaves."""
    await tx.execute(
        """
        insert into liability_proof (id, asset, statement_sequence, leaf_count, total_minor, root,
                                     proved_at, signature, key_id)
        values ($1, $2, $3, $4, $5::text::numeric, decode($6, 'hex'), $7, $8, $9)
        """,
        proof.id,
        proof.asset,
        proof.statement_sequence,
        proof.leaf_count,
        str(proof.total_minor),
        proof.root,
        tx.now,
        proof.signature,
        proof.key_id,
    )
    await tx.execute(
        """
        insert into liability_level (proof_id, level, nodes)
        select $1, level, nodes from unnest($2::int[], $3::bytea[]) as l(level, nodes)
        """,
        proof.id,
        list(range(len(levels))),
        list(levels),
    )
    await tx.execute(
        """
        insert into liability_leaf (tenant_id, proof_id, place, holder, account, invoice_id,
                                    balance_minor, salt)
        select tenant_id, $1, place, holder, account, invoice_id, balance_minor, salt
        from unnest($2::uuid[], $3::int[], $4::text[], $5::text[], $6::uuid[], $7::bigint[],
                    $8::bytea[])
            as l(tenant_id, place, holder, account, invoice_id, balance_minor, salt)
        """,
        proof.id,
        [leaf.tenant_id for leaf in leaves],
        list(range(len(leaves))),
        [leaf.holder for leaf in leaves],
        [leaf.account for leaf in leaves],
        [leaf.invoice_id for leaf in leaves],
        [leaf.balance_minor for leaf in leaves],
        [leaf.salt for leaf in leaves],
    )
