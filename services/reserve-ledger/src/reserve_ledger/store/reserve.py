"""The platform's totals and the statements about them."""

from collections.abc import Mapping, Sequence

from invoiceos_contracts.ledger_v1 import ReserveStated
from messaging import Tx
from reserve_ledger.domain.chain import AccountKey, Head
from reserve_ledger.domain.reserve import Next


async def lock_reserve(tx: Tx) -> Next:
    """Take the next place in the series of statements, after every other lock of a batch."""
    row = await tx.fetchrow(
        """
        update reserve_head set sequence = sequence + 1
        returning sequence, encode(hash, 'hex') as hash, clock_timestamp() as stated_at
        """
    )
    return Next(row["sequence"], row["hash"], row["stated_at"])


async def add_to_reserve(tx: Tx, changes: Mapping[AccountKey, int]) -> dict[AccountKey, int]:
    """Add a batch's changes to the platform's totals; all totals as they then are, minor units."""
    ordered = sorted(changes.items())
    rows = await tx.fetch(
        """
        with changed as (
            insert into reserve_total as r (account, asset, balance_minor)
            select account, asset, change_minor
            from unnest($1::text[], $2::text[], $3::bigint[]) as c(account, asset, change_minor)
            on conflict (account, asset) do update
            set balance_minor = r.balance_minor + excluded.balance_minor
            returning account, asset, balance_minor
        )
        select account, asset, balance_minor from changed
        union all
        select account, asset, balance_minor from reserve_total
        where (account, asset) not in (select account, asset from changed)
        """,
        [account for (account, _), _ in ordered],
        [asset for (_, asset), _ in ordered],
        [minor for _, minor in ordered],
    )
    return {(row["account"], row["asset"]): row["balance_minor"] for row in rows}


async def insert_statement(tx: Tx, stated: ReserveStated, heads: Sequence[Head]) -> None:
    """Keep a statement, and what its head hash was made of."""
    await tx.execute(
        """
        with kept as (
            insert into reserve_statement
                (sequence, positions, covered, heads, ledger_head, previous_hash, signature,
                 key_id, stated_at)
            values ($1, $2::jsonb, $3, $4::jsonb, decode($5, 'hex'), decode($6, 'hex'), $7, $8, $9)
        )
        update reserve_head set hash = decode($5, 'hex') where sequence = $1
        """,
        stated.sequence,
        [position.model_dump(mode="json") for position in stated.positions],
        stated.covered,
        sorted([str(head.tenant_id), head.hash] for head in heads),
        stated.ledger_head,
        stated.previous_hash,
        stated.signature,
        stated.key_id,
        stated.stated_at,
    )
