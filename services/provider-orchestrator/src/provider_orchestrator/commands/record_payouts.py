"""What providers say of their payouts to our bank becomes facts, each once."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from invoiceos_contracts import Event
from messaging import Tx, failpoint
from provider_orchestrator.domain.provider_payouts import (
    Holdings,
    PayoutSaid,
    PayoutState,
    ProviderPayout,
    first_heard,
    heard,
)
from provider_orchestrator.store import provider_payouts as store


async def record_payouts(tx: Tx, provider: str, said: Sequence[PayoutSaid]) -> None:
    """Divide payouts that are new over the tenants, and say how far each has come.

    The row of the provider is locked first: whoever else has the same list waits, and finds them
    known.
    """
    await store.lock_listing(tx, provider)
    known = await store.select_payouts(tx, provider, [one.reference for one in said])
    holdings: dict[str, dict[UUID, Holdings]] = {}
    new: dict[str, ProviderPayout] = {}
    changed: dict[str, ProviderPayout] = {}
    facts: list[Event] = []
    for one in sorted(said, key=lambda payout: (payout.made_at, payout.reference)):
        before = new.get(one.reference) or known.get(one.reference)
        if before is not None:
            after, stated = heard(before, one, tx.now)
            if stated or after is not before:
                (new if one.reference in new else changed)[one.reference] = after
                known[one.reference] = after
        else:
            if one.asset not in holdings:
                holdings[one.asset] = await store.select_holdings(tx, provider, one.asset)
            has = holdings[one.asset]
            after, stated = first_heard(provider, one, has, tx.new_id, tx.now)
            new[one.reference] = after
            if after.state is not PayoutState.FAILED:
                _taken(has, after)
        facts += stated
    await store.insert_payouts(tx, list(new.values()))
    await store.save_payouts(tx, list(changed.values()))
    tx.stage(facts)
    failpoint("provider_payout.recorded")


def _taken(holdings: dict[UUID, Holdings], payout: ProviderPayout) -> None:
    for part in payout.parts:
        has = holdings[part.tenant_id]
        holdings[part.tenant_id] = replace(
            has, released_minor=has.released_minor - part.amount_minor
        )
