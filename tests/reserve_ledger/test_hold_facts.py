"""Each fact about a hold or an escrow is stated once, with what changed, in the same transaction."""

import random
from datetime import UTC, datetime

import pytest
from tests.reserve_ledger.desks import ESCROW, MINE, NET, SHOP, Desk, holding, moving

from invoiceos_contracts import encode
from invoiceos_contracts.hold_v1 import (
    EscrowEvent,
    EscrowHeld,
    EscrowReleased,
    EscrowReturned,
    HoldCaptured,
    HoldEvent,
    HoldExpired,
    HoldPlaced,
    HoldVoided,
)
from messaging import Tx
from reserve_ledger.commands import hold_funds
from reserve_ledger.domain.addresses import code_of
from reserve_ledger.domain.catalogue import Leg
from reserve_ledger.domain.chain import Head, Ledger
from reserve_ledger.domain.entries import Entry
from reserve_ledger.domain.hold_facts import escrow_facts
from reserve_ledger.domain.tenant_postings import POSTED
from testkit.service import ServiceUnderTest

PAYER = "payer:cus-9"
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


async def test_a_hold_says_when_it_is_placed_captured_given_up_and_over(
    ledger: ServiceUnderTest, desk: Desk
) -> None:
    now = await ledger.worker.fetchval("select clock_timestamp() + interval '1 hour'")
    kept = await desk.post("holds", holding("a", 900))
    await desk.post("holds", holding("a", 900))
    given_up = await desk.post("holds", holding("b", 60))
    timed = await desk.post("holds", holding("c", 7, expires_at=now.isoformat()))
    assert await desk.code("holds", holding("d", NET)) == "insufficient_funds"
    await desk.post(f"holds/{kept['id']}/capture", {"to": SHOP, "amount_minor": 600}, status=200)
    assert await desk.code(f"holds/{kept['id']}/capture", {"to": SHOP}) == "hold_ended"
    await desk.post(f"holds/{given_up['id']}/void", status=200)
    await ledger.worker.pool.execute("update timer set due_at = now() - interval '1 s'")
    assert await ledger.timers.fire_due() == 1
    facts = await ledger.facts(HoldEvent)
    assert [(type(fact), encode("hld", fact.hold_id)) for fact in facts] == [
        (HoldPlaced, kept["id"]),
        (HoldPlaced, given_up["id"]),
        (HoldPlaced, timed["id"]),
        (HoldCaptured, kept["id"]),
        (HoldVoided, given_up["id"]),
        (HoldExpired, timed["id"]),
    ]
    placed, captured = facts[2], facts[3]
    assert (placed.reference, placed.address, placed.placed_by) == ("c", MINE, "ana")
    assert placed.expires_at == now
    assert (captured.captured.amount_minor, captured.released.amount_minor) == (600, 300)
    done = await desk.get(f"holds/{kept['id']}")
    assert encode("txn", captured.transaction_id) == done["transaction_id"]


async def test_an_escrow_says_what_it_holds_releases_and_returns(
    ledger: ServiceUnderTest, desk: Desk
) -> None:
    await desk.post("transactions", moving("in", 900, to=ESCROW))
    await desk.post("transactions", moving("out", 500, source=ESCROW, to=SHOP))
    await desk.post("transactions", moving("back", 300, source=ESCROW, to=PAYER))
    again = await desk.post("transactions", moving("more", 40, to=ESCROW))
    await desk.post(f"transactions/{again['id']}/reverse")
    await desk.post("transactions", moving("apart", 10, to=SHOP))
    told = await ledger.facts(EscrowEvent)
    assert [(type(f), f.amount.amount_minor, f.balance.amount_minor) for f in told] == [
        (EscrowHeld, 900, 900),
        (EscrowReleased, 500, 400),
        (EscrowReturned, 300, 100),
        (EscrowHeld, 40, 140),
        (EscrowReleased, 40, 100),
    ]
    assert {f.address for f in told} == {ESCROW}


@pytest.mark.parametrize("seed", range(20))
def test_what_escrows_say_adds_up_to_what_they_hold(seed: int) -> None:
    chance = random.Random(seed)
    places = [MINE, SHOP, ESCROW, "escrow:b", "invoice:inv_1:escrow", PAYER]
    tenant = Tx.new_id()
    ledger = Ledger(Head(tenant, 0, "00" * 32, NOON), {})
    held: dict[str, int] = {}
    for _ in range(30):
        minors = [chance.randint(-50, 50) for _ in range(chance.randint(1, 4))]
        minors.append(-sum(minors))
        legs = tuple(
            Leg(str(code_of(place)), "USD", minor, place)
            for minor in minors
            if (place := chance.choice(places))
        )
        posted = ledger.post(Entry(tenant, Tx.new_id(), POSTED, Tx.new_id(), legs))
        for fact in escrow_facts(posted):
            sign = 1 if isinstance(fact, EscrowHeld) else -1
            assert fact.amount.amount_minor > 0
            held[fact.address] = held.get(fact.address, 0) + sign * fact.amount.amount_minor
        for place, minor in held.items():
            assert minor == -ledger.accounts[place, "USD"].net_minor


async def test_a_death_at_a_hold_leaves_neither_the_hold_nor_its_fact(
    ledger: ServiceUnderTest, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(name: str) -> None:
        raise RuntimeError(name)

    with monkeypatch.context() as patched:
        patched.setattr(hold_funds, "failpoint", die)
        assert (await desk.call("POST", "holds", holding("a", 5))).status_code >= 500
    assert await ledger.facts(HoldEvent) == []
    await desk.post("holds", holding("a", 5))
    assert len(await ledger.facts(HoldEvent)) == 1
