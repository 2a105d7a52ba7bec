"""Loops of a service begin again when they fail, and end when they are told to."""

import asyncio

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
    task.cancel()
    await asyncio.wait({task}, timeout=30)
    assert (task.done(), begun) == (True, 1)
