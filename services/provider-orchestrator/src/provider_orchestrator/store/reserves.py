"""What was observed of reserve sources, and what their movements were."""

from uuid import UUID

from invoiceos_contracts.provider_v1 import StatementLine
from messaging import Tx
from provider_orchestrator.domain.chain import Block
from provider_orchestrator.domain.reserves import ChainSource, Deposits, Looked

DEEP = 1000
"""Blocks below which no reorganisation goes: sums up to there are not made again."""


async def deposits_up_to(tx: Tx, looked: Looked) -> Deposits:
    """What came in of a token up to a block, and which part of it nobody was told of.

    One statement, so that a transfer is never both: waiting and announced.
    """
    row = await tx.fetchrow(
        """
        with base as (
            select block_number, deposits_minor, held_elsewhere_minor
            from reserve_observation
            where source_id = $1 and block_number <= $5 - $6::bigint
            order by block_number desc limit 1
        ), since as (
            select coalesce(sum(units), 0) as total,
                   coalesce(sum(units) filter (where blocked), 0) as held
            from chain_transfer
            where chain_id = $2 and token = $3 and orphaned_at is null and block_number <= $5
              and block_number > coalesce((select block_number from base), -1)
        ), waiting as (
            select coalesce(sum(t.units), 0) as minor
            from unmatched_transfer u
            join chain_transfer t using (chain_id, block_hash, transaction_hash, log_index)
            where t.chain_id = $2 and t.token = $3 and t.block_number <= $5
              and t.orphaned_at is null
        ), pending as (
            select coalesce(sum(amount_minor), 0) as minor from payment
            where state = 'seen' and chain_id = $2 and asset = $4 and block_number <= $5
        )
        select (since.total + coalesce((select deposits_minor from base), 0))::text as total,
               (since.held + coalesce((select held_elsewhere_minor from base), 0))::text as held,
               (waiting.minor + pending.minor)::text as unannounced
        from since, waiting, pending
        """,
        looked.at.source.id,
        looked.at.chain_id,
        looked.at.token,
        looked.at.source.asset,
        looked.block.number,
        DEEP,
    )
    return Deposits(int(row["total"]), int(row["held"]), int(row["unannounced"]))


async def insert_observation(tx: Tx, looked: Looked, deposits: Deposits | None) -> bool:
    """Keep an observation; False where the block was looked at before."""
    known = deposits or Deposits()
    kept = await tx.fetchval(
        """
        insert into reserve_observation
            (source_id, block_number, chain_id, block_hash, balance_minor, deposits_minor,
             held_elsewhere_minor, observed_at)
        values ($1, $2, $3, $4, $5::text::numeric, $6::text::numeric, $7::text::numeric, $8)
        on conflict (source_id, block_number) do nothing returning block_number
        """,
        looked.at.source.id,
        looked.block.number,
        looked.at.chain_id,
        looked.block.hash,
        str(looked.balance_minor),
        None if deposits is None else str(known.total),
        str(known.held_elsewhere),
        tx.now,
    )
    return kept is not None


async def trim_observations(tx: Tx, looked: Looked, keep: int) -> None:
    """Forget what is older than the newest observation that lies deep enough to build on."""
    await tx.execute(
        """
        delete from reserve_observation where source_id = $1 and block_number < (
            select max(block_number) from reserve_observation
            where source_id = $1 and block_number <= $2 - $3::bigint)
        """,
        looked.at.source.id,
        looked.block.number,
        keep,
    )


async def forget_observations(tx: Tx, chain_id: int, above: int) -> None:
    """Drop what was observed in blocks that the chain dropped."""
    await tx.execute(
        "delete from reserve_observation where chain_id = $1 and block_number > $2", chain_id, above
    )


async def select_listing(tx: Tx, source_id: UUID) -> tuple[Block, int | None] | None:
    """The block up to which movements were listed, and what was held then; locked."""
    row = await tx.fetchrow(
        """
        select block_number, block_at, closing_minor::text as closing
        from reserve_listing where source_id = $1 for update
        """,
        source_id,
    )
    if row is None:
        return None
    closing = None if row["closing"] is None else int(row["closing"])
    return Block(row["block_number"], b"", row["block_at"]), closing


async def upsert_listing(tx: Tx, at: ChainSource, until: Block, closing_minor: int | None) -> None:
    """Remember up to where movements are listed."""
    await tx.execute(
        """
        insert into reserve_listing (source_id, chain_id, block_number, block_at, closing_minor)
        values ($1, $2, $3, $4, $5::text::numeric)
        on conflict (source_id) do update
        set block_number = excluded.block_number, block_at = excluded.block_at,
            closing_minor = excluded.closing_minor
        """,
        at.source.id,
        at.chain_id,
        until.number,
        until.at,
        None if closing_minor is None else str(closing_minor),
    )


async def select_movements(
    tx: Tx, at: ChainSource, blocks: tuple[int, int], limit: int
) -> list[tuple[Block, StatementLine]]:
    """Deposits after one block up to another, in the order of the chain, `limit` and one more."""
    rows = await tx.fetch(
        """
        select block_number, block_hash, block_at, transaction_hash, ordinal,
               units::text as units, address, memo
        from chain_transfer
        where chain_id = $1 and token = $2 and orphaned_at is null
          and block_number > $3 and block_number <= $4
        order by block_number, log_index limit $5
        """,
        at.chain_id,
        at.token,
        *blocks,
        limit + 1,
    )
    return [
        (
            Block(row["block_number"], row["block_hash"], row["block_at"]),
            StatementLine(
                reference=f"0x{row['transaction_hash'].hex()}:{address}:{row['ordinal']}",
                amount_minor=int(row["units"]),
                at=row["block_at"],
                related=address,
                memo=None if row["memo"] is None else "0x" + row["memo"].hex(),
                status="captured",
            ),
        )
        for row in rows
        for address in ["0x" + row["address"].hex()]
    ]
