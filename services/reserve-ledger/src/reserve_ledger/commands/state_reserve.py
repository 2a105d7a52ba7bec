"""State, with each batch of postings, that the reserve covers what circulates."""

from collections.abc import Mapping, Sequence

import structlog

from messaging import Tx
from reserve_ledger.domain import reserve
from reserve_ledger.domain.chain import AccountKey, Head
from reserve_ledger.settings import signer
from reserve_ledger.store.reserve import add_to_reserve, insert_statement, lock_reserve

log = structlog.get_logger()


async def state_reserve(tx: Tx, changes: Mapping[AccountKey, int], heads: Sequence[Head]) -> None:
    """Add what a batch changed to the platform's totals, and state where they stand, signed.

    A breach is stated, not raised: the world must hear of it, and payments must not stop.
    """
    place = await lock_reserve(tx)
    totals = await add_to_reserve(tx, changes)
    stated = reserve.state(totals, heads, place, signer())
    if not stated.covered:
        log.error("reserve.breached", sequence=stated.sequence)
    await insert_statement(tx, stated, heads)
    tx.stage([stated])
