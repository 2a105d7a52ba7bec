"""The life of wallets on a real database, through the door the backbone uses."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from chassis.certificates import findings
from ephemeral_manager.commands.hold_wallets import Hold, hold_wallets
from ephemeral_manager.commands.wake_wallets import expire_wallets
from invoiceos_contracts.ephemeral_v1 import (
    EphemeralWalletActivated,
    EphemeralWalletDestroyed,
    EphemeralWalletDestroying,
    EphemeralWalletDrained,
    EphemeralWalletDraining,
    EphemeralWalletExpired,
    EphemeralWalletWatching,
    LateFundsDetected,
    LateFundsResolved,
)
from messaging import Timer
from testkit.service import ServiceUnderTest, record_of

CLOSING = [EphemeralWalletDraining, EphemeralWalletDrained, EphemeralWalletWatching]


async def state_of(unit: ServiceUnderTest, life: Any) -> str:
    return await unit.worker.fetchval(
        "select state from ephemeral_wallet where id = $1", life.wallet_id
    )


async def kinds(unit: ServiceUnderTest) -> list[type]:
    return [type(fact) for fact in await unit.facts()]


async def fire(unit: ServiceUnderTest, kind: str) -> None:
    """Let the timers of one kind be due once."""
    await unit.worker.pool.execute(
        "update timer set due_at = clock_timestamp() - interval '1 ms' where kind = $1", kind
    )
    await unit.timers.fire_due()


async def destroying(unit: ServiceUnderTest, life: Any) -> None:
    """Bring a wallet to its destruction, its invoice paid by one payment."""
    payment, booking = uuid4(), uuid4()
    await unit.receives(
        life.issued(),
        life.seen(payment),
        life.succeeded(payment),
        life.booked(payment, booking),
        life.paid(booking),
    )
    await fire(unit, "wallet.watch")
    assert await state_of(unit, life) == "destroying"


async def test_a_paid_invoice_leads_to_a_certificate(unit: ServiceUnderTest, life: Any) -> None:
    await destroying(unit, life)
    await unit.receives(life.secrets_destroyed())
    assert await state_of(unit, life) == "destroying", "one kind of evidence is not enough"
    await unit.receives(life.balance())
    assert await kinds(unit) == [
        EphemeralWalletActivated,
        *CLOSING,
        EphemeralWalletDestroying,
        EphemeralWalletDestroyed,
    ]
    (destroyed,) = await unit.facts(EphemeralWalletDestroyed)
    body = destroyed.certificate.body
    assert (body.certificate_number, body.previous_hash) == (1, "0" * 64)
    assert (body.reason, body.final_block) == ("invoice_paid", 7)
    assert body.kept[0] == "the address"
    assert all(right for _, right in findings(destroyed.certificate))


async def test_a_wallet_without_a_chain_ends_when_its_payments_have(
    unit: ServiceUnderTest, life: Any
) -> None:
    open_payment = uuid4()
    issued = life.issued().model_copy(
        update={"rail": "psp", "chain_id": None, "address": "psp_" + "0" * 26}
    )
    await unit.receives(issued, life.voided())
    await fire(unit, "wallet.watch")
    await unit.receives(life.seen(open_payment), life.secrets_destroyed())
    assert await state_of(unit, life) == "destroying", "a payment is open"
    await unit.receives(life.reverted(open_payment))
    await fire(unit, "wallet.destroy")
    (destroyed,) = await unit.facts(EphemeralWalletDestroyed)
    body = destroyed.certificate.body
    assert (body.final_block, body.final_block_hash, body.balances) == (None, None, ())
    assert "the rail has no chain" in body.policy
    assert all(right for _, right in findings(destroyed.certificate))


async def test_evidence_may_come_in_the_other_order_and_twice(
    unit: ServiceUnderTest, life: Any
) -> None:
    await destroying(unit, life)
    await unit.receives(life.balance(), life.balance())
    await unit.receives(life.secrets_destroyed(), life.secrets_destroyed())
    await unit.receives(life.balance(), life.secrets_destroyed())
    assert len(await unit.facts(EphemeralWalletDestroyed)) == 1
    assert await unit.worker.fetchval("select count(*) from destruction_log") == 1


async def test_a_persistent_wallet_has_no_life_here(unit: ServiceUnderTest, life: Any) -> None:
    payment = uuid4()
    await unit.receives(life.issued("persistent"), life.seen(payment), life.paid(uuid4()))
    assert await unit.facts() == []
    assert await unit.worker.fetchval("select count(*) from timer") == 0


async def test_the_end_of_the_time_to_live_closes_the_wallet(
    unit: ServiceUnderTest, life: Any
) -> None:
    await unit.receives(life.issued())
    await unit.after(timedelta(minutes=30))
    assert await state_of(unit, life) == "active"
    await unit.after(timedelta(minutes=61))
    assert await kinds(unit) == [EphemeralWalletActivated, EphemeralWalletExpired, *CLOSING]
    (expired,) = await unit.facts(EphemeralWalletExpired)
    assert expired.since == life.expires_at


async def test_the_alarm_of_an_earlier_end_expires_nothing(
    unit: ServiceUnderTest, life: Any
) -> None:
    await unit.receives(life.issued())
    for until, state in ((life.expires_at - timedelta(hours=1), "active"), (None, "watching")):
        payload = {"until": (until or life.expires_at).isoformat()}
        alarm = Timer("wallet.ttl", str(life.wallet_id), life.tenant_id, life.expires_at, payload)
        async with unit.worker.transaction() as tx:
            await expire_wallets(tx, [alarm])
        assert await state_of(unit, life) == state


async def test_a_voided_invoice_closes_its_wallet(unit: ServiceUnderTest, life: Any) -> None:
    await unit.receives(life.issued())
    await unit.receives(life.voided())
    (drained,) = await unit.facts(EphemeralWalletDrained)
    assert drained.reason == "invoice_voided"


async def test_a_reversal_brings_the_wallet_back_and_it_can_end_again(
    unit: ServiceUnderTest, life: Any
) -> None:
    await unit.receives(life.issued(), life.paid(), life.reversed("overpaid"))
    assert await state_of(unit, life) == "watching", "still settled: nothing to take back"
    await unit.receives(life.reversed("partial"))
    assert await state_of(unit, life) == "active"
    await fire(unit, "wallet.watch")
    assert await state_of(unit, life) == "active", "an alarm of the old window means nothing now"
    await unit.receives(life.overpaid())
    assert await state_of(unit, life) == "watching"
    assert (await kinds(unit)).count(EphemeralWalletActivated) == 2


async def test_late_money_is_found_resolved_and_restarts_the_window(
    unit: ServiceUnderTest, new_life: Any
) -> None:
    life = new_life(expires_at=datetime.now(UTC) - timedelta(minutes=1))
    late, credited, gone = uuid4(), uuid4(), uuid4()
    await unit.receives(life.issued())
    await fire(unit, "wallet.ttl")
    await unit.receives(life.seen(late, 5), life.seen(credited, 7), life.seen(gone, 9))
    found = await unit.facts(LateFundsDetected)
    assert [(f.payment_id, f.amount.amount_minor) for f in found] == sorted(
        [(late, 5), (credited, 7), (gone, 9)]
    )
    await unit.receives(life.succeeded(late, 5), life.booked(late, uuid4(), 5))
    await unit.receives(
        life.booked(credited, uuid4(), 7, applied=False), life.succeeded(credited, 7)
    )
    await unit.receives(life.reverted(gone, 9))
    resolved = await unit.facts(LateFundsResolved)
    assert [(f.payment_id, f.policy) for f in resolved] == [
        (late, "accept"),
        (credited, "credit"),
        (gone, "reverted"),
    ]
    assert len(await unit.facts(EphemeralWalletWatching)) == 4


async def test_the_payment_that_settles_is_not_late_however_late_it_is_heard_of(
    unit: ServiceUnderTest, life: Any
) -> None:
    payment, booking = uuid4(), uuid4()
    await unit.receives(life.issued(), life.paid(booking))
    await unit.receives(life.seen(payment), life.succeeded(payment))
    await unit.receives(life.booked(payment, booking))
    await fire(unit, "wallet.watch")
    assert await state_of(unit, life) == "destroying"
    assert await unit.facts(LateFundsDetected) == []


async def test_what_filled_a_tolerated_shortage_is_told_at_the_end_of_the_window(
    unit: ServiceUnderTest, life: Any
) -> None:
    settling, booking, late = uuid4(), uuid4(), uuid4()
    await unit.receives(life.issued(), life.seen(settling), life.succeeded(settling))
    await unit.receives(life.booked(settling, booking), life.paid(booking))
    await unit.receives(life.seen(late), life.succeeded(late), life.booked(late, uuid4()))
    assert await unit.facts(LateFundsDetected) == []
    await fire(unit, "wallet.watch")
    (resolved,) = await unit.facts(LateFundsResolved)
    assert (resolved.payment_id, resolved.policy) == (late, "accept")
    assert await state_of(unit, life) == "watching", "for one window more"
    await fire(unit, "wallet.watch")
    assert await state_of(unit, life) == "destroying"


async def test_money_that_comes_after_the_end_is_still_announced(
    unit: ServiceUnderTest, life: Any
) -> None:
    await destroying(unit, life)
    during, after = uuid4(), uuid4()
    await unit.receives(life.seen(during))
    await unit.receives(life.secrets_destroyed(), life.balance())
    assert await state_of(unit, life) == "destroying", "a payment is on its way"
    await unit.receives(life.succeeded(during), life.booked(during, uuid4(), applied=False))
    await fire(unit, "wallet.destroy")
    assert len(await unit.facts(EphemeralWalletDestroying)) == 2
    await unit.receives(life.balance(block=8))
    assert await state_of(unit, life) == "destroyed"
    await unit.receives(life.seen(after), life.succeeded(after))
    await unit.receives(life.booked(after, uuid4(), applied=False))
    assert [f.payment_id for f in await unit.facts(LateFundsDetected)] == [during, after]
    assert [f.payment_id for f in await unit.facts(LateFundsResolved)] == [during, after]
    assert await state_of(unit, life) == "destroyed"


@pytest.mark.parametrize("holding", [{"minor": 1}, {"pending": 1}])
async def test_a_wallet_that_is_not_empty_is_asked_for_again(
    unit: ServiceUnderTest, life: Any, holding: dict[str, int]
) -> None:
    await destroying(unit, life)
    await unit.receives(life.balance(**holding), life.secrets_destroyed())
    assert await state_of(unit, life) == "destroying"
    await fire(unit, "wallet.destroy")
    await unit.receives(life.balance(block=9))
    (destroyed,) = await unit.facts(EphemeralWalletDestroyed)
    assert destroyed.certificate.body.final_block == 9
    assert len(await unit.facts(EphemeralWalletDestroying)) == 2
    await fire(unit, "wallet.destroy")
    assert len(await unit.facts(EphemeralWalletDestroying)) == 2, "it is over"


async def test_a_balance_from_before_the_destruction_says_nothing(
    unit: ServiceUnderTest, life: Any
) -> None:
    await unit.receives(life.issued(), life.balance(), life.voided())
    await fire(unit, "wallet.watch")
    await unit.receives(life.secrets_destroyed())
    assert await state_of(unit, life) == "destroying"


async def test_an_unknown_payment_or_a_legal_hold_postpones_the_end(
    unit: ServiceUnderTest, life: Any
) -> None:
    payment = uuid4()
    await unit.receives(life.issued(), life.seen(payment), life.voided())
    await fire(unit, "wallet.watch")
    await fire(unit, "wallet.watch")
    assert await state_of(unit, life) == "watching"
    await unit.receives(life.reverted(payment))
    await unit.command(hold_wallets, Hold(life.tenant_id, life.wallet_id, "court order 7"))
    await fire(unit, "wallet.watch")
    assert await state_of(unit, life) == "watching"
    await unit.command(hold_wallets, Hold(life.tenant_id, life.wallet_id, None))
    await fire(unit, "wallet.watch")
    assert await state_of(unit, life) == "destroying"


async def test_a_payment_of_the_wrong_asset_does_not_hold_the_wallet_for_ever(
    unit: ServiceUnderTest, life: Any
) -> None:
    payment = uuid4()
    await unit.receives(life.issued(), life.seen(payment), life.conflicted(payment), life.voided())
    await fire(unit, "wallet.watch")
    assert await state_of(unit, life) == "destroying"


async def test_certificates_of_a_tenant_form_a_chain_without_a_gap(
    unit: ServiceUnderTest, new_life: Any
) -> None:
    mine, other = uuid4(), uuid4()
    lives = [new_life(tenant_id=mine) for _ in range(5)] + [new_life(tenant_id=other)]
    await unit.receives(*[life.issued() for life in lives], *[life.voided() for life in lives])
    await fire(unit, "wallet.watch")
    for group in (lives[:1], lives[1:]):
        await unit.receives(*[life.secrets_destroyed() for life in group])
        await unit.receives(*[life.balance() for life in group])
    found = [fact.certificate for fact in await unit.facts(EphemeralWalletDestroyed)]
    chain = [c for c in found if c.body.tenant_id == found[0].body.tenant_id]
    assert [c.body.certificate_number for c in chain] == [1, 2, 3, 4, 5]
    assert [c.body.previous_hash for c in chain] == ["0" * 64, *(c.hash for c in chain[:-1])]
    (alone,) = [c for c in found if c not in chain]
    assert alone.body.certificate_number == 1


FIELDS = ["certificate_number", "wallet_id", "address", "reason", "final_block", "previous_hash"]


@pytest.mark.parametrize("field", FIELDS)
async def test_a_tampered_field_is_found(unit: ServiceUnderTest, life: Any, field: str) -> None:
    await destroying(unit, life)
    await unit.receives(life.secrets_destroyed(), life.balance())
    (fact,) = await unit.facts(EphemeralWalletDestroyed)
    value = getattr(fact.certificate.body, field)
    changed = value + 1 if isinstance(value, int) else f"{value}x"
    body = fact.certificate.body.model_copy(update={field: changed})
    tampered = fact.certificate.model_copy(update={"body": body})
    assert not all(right for _, right in findings(tampered))


async def test_the_destruction_log_cannot_be_changed_by_the_service(
    unit: ServiceUnderTest, life: Any
) -> None:
    await destroying(unit, life)
    await unit.receives(life.secrets_destroyed(), life.balance())
    for database in (unit.worker, unit.api):
        for statement in (
            "update destruction_log set hash = hash",
            "delete from destruction_log",
            "truncate destruction_log",
            "drop table destruction_log",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with database.transaction([life.tenant_id]) as tx:
                    await tx.execute(statement)


async def test_tenants_see_their_own_wallets_alone(unit: ServiceUnderTest, new_life: Any) -> None:
    mine, other = new_life(), new_life()
    await unit.receives(mine.issued(), other.issued())
    async with unit.api.transaction([mine.tenant_id]) as tx:
        rows = await tx.fetch("select id from ephemeral_wallet")
    assert [row["id"] for row in rows] == [mine.wallet_id]


def story(life: Any) -> tuple[list[list[Any]], set[UUID]]:
    """Records of one eventful life by topic and key, stated in the order of time; who was late."""
    settling, early, late, odd, gone = (uuid4() for _ in range(5))
    bookings = [uuid4() for _ in range(4)]
    issued = record_of(life.issued())
    first = [record_of(life.seen(early)), record_of(life.seen(settling))]
    ends = [record_of(life.succeeded(settling)), record_of(life.succeeded(early))]
    booked = [record_of(life.booked(settling, bookings[0]))]
    paid = record_of(life.paid(bookings[0]))
    booked.append(record_of(life.booked(early, bookings[1], applied=False)))
    overpaid = record_of(life.overpaid(bookings[1]))
    later = [record_of(life.seen(late)), record_of(life.succeeded(late))]
    booked.append(record_of(life.booked(late, bookings[2], applied=False)))
    odd_ones = [record_of(life.seen(odd)), record_of(life.conflicted(odd))]
    gone_ones = [record_of(life.seen(gone)), record_of(life.reverted(gone))]
    topics = [
        [issued, paid, overpaid],
        [first[0], ends[1]],
        [first[1], ends[0]],
        later,
        odd_ones,
        gone_ones,
        *[[record] for record in booked],
    ]
    return topics, {late, odd}


def story_with_a_reversal(life: Any) -> tuple[list[list[Any]], set[UUID]]:
    """Paid, taken back by the chain, paid again: money in between the two is late once."""
    taken_back, between, after, second = (uuid4() for _ in range(4))
    bookings = [uuid4() for _ in range(4)]
    issued = record_of(life.issued())
    settling = [record_of(life.seen(taken_back)), record_of(life.succeeded(taken_back))]
    booked = [record_of(life.booked(taken_back, bookings[0]))]
    paid = record_of(life.paid(bookings[0]))
    betweens = [record_of(life.seen(between)), record_of(life.succeeded(between))]
    booked.append(record_of(life.booked(between, bookings[1], applied=False)))
    settling.append(record_of(life.reverted(taken_back, was_final=True)))
    undone = record_of(life.reversed())
    seconds = [record_of(life.seen(second)), record_of(life.succeeded(second))]
    booked.append(record_of(life.booked(second, bookings[2])))
    again = record_of(life.paid(bookings[2]))
    afters = [record_of(life.seen(after)), record_of(life.succeeded(after))]
    booked.append(record_of(life.booked(after, bookings[3], applied=False)))
    topics = [[issued, paid, undone, again], settling, betweens, seconds, afters]
    return [*topics, *[[record] for record in booked]], {between, after}


def shuffled(topics: list[list[Any]], dice: random.Random) -> list[Any]:
    """One order in which it can all be heard: each key in its order, anything twice."""
    waiting = [list(records) for records in topics]
    heard: list[Any] = []
    while any(waiting):
        heard.append(dice.choice([queue for queue in waiting if queue]).pop(0))
        if dice.random() < 0.3:
            heard.append(dice.choice(heard))
    return heard


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_and_doubling_ends_the_same_and_loses_no_late_money(
    unit: ServiceUnderTest, new_life: Any, seed: int
) -> None:
    dice = random.Random(seed)
    lives = [new_life() for _ in range(6)]
    stories = [story(life) for life in lives[:3]]
    stories += [story_with_a_reversal(life) for life in lives[3:]]
    records = shuffled([records for topics, _ in stories for records in topics], dice)
    while records:
        size = dice.randint(1, 25)
        await unit.receives(*records[:size])
        records = records[size:]
    late = set().union(*(expected for _, expected in stories))
    detected = await unit.facts(LateFundsDetected)
    resolved = await unit.facts(LateFundsResolved)
    assert {f.payment_id for f in detected} == late
    assert len(detected) == len(resolved) == len(late)
    assert {f.payment_id for f in resolved} == late
    assert sum(f.amount.amount_minor for f in resolved) == 10_000_000 * len(late)
    await fire(unit, "wallet.watch")
    assert len(await unit.facts(EphemeralWalletDestroying)) == len(lives)
    tail = [[record_of(life.secrets_destroyed())] for life in lives]
    tail += [[record_of(life.balance())] for life in lives]
    for record in shuffled(tail, dice):
        await unit.receives(record)
    assert len(await unit.facts(EphemeralWalletDestroyed)) == len(lives)
    states = await unit.worker.fetch(
        "select distinct state, closures->-1->>'reason' from ephemeral_wallet"
    )
    assert [tuple(row) for row in states] == [("destroyed", "invoice_paid")]


async def test_five_hundred_wallets_live_and_end_in_few_batches(
    unit: ServiceUnderTest, new_life: Any
) -> None:
    tenant = uuid4()
    lives = [new_life(tenant_id=tenant) for _ in range(500)]
    await unit.receives(*[life.issued() for life in lives])
    await unit.receives(*[life.voided() for life in lives])
    await fire(unit, "wallet.watch")
    await unit.receives(*[life.secrets_destroyed() for life in lives])
    await unit.receives(*[life.balance() for life in lives])
    numbers = await unit.worker.fetch("select number from destruction_log order by number")
    assert [row["number"] for row in numbers] == list(range(1, 501))
