"""The cursor, the blocks we remember, and the transfers found in them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from messaging import Database, Tx
from provider_orchestrator.domain.chain import RING, Block, Cursor, Swept
from provider_orchestrator.domain.transfers import Transfer, Watched

_LOCK_SPACE = 0x7E390
_TRANSFER = """
    t.chain_id, t.block_number, t.block_hash, t.block_at, t.transaction_hash, t.log_index,
    t.ordinal, t.address, t.token, t.asset, t.listed, t.units::text as units, t.payer, t.memo,
    t.blocked
"""
_CURSOR = """
select chain_id, number, hash, block_at, start_number, start_hash, genesis_hash
from chain_cursor where chain_id = $1
"""


async def lock_sweep(tx: Tx, chain_id: int) -> None:
    """Keep everyone else from matching transfers with addresses until this transaction ends."""
    await tx.execute(
        "select pg_advisory_xact_lock($1, hashtext($2))", _LOCK_SPACE, _lock_name(chain_id)
    )


async def lock_watch(tx: Tx, chain_ids: Sequence[int]) -> None:
    """Keep sweeps out until this transaction ends; others who add addresses may go on.

    Without it an address and its money could each be recorded without seeing the other.
    """
    for chain_id in sorted(set(chain_ids)):
        await tx.execute(
            "select pg_advisory_xact_lock_shared($1, hashtext($2))",
            _LOCK_SPACE,
            _lock_name(chain_id),
        )


def _lock_name(chain_id: int) -> str:
    return f"chain:{chain_id}"


async def select_cursor(where: Tx | Database, chain_id: int) -> Cursor | None:
    """How far the chain has been read; None before the first time."""
    rows = await where.fetch(_CURSOR, chain_id)
    return _cursor(rows[0]) if rows else None


def _cursor(row: Any) -> Cursor:
    return Cursor(
        row["chain_id"],
        Block(row["number"], row["hash"], row["block_at"]),
        Block(row["start_number"], row["start_hash"], row["block_at"]),
        row["genesis_hash"],
    )


async def insert_cursor(tx: Tx, cursor: Cursor) -> None:
    """Begin to read a chain, unless somebody has."""
    await tx.execute(
        """
        insert into chain_cursor (chain_id, number, hash, block_at, head_number, start_number,
                                  start_hash, genesis_hash, swept_at)
        values ($1, $2, $3, $4, $2, $2, $3, $5, $6) on conflict (chain_id) do nothing
        """,
        cursor.chain_id,
        cursor.block.number,
        cursor.block.hash,
        cursor.block.at,
        cursor.genesis_hash,
        tx.now,
    )


async def move_cursor(tx: Tx, cursor: Cursor, to: Block, head_number: int) -> bool:
    """Move on (or back) if the cursor is where the caller believes; whether it was."""
    moved = await tx.fetchval(
        """
        update chain_cursor set number = $4::bigint, hash = $5, block_at = $6,
               head_number = greatest($7::bigint, $4::bigint), swept_at = $8
        where chain_id = $1 and number = $2 and hash = $3 returning chain_id
        """,
        cursor.chain_id,
        cursor.block.number,
        cursor.block.hash,
        to.number,
        to.hash,
        to.at,
        head_number,
        tx.now,
    )
    return moved is not None


async def remember_blocks(tx: Tx, swept: Swept) -> None:
    """Keep the blocks that a later look for the common ancestor may need."""
    found = {t.block_number: (t.block_hash, t.block_at) for t in swept.transfers}
    found |= {swept.to.number: (swept.to.hash, swept.to.at)}
    numbers = sorted(found)
    await tx.execute(
        """
        insert into chain_block (chain_id, number, hash, block_at)
        select $1, number, hash, block_at
        from unnest($2::bigint[], $3::bytea[], $4::timestamptz[]) as b(number, hash, block_at)
        on conflict (chain_id, number) do update
            set hash = excluded.hash, block_at = excluded.block_at
        """,
        swept.cursor.chain_id,
        numbers,
        [found[number][0] for number in numbers],
        [found[number][1] for number in numbers],
    )
    await tx.execute(
        """
        delete from chain_block where chain_id = $1 and number < (
            select min(number) from (select number from chain_block where chain_id = $1
                                     order by number desc limit $2) as kept)
        """,
        swept.cursor.chain_id,
        RING,
    )


async def newest_block(where: Tx | Database, chain_id: int, up_to: int) -> Block | None:
    """The newest block up to a number whose hash we know; what is recorded is of its branch."""
    cursor = await select_cursor(where, chain_id)
    if cursor is None or cursor.block.number <= up_to:
        return None if cursor is None else cursor.block
    known = await known_blocks(where, chain_id, up_to, limit=1)
    return known[0] if known else None


async def known_blocks(
    where: Tx | Database, chain_id: int, up_to: int, limit: int = RING
) -> list[Block]:
    """Blocks we hold something of, the highest first: remembered ones and those with transfers."""
    rows = await where.fetch(
        """
        select number, hash, max(block_at) as block_at from (
            (select number, hash, block_at from chain_block
             where chain_id = $1 and number <= $2 order by number desc limit $3)
            union all
            (select block_number, block_hash, block_at from chain_transfer
             where chain_id = $1 and block_number <= $2 and orphaned_at is null
             order by block_number desc limit $3)
        ) as known group by number, hash order by number desc limit $3
        """,
        chain_id,
        up_to,
        limit,
    )
    return [Block(row["number"], row["hash"], row["block_at"]) for row in rows]


async def forget_blocks(tx: Tx, chain_id: int, above: int) -> None:
    """Drop remembered blocks that the chain dropped."""
    await tx.execute("delete from chain_block where chain_id = $1 and number > $2", chain_id, above)


async def insert_transfers(tx: Tx, transfers: Sequence[Transfer]) -> set[Any]:
    """Record transfers; the places of those that were not there, or had been orphaned."""
    rows = await tx.fetch(
        """
        insert into chain_transfer as t (
            chain_id, block_number, block_hash, block_at, transaction_hash, log_index, ordinal,
            payment_id, address, token, asset, listed, units, payer, memo, blocked)
        select chain_id, block_number, block_hash, block_at, transaction_hash, log_index, ordinal,
               payment_id, address, token, asset, listed, units::numeric, payer, memo, blocked
        from unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::timestamptz[], $5::bytea[],
                    $6::int[], $7::int[], $8::uuid[], $9::bytea[], $10::bytea[], $11::text[],
                    $12::bool[], $13::text[], $14::bytea[], $15::bytea[], $16::bool[])
            as n(chain_id, block_number, block_hash, block_at, transaction_hash, log_index, ordinal,
                 payment_id, address, token, asset, listed, units, payer, memo, blocked)
        on conflict (chain_id, block_hash, transaction_hash, log_index) do update
            set orphaned_at = null where t.orphaned_at is not null
        returning t.block_hash, t.transaction_hash, t.log_index
        """,
        *_columns(transfers),
    )
    return {(row["block_hash"], row["transaction_hash"], row["log_index"]) for row in rows}


def _columns(transfers: Sequence[Transfer]) -> list[list[object]]:
    rows = [
        (
            *(t.chain_id, t.block_number, t.block_hash, t.block_at, t.transaction_hash),
            *(t.log_index, t.ordinal, t.payment_id, t.address, t.token, t.asset, t.listed),
            *(str(t.units), t.payer, t.memo, t.blocked),
        )
        for t in transfers
    ]
    return [list(column) for column in zip(*rows, strict=True)]


async def insert_unmatched(tx: Tx, transfers: Sequence[Transfer]) -> None:
    """Keep money that nobody is known for until somebody is."""
    await tx.execute(
        """
        insert into unmatched_transfer (chain_id, block_hash, transaction_hash, log_index, address)
        select chain_id, block_hash, transaction_hash, log_index, address
        from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::int[], $5::bytea[])
            as u(chain_id, block_hash, transaction_hash, log_index, address)
        on conflict (chain_id, block_hash, transaction_hash, log_index) do nothing
        """,
        [t.chain_id for t in transfers],
        [t.block_hash for t in transfers],
        [t.transaction_hash for t in transfers],
        [t.log_index for t in transfers],
        [t.address for t in transfers],
    )


async def take_unmatched(tx: Tx, watched: Sequence[Watched]) -> list[Transfer]:
    """Money that waited for these addresses, in the order of the chain; it waits no more."""
    rows = await tx.fetch(
        f"""
        with taken as (
            delete from unmatched_transfer as u using unnest($1::bigint[], $2::bytea[])
                as w(chain_id, address)
            where u.chain_id = w.chain_id and u.address = w.address
            returning u.chain_id, u.block_hash, u.transaction_hash, u.log_index
        )
        select {_TRANSFER} from taken
        join chain_transfer as t using (chain_id, block_hash, transaction_hash, log_index)
        order by t.chain_id, t.block_number, t.log_index
        """,
        [w.chain_id for w in watched],
        [w.address for w in watched],
    )
    return [_transfer(row) for row in rows]


def _transfer(row: Any) -> Transfer:
    return Transfer(**{**row, "units": int(row["units"])})


async def orphan_transfers(tx: Tx, chain_id: int, above: int, now: datetime) -> dict[UUID, bytes]:
    """Mark what stood in blocks above a number as dropped; block hash by payment id."""
    await tx.execute(
        """
        delete from unmatched_transfer as u using chain_transfer as t
        where t.chain_id = $1 and t.block_number > $2 and u.chain_id = t.chain_id
          and u.block_hash = t.block_hash and u.transaction_hash = t.transaction_hash
          and u.log_index = t.log_index
        """,
        chain_id,
        above,
    )
    rows = await tx.fetch(
        """
        update chain_transfer set orphaned_at = $3
        where chain_id = $1 and block_number > $2 and orphaned_at is null
        returning payment_id, block_hash
        """,
        chain_id,
        above,
        now,
    )
    return {row["payment_id"]: row["block_hash"] for row in rows}


async def count_unmatched(database: Database, chain_id: int, older_than_s: int) -> int:
    """Transfers that have waited longer than this for somebody to own their address."""
    count: int = await database.fetchval(
        """
        select count(*) from unmatched_transfer
        where chain_id = $1 and found_at < now() - make_interval(secs => $2)
        """,
        chain_id,
        older_than_s,
    )
    return count


async def count_addresses(database: Database, chain_id: int) -> int:
    """How many addresses are watched on a chain."""
    count: int = await database.fetchval(
        "select count(*) from watched_address where chain_id = $1", chain_id
    )
    return count


async def select_addresses(database: Database, chain_id: int) -> list[bytes]:
    """Every address that is watched on a chain."""
    rows = await database.fetch(
        "select address from watched_address where chain_id = $1 order by address", chain_id
    )
    return [row["address"] for row in rows]


async def insert_missed(tx: Tx, missed: Sequence[tuple[int, bytes, datetime]]) -> None:
    """Note addresses nobody has looked for since they were made; (chain, address, since)."""
    await tx.execute(
        """
        insert into missed_address as m (chain_id, address, since)
        select chain_id, address, min(since)
        from unnest($1::bigint[], $2::bytea[], $3::timestamptz[]) as n(chain_id, address, since)
        group by chain_id, address order by chain_id, address
        on conflict (chain_id, address) do update set since = least(m.since, excluded.since)
        """,
        [chain_id for chain_id, _, _ in missed],
        [address for _, address, _ in missed],
        [since for _, _, since in missed],
    )


async def insert_overlooked(tx: Tx, swept: Swept) -> None:
    """Note addresses that became known after the filter of this sweep had been made."""
    await tx.execute(
        """
        insert into missed_address (chain_id, address, since)
        select chain_id, address, $3 from watched_address
        where chain_id = $1 and not address = any($2::bytea[])
        on conflict (chain_id, address) do nothing
        """,
        swept.cursor.chain_id,
        sorted(swept.addresses or ()),
        swept.cursor.block.at,
    )


async def select_missed(
    database: Database, chain_id: int, limit: int
) -> list[tuple[bytes, datetime]]:
    """Addresses that have to be looked for in what was read already, the oldest first."""
    rows = await database.fetch(
        """
        select address, since from missed_address where chain_id = $1
        order by since, address limit $2
        """,
        chain_id,
        limit,
    )
    return [(row["address"], row["since"]) for row in rows]


async def delete_missed(tx: Tx, chain_id: int, addresses: Sequence[bytes]) -> None:
    """These were looked for."""
    await tx.execute(
        "delete from missed_address where chain_id = $1 and address = any($2::bytea[])",
        chain_id,
        list(addresses),
    )
