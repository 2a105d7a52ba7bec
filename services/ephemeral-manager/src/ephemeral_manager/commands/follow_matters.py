"""Know what is open about an invoice's money, so that its wallet is not destroyed meanwhile."""

from collections.abc import Sequence

from ephemeral_manager.domain.matters import matter_of
from ephemeral_manager.store.matters import upsert_matters
from invoiceos_contracts import Event
from messaging import Tx


async def follow_matters(tx: Tx, facts: Sequence[Event]) -> None:
    """Note what began and what ended, whether or not a wallet is known here yet."""
    found = [matter for fact in facts if (matter := matter_of(fact)) is not None]
    if found:
        await upsert_matters(tx, found)
