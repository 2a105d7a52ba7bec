"""A verified webhook is kept as it came; what it points at is read again later."""

from collections.abc import Sequence
from datetime import timedelta

from messaging import Tx
from provider_orchestrator.domain.provider_payouts import POINTER
from provider_orchestrator.store import webhooks as store
from provider_orchestrator.store.provider_payouts import hasten_listings
from provider_orchestrator.store.settling import hasten_watches
from provider_orchestrator.store.webhooks import Delivered

TRIES = (1, 5, 30, 120, 600, 3600)
"""Seconds until it is looked at again: it may have come before we knew what it is of."""


async def keep_webhooks(tx: Tx, delivered: Sequence[Delivered]) -> list[Delivered]:
    """Keep each event once, however often it is delivered."""
    await store.insert_webhooks(tx, delivered)
    tx.wake()
    return list(delivered)


async def follow_webhooks(tx: Tx, limit: int) -> int:
    """Have what webhooks point at asked after now; how many were looked at.

    Attempts that have ended are asked after too: what was captured late must not be lost. So is
    collected money: its fee, its release and its disputes are told by the provider alone.
    """
    due = await store.lock_due(tx, limit)
    if not due:
        return 0
    found = await store.hasten(tx, due) | await hasten_watches(tx, due)
    if payouts := [one for one in due if POINTER in one.hints]:
        await hasten_listings(tx, [one.provider for one in payouts])
        found |= {one.key for one in payouts}
        tx.wake()
    later = {
        one.key: tx.now + timedelta(seconds=TRIES[one.tries])
        for one in due
        if one.key not in found and one.tries < len(TRIES)
    }
    await store.save_followed(tx, due, found, later)
    return len(due)
