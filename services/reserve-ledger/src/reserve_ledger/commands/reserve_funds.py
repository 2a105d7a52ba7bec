"""Set money apart for refunds and payouts, send it out of the books, or set it free again."""

from collections.abc import Sequence

from invoiceos_contracts import Event
from invoiceos_contracts.payment_v1 import RefundEvent
from messaging import Received, Tx
from messaging.failpoints import failpoint
from reserve_ledger.commands.post_transactions import save_posted, totals_of
from reserve_ledger.domain.reservation_facts import answer_to
from reserve_ledger.domain.reservations import (
    FACTS,
    Asked,
    Decided,
    Desk,
    Lots,
    id_of,
    touched,
)
from reserve_ledger.domain.settling import bookings_by_key
from reserve_ledger.store.balances import open_ledgers
from reserve_ledger.store.books import select_bookings, upsert_bookings
from reserve_ledger.store.chain import lock_heads
from reserve_ledger.store.reservations import (
    select_credits,
    select_promised,
    select_reservations,
    upsert_reservations,
)


async def reserve_funds(tx: Tx, events: Sequence[Received[Event]]) -> None:
    """Decide each request on the balances the one before it left, under the lock on the chain.

    A request is answered once, however often it comes: reserved, or refused for good.
    """
    facts = [(event.fact, event.id) for event in events if isinstance(event.fact, FACTS)]
    if not facts:
        return
    heads = await lock_heads(tx, (fact.tenant_id for fact, _ in facts))
    known = await select_reservations(tx, [(fact.tenant_id, id_of(fact)) for fact, _ in facts])
    lots = await _lots(tx, [fact for fact, _ in facts])
    ledgers = await open_ledgers(
        tx, heads, ((fact.tenant_id, leg) for fact, _ in facts for leg in touched(fact))
    )
    before = totals_of(ledgers.values())
    desk = Desk(known, lots, ledgers, tx.new_id)
    taken = [(desk.take(fact, cause), cause) for fact, cause in facts]
    decided = [(found, cause) for found, cause in taken if found is not None]
    if not decided:
        return
    latest: dict[tuple[object, object], Decided] = {
        (found.reservation.tenant_id, found.reservation.id): found for found, _ in decided
    }
    await upsert_reservations(tx, [found.reservation for found in latest.values()])
    if desk.changed:
        await upsert_bookings(tx, [desk.bookings[key] for key in sorted(desk.changed)])
    failpoint("ledger.reserved")
    tx.stage((answer_to(found), cause) for found, cause in decided)
    posted = [each for found, _ in decided for each in (found.posted, found.onwards) if each]
    await save_posted(tx, ledgers, before, posted)


async def _lots(tx: Tx, facts: Sequence[Event]) -> Lots:
    """What is left of the payments that refunds are of, and what is promised already."""
    payments = list({(f.tenant_id, f.payment_id) for f in facts if isinstance(f, RefundEvent)})
    leaving = [f.tenant_id for f in facts if isinstance(f, Asked) and f.held_at == "treasury"]
    promised = await select_promised(tx, leaving) if leaving else {}
    if not payments:
        return Lots({}, {}, promised)
    bookings = await select_bookings(tx, payments, [])
    return Lots(await select_credits(tx, payments), bookings_by_key(bookings), promised)
