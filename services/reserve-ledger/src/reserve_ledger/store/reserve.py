"""The platform's totals and the statements about them."""

from collections.abc import Mapping, Sequence

from invoiceos_contracts.ledger_v1 import ReserveStated
from messaging import Tx
from reserve_ledger.domain.chain import AccountKey, Head
from reserve_ledger.domain.reserve import Next
from reserve_ledger.domain.sources import View
from reserve_ledger.store.sources import view_of


async def next_statement(
    tx: Tx, changes: Mapping[AccountKey, int]
) -> tuple[Next, dict[AccountKey, int], View]:
    """Take the next place in the series of statements, after every other lock of a batch.

    Adds a batch's changes to the platform's totals; all of them as they then are, in minor units,
    and what else a statement says.
    """
    ordered = sorted(changes.items())
    row = await tx.fetchrow(
        """
        select place, hash_before, stated_at, total_accounts, total_assets, totals, booked,
               breaches, frozen, observed
        from next_statement($1, $2, $3)
        """,
        [account for (account, _), _ in ordered],
        [asset for (_, asset), _ in ordered],
        [minor for _, minor in ordered],
    )
    keys = zip(row["total_accounts"] or (), row["total_assets"] or (), strict=True)
    totals = dict(zip(keys, row["totals"] or (), strict=True))
    view = await view_of(tx, row)
    return Next(row["place"], row["hash_before"], row["stated_at"]), totals, view


async def insert_statement(tx: Tx, stated: ReserveStated, heads: Sequence[Head]) -> None:
    """Keep a statement, and what its head hash was made of.

    The statement is the platform's, so from here on the transaction shows what is the platform's.
    """
    await tx.execute(
        """
        with kept as (
            insert into reserve_statement
                (sequence, positions, covered, heads, ledger_head, previous_hash, signature,
                 key_id, stated_at)
            values ($1, $2::jsonb, $3, $4::jsonb, decode($5, 'hex'), decode($6, 'hex'), $7, $8, $9)
        ), moved as (
            update reserve_head set hash = decode($5, 'hex') where sequence = $1
        )
        select set_config('app.tenants', concat_ws(',',
            nullif(current_setting('app.tenants', true), ''), $10::uuid::text), true)
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
        stated.tenant_id,
    )
