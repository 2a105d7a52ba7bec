"""Book what happens to payments at providers and deposit addresses after they succeeded."""

from collections.abc import Sequence

from invoiceos_contracts import Event
from invoiceos_contracts.payment_v1 import PaymentDisputeClosed, PaymentDisputed, PaymentSucceeded
from messaging import Received, Tx
from messaging.failpoints import failpoint
from reserve_ledger.commands.post_transactions import save_posted, totals_of
from reserve_ledger.domain import movements
from reserve_ledger.domain.settling import (
    Known,
    Settlements,
    bookings_by_key,
    concerns,
    payments_of,
    touched,
)
from reserve_ledger.store import settling as store
from reserve_ledger.store.balances import open_ledgers
from reserve_ledger.store.books import select_bookings, upsert_bookings
from reserve_ledger.store.chain import lock_heads, select_known_causes
from reserve_ledger.store.reservations import select_credits

Fact = Received[Event]
_DISPUTES = (PaymentDisputed, PaymentDisputeClosed)


async def settle_payments(tx: Tx, events: Sequence[Fact]) -> None:
    """Decide each fact on what the facts before it left, under the lock on the chain.

    Runs after the payments of the same poll are booked. What is said again changes nothing.
    """
    events = [event for event in events if concerns(event.fact)]
    if not events:
        return
    heads = await lock_heads(tx, (event.tenant_id for event in events))
    before = await select_known_causes(tx, [(event.tenant_id, event.id) for event in events])
    facts = [
        (event.fact, event.id)
        for event in events
        # A success was booked by the same event just before; here it brings what waited for it.
        if event.id not in before or isinstance(event.fact, PaymentSucceeded)
    ]
    known = await _known(tx, [fact for fact, _ in facts])
    ledgers = await open_ledgers(
        tx, heads, ((fact.tenant_id, leg) for fact, _ in facts for leg in touched(fact, known))
    )
    totals = totals_of(ledgers.values())
    settlements = Settlements(known, ledgers, tx.new_id)
    for fact, cause in facts:
        settlements.take(fact, cause)
    await _save(tx, known, settlements)
    failpoint("ledger.settled")
    tx.stage(settlements.stated)
    await save_posted(tx, ledgers, totals, settlements.posted)


async def _known(tx: Tx, facts: Sequence[Event]) -> Known:
    payments = list({key for fact in facts for key in payments_of(fact)})
    known = Known()
    moved = {
        (fact.tenant_id, movements.name_of(fact))
        for fact in facts
        if isinstance(fact, movements.FACTS)
    }
    if moved:
        found = await store.select_movements(tx, list(moved))
        known.movements = {(m.tenant_id, m.id): m for m in found}
    if payments:
        known.bookings = bookings_by_key(await select_bookings(tx, payments, []))
        known.cleared = await store.select_cleared(tx, payments)
        known.fees = await store.select_fees(tx, payments)
        named = [(f.tenant_id, f.dispute_id) for f in facts if isinstance(f, _DISPUTES)]
        disputes = await store.select_disputes(tx, payments, named)
        known.disputes = {(d.tenant_id, d.id): d for d in disputes}
        if disputes or named:
            known.credits = await select_credits(tx, payments)
    return known


async def _save(tx: Tx, known: Known, settlements: Settlements) -> None:
    changed = settlements.changed
    if changed.bookings:
        await upsert_bookings(tx, [known.bookings[key] for key in sorted(changed.bookings)])
    if changed.cleared:
        await store.insert_cleared(tx, changed.cleared)
    if changed.fees:
        await store.upsert_fees(tx, [(*key, known.fees[key]) for key in sorted(changed.fees)])
    if changed.disputes:
        await store.upsert_disputes(tx, [known.disputes[key] for key in sorted(changed.disputes)])
    if changed.movements:
        moved = [known.movements[key] for key in sorted(changed.movements)]
        await store.upsert_movements(tx, moved)
