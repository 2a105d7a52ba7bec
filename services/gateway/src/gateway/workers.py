"""Loops beside the requests."""

import asyncio

from chassis.runtime import Runtime
from gateway import store
from gateway.queries import known_keys

WRITE_DOWN_S = 60.0


async def note_usage(runtime: Runtime) -> None:
    """Write down once a minute which keys were used; a crash loses at most that minute."""
    while True:
        try:
            await asyncio.sleep(WRITE_DOWN_S)
        finally:
            await write_usage(runtime)


async def write_usage(runtime: Runtime) -> int:
    """Write down which keys were used since the last time; how many."""
    keys = known_keys(runtime)
    used, keys.used = keys.used, {}
    if used:
        async with runtime.worker.transaction() as tx:
            await store.touch_keys(tx, [(*name, at) for name, at in sorted(used.items())])
    return len(used)
