"""Loops of a service begin again when they fail, and end when they are told to."""

import asyncio
from dataclasses import replace

from chassis.runtime import Runtime
from toy_service.app import service


async def test_a_loop_that_fails_while_it_tidies_up_has_ended():
    begun = 0

    async def loop():
        nonlocal begun
        begun += 1
        try:
            await asyncio.sleep(3600)
        finally:
            raise ConnectionError("the database is away")

    runtime = Runtime(service, settings=None)
    runtime._go("tidies", loop)
    (task,) = runtime._tasks.values()
    while not begun:
        await asyncio.sleep(0)
    runtime._end({"tidies"})
    await asyncio.wait({task}, timeout=30)
    assert (task.done(), begun) == (True, 1)


async def test_a_loop_begins_again_when_one_of_its_group_of_tasks_failed(monkeypatch):
    monkeypatch.setattr("chassis.runtime.pause", lambda failures: asyncio.sleep(0))
    begun = 0

    async def fails():
        raise ConnectionError("the node is away")

    async def loop():
        nonlocal begun
        begun += 1
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())

    runtime = Runtime(service, settings=None)
    runtime._go("groups", loop)
    (task,) = runtime._tasks.values()
    async with asyncio.timeout(30):
        while begun < 3:
            await asyncio.sleep(0)
    runtime._end({"groups"})
    await asyncio.wait({task}, timeout=30)
    assert task.done()


async def test_a_worker_may_come_to_its_end_and_what_serves_may_not():
    async def once(runtime):
        del runtime

    async def serves():
        pass

    runtime = Runtime(replace(service, workers=[once]), settings=None)
    runtime._go("once", lambda: once(runtime))
    runtime._go("relay", serves)
    await asyncio.gather(*runtime._tasks.values())
    assert runtime._ended() == ["relay ended"]
