"""An asyncio loop whose time jumps: what would wait a day is there at once.

Only PostgreSQL is real. While one of its answers is awaited nothing else may happen, so that the
order of everything is decided by the seed and by nothing else.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from tests.simulator.node import NODE, Node


class Waits(Protocol):
    """What the loop asks when nobody has anything to do (the gate before PostgreSQL)."""

    def next(self) -> float | None:
        """Start something; None when there is nothing to start and no answer is awaited.

        Otherwise the real seconds for which an answer may be waited for.
        """

    def silent(self) -> None:
        """No answer came in that time."""


class SimLoop(asyncio.SelectorEventLoop):
    """Runs callbacks of nodes that are alive and not paused, in an order the seed decides."""

    def __init__(self, chooser: random.Random) -> None:
        super().__init__()
        self._chooser = chooser
        self._virtual = 0.0
        self._clock_resolution = 1e-9
        self.waits: Waits | None = None
        self.on_jump: list[Callable[[float], None]] = []
        """Told the new time at every jump."""
        self.steps = 0
        self.set_task_factory(_kept_by_its_node)

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._virtual

    def _run_once(self) -> None:
        """What CPython's loop does once, with the clock and the order in our hands."""
        self._sort_out()
        if not self._ready and not self._stopping:
            self._wait()
        now = self._virtual + self._clock_resolution
        while self._scheduled and self._scheduled[0]._when < now:
            handle = heapq.heappop(self._scheduled)
            handle._scheduled = False
            self._ready.append(handle)
        self._sort_out()
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            node = _node_of(handle)
            if handle._cancelled or (node is not None and not node.alive):
                continue
            if node is not None and node.paused:
                node.held.append(handle)
                continue
            self.steps += 1
            handle._run()

    def _wait(self) -> None:
        """Wait for an answer of the database that is under way; else let time jump."""
        patience = self.waits.next() if self.waits is not None else None
        if self._ready:
            return
        if patience is not None:
            events = self._selector.select(patience)
            if events:
                self._process_events(events)
            else:
                self.waits.silent()
            return
        while self._scheduled and self._scheduled[0]._cancelled:
            heapq.heappop(self._scheduled)._scheduled = False
        if not self._scheduled:
            raise RuntimeError("nothing is left that could ever happen")
        self.jump(self._scheduled[0]._when)

    def jump(self, to: float) -> None:
        """Let time be this, if it is not later already."""
        if to > self._virtual:
            self._virtual = to
            for told in self.on_jump:
                told(to)

    def _sort_out(self) -> None:
        """Let nodes take turns in an order of the seed; each one's own callbacks keep theirs."""
        if len(self._ready) < 2:
            return
        by_node: dict[Node | None, list[Any]] = {}
        for handle in self._ready:
            by_node.setdefault(_node_of(handle), []).append(handle)
        if len(by_node) > 1:
            turns = list(by_node)
            self._chooser.shuffle(turns)
            self._ready = deque(handle for node in turns for handle in by_node[node])

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        """What is given to a thread is done at once: no seed could decide when it would end."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def resume(self, node: Node) -> None:
        """End a pause: everything that came meanwhile happens now."""
        node.paused = False
        held, node.held = node.held, []
        self._ready.extend(held)


def _kept_by_its_node(loop: Any, coroutine: Any, **named: Any) -> asyncio.Task[Any]:
    """A task that lives as long as the run: the dead are not tidied up in the middle of it."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **named)
    context = named.get("context")
    node = NODE.get() if context is None else context.get(NODE)
    if node is not None:
        node.tasks.append(task)
    return task


def _node_of(handle: Any) -> Node | None:
    return handle._context.get(NODE)
