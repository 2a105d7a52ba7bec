"""Timers are rows: they fire once, late rather than never, and one bad one holds up nobody."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from messaging import Timer, TimerLoop
from testkit.service import a_tenant
from toy_service.app import on_chime


def due(ref, seconds=-1.0, tenant=None):
    return Timer("chime", ref, tenant or a_tenant(), datetime.now(UTC) + timedelta(seconds=seconds))


async def fired(toy):
    rows = await toy.worker.fetch(
        "select name from effect where handled_by = 'timer' order by name"
    )
    return [row["name"] for row in rows]


async def schedule(toy, *timers):
    async with toy.worker.transaction() as tx:
        tx.schedule(timers)


async def test_what_is_due_fires_and_what_is_not_waits(toy):
    await schedule(toy, due("now"), due("later", 3600))
    assert await toy.timers.fire_due() == 1
    assert await fired(toy) == ["now"]


async def test_a_timer_set_again_is_moved_not_doubled(toy):
    await schedule(toy, due("one", 3600), due("one"))
    await schedule(toy, due("one"))
    await toy.timers.fire_due()
    assert await fired(toy) == ["one"]


async def test_a_cancelled_timer_does_not_fire(toy):
    await schedule(toy, due("one"), due("two"))
    async with toy.worker.transaction() as tx:
        await tx.cancel("chime", ["one"])
    await toy.timers.fire_due()
    assert await fired(toy) == ["two"]


async def test_one_that_fails_is_put_off_and_the_others_fire(toy):
    await schedule(toy, due("a"), due("poison"), due("b"))
    await toy.timers.fire_due()
    assert await fired(toy) == ["a", "b"]
    left = await toy.worker.fetch("select ref, attempts from timer")
    assert [(row["ref"], row["attempts"]) for row in left] == [("poison", 1)]


async def test_replicas_share_the_work_and_fire_each_once(toy):
    await schedule(toy, *(due(f"{n:04}") for n in range(1200)))
    loops = [TimerLoop(toy.worker, {"chime": on_chime}) for _ in range(3)]

    async def work(loop):
        while await loop.fire_due():
            pass

    await asyncio.gather(*(work(loop) for loop in loops))
    assert await fired(toy) == [f"{n:04}" for n in range(1200)]


async def test_a_timer_that_fired_does_not_fire_again(toy):
    await schedule(toy, due("once"))
    assert [await toy.timers.fire_due(), await toy.timers.fire_due()] == [1, 0]
    assert await fired(toy) == ["once"]


async def test_a_timer_set_again_later_is_moved_both_ways(toy):
    await schedule(toy, due("sooner", 3600), due("later"))
    await schedule(toy, due("sooner"), due("later", 3600))
    await toy.timers.fire_due()
    assert await fired(toy) == ["sooner"]


async def test_a_timer_whose_handler_met_a_passing_fault_stays_due(toy):
    async def unlucky(tx, timers):
        del tx, timers
        raise asyncpg.DeadlockDetectedError("again")

    await schedule(toy, due("one"))
    with pytest.raises(asyncpg.DeadlockDetectedError):
        await TimerLoop(toy.worker, {"chime": unlucky}).fire_due()
    await toy.timers.fire_due()
    assert await fired(toy) == ["one"]
