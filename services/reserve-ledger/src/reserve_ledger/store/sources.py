"""What was observed of the reserve, what is breached, and whether anything is frozen."""

from collections.abc import Mapping, Sequence
from typing import Any

from invoiceos_contracts.ledger_v1 import ReserveStated
from messaging import Tx
from reserve_ledger.domain.chain import AccountKey
from reserve_ledger.domain.sources import Source, View

_SOURCE = """source_id, source, kind, asset, balance_minor::text, opening_minor::text,
    deposits_minor::text, held_elsewhere_minor::text, unannounced_minor::text, block_number,
    block_hash, as_of"""


async def lock_statements(tx: Tx) -> None:
    """Keep statements away until this transaction ends; after every other lock of a batch."""
    await tx.execute("select from reserve_head for update")


async def select_view(tx: Tx) -> View:
    """What a statement says beside the book."""
    row = await tx.fetchrow(
        """
        select (select coalesce(jsonb_object_agg(asset, booked_minor::text), '{}')
                from reserve_booked) as booked,
               (select coalesce(jsonb_agg(jsonb_build_array(kind, asset, difference_minor::text)),
                                '[]') from reserve_breach) as breaches,
               (select frozen from reserve_freeze) as frozen,
               exists (select from reserve_source) as observed
        """
    )
    return await view_of(tx, row)


async def view_of(tx: Tx, row: Any) -> View:
    """The view of a row that says what is booked, breached, frozen, and if sources were seen."""
    rows = []
    if row["observed"]:
        rows = await tx.fetch(f"select {_SOURCE} from reserve_source order by kind, asset, source")
    return View(
        sources=[_source(found) for found in rows],
        booked={asset: int(minor) for asset, minor in row["booked"].items()},
        breaches={(kind, asset): int(minor) for kind, asset, minor in row["breaches"]},
        frozen=row["frozen"],
    )


def _source(row: Any) -> Source:
    plain = dict(row)
    for name in ("balance_minor", "opening_minor", "held_elsewhere_minor", "unannounced_minor"):
        plain[name] = int(plain[name])
    if plain["deposits_minor"] is not None:
        plain["deposits_minor"] = int(plain["deposits_minor"])
    return Source(**plain)


async def select_totals(tx: Tx) -> dict[AccountKey, int]:
    """The platform's balances by account and asset, in minor units."""
    rows = await tx.fetch("select account, asset, balance_minor from reserve_total")
    return {(row["account"], row["asset"]): row["balance_minor"] for row in rows}


async def upsert_sources(tx: Tx, sources: Sequence[Source]) -> None:
    """Save what was seen. What was there first stays as it was, and an older look changes nothing.

    A block that was looked at again after a reorganisation counts by its time.
    """
    ordered = sorted(sources, key=lambda source: source.source_id)
    await tx.execute(
        """
        insert into reserve_source as s
            (source_id, source, kind, asset, balance_minor, opening_minor, deposits_minor,
             held_elsewhere_minor, unannounced_minor, block_number, block_hash, as_of)
        select source_id, source, kind, asset, balance::numeric, opening::numeric,
               deposits::numeric, held::numeric, unannounced::numeric, block_number, block_hash,
               as_of
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                    $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[],
                    $12::timestamptz[])
            as n(source_id, source, kind, asset, balance, opening, deposits, held, unannounced,
                 block_number, block_hash, as_of)
        on conflict (source_id) do update
        set balance_minor = excluded.balance_minor, deposits_minor = excluded.deposits_minor,
            held_elsewhere_minor = excluded.held_elsewhere_minor,
            unannounced_minor = excluded.unannounced_minor, block_number = excluded.block_number,
            block_hash = excluded.block_hash, as_of = excluded.as_of
        where excluded.as_of >= s.as_of
          and coalesce(excluded.block_number, 0) >= coalesce(s.block_number, 0)
        """,
        [source.source_id for source in ordered],
        [source.source for source in ordered],
        [source.kind for source in ordered],
        [source.asset for source in ordered],
        [str(source.balance_minor) for source in ordered],
        [str(source.opening_minor) for source in ordered],
        [None if s.deposits_minor is None else str(s.deposits_minor) for s in ordered],
        [str(source.held_elsewhere_minor) for source in ordered],
        [str(source.unannounced_minor) for source in ordered],
        [source.block_number for source in ordered],
        [source.block_hash for source in ordered],
        [source.as_of for source in ordered],
    )


async def insert_observed(tx: Tx, stated: ReserveStated) -> None:
    """Keep what a statement says of its sources."""
    await tx.execute(
        """
        insert into reserve_statement_observed (sequence, observed, comparisons, signature)
        values ($1, $2::jsonb, $3::jsonb, $4)
        """,
        stated.sequence,
        [shape.model_dump(mode="json") for shape in stated.observed],
        [shape.model_dump(mode="json") for shape in stated.comparisons],
        stated.observed_signature,
    )


async def save_breaches(
    tx: Tx, stated: ReserveStated, now: Mapping[tuple[str, str], int], *, frozen: bool
) -> None:
    """Keep what is breached after a statement, and whether everything stands still."""
    keys = sorted(now)
    await tx.execute(
        """
        with gone as (
            delete from reserve_breach
            where (kind, asset) not in (select * from unnest($1::text[], $2::text[]))
        ), kept as (
            insert into reserve_breach as b (kind, asset, difference_minor, sequence, breached_at)
            select kind, asset, difference::numeric, $4, $5
            from unnest($1::text[], $2::text[], $3::text[]) as n(kind, asset, difference)
            on conflict (kind, asset) do update set difference_minor = excluded.difference_minor
        )
        update reserve_freeze set frozen = true, sequence = $4, frozen_at = $5, lifted_at = null,
            lifted_by = null, reason = null
        where $6 and not frozen
        """,
        [kind for kind, _ in keys],
        [asset for _, asset in keys],
        [str(now[key]) for key in keys],
        stated.sequence,
        stated.stated_at,
        frozen,
    )


async def lift_freeze(tx: Tx, lifted_by: str, reason: str) -> int | None:
    """Let issuing and payouts go on; the statement that froze them, None where nothing stood."""
    found: int | None = await tx.fetchval(
        """
        update reserve_freeze set frozen = false, lifted_at = $1, lifted_by = $2, reason = $3
        where frozen returning sequence
        """,
        tx.now,
        lifted_by,
        reason,
    )
    return found
