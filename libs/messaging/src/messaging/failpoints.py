"""Named places where a test can make the process die; nothing happens unless one is armed.

`INVOICEOS_FAILPOINT=relay.acked` kills the process with SIGKILL the first time it comes by;
`relay.acked:3` the third time. `await:1234` kills it at the 1234th step of its tasks, wherever
that is: a step is what runs from one suspended await to the next. With `INVOICEOS_FAILPOINT_MARK`
naming a file it dies once only: the file is written on the way out, and a process that finds it is
not armed. Recovery must not depend on where it was.
"""

import asyncio
import os
import signal
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

AWAIT = "await"
_armed = ""
_remaining = 1
_mark = ""


def arm(failpoint: str, mark: str = "") -> None:
    """Choose where to die; an empty name disarms."""
    global _armed, _remaining, _mark
    _armed, _, count = failpoint.partition(":")
    _remaining = int(count or 1)
    _mark = mark
    if mark and Path(mark).exists():
        _armed = ""


def failpoint(name: str) -> None:
    """Die here if this point is armed."""
    global _remaining
    if name != _armed:
        return
    _remaining -= 1
    if _remaining <= 0:
        if _mark:
            Path(_mark).write_text(name)
        os.kill(os.getpid(), signal.SIGKILL)


def count_steps(loop: asyncio.AbstractEventLoop) -> None:
    """Make each step of the loop's tasks a failpoint; changes nothing unless `await` is armed."""
    if _armed == AWAIT:
        loop.set_task_factory(_counted_task)


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine whose every resumption is a failpoint."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def send(self, value: Any) -> Any:
        failpoint(AWAIT)
        return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        failpoint(AWAIT)
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self._inner.__await__())

    def __getattr__(self, name: str) -> Any:
        """Look like the coroutine: libraries ask whether it runs."""
        return getattr(self._inner, name)


def _counted_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(_Counted(work), loop=loop, **options)


arm(os.environ.get("INVOICEOS_FAILPOINT", ""), os.environ.get("INVOICEOS_FAILPOINT_MARK", ""))
