"""Seven services in one process: started, called, crashed, paused, and started again."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from tests.simulator.gate import Gate
from tests.simulator.history import History
from tests.simulator.kafka import SimKafka
from tests.simulator.loop import SimLoop
from tests.simulator.node import Node, context_of

from chassis.application import build

Headers = list[tuple[bytes, bytes]]
FAULTS = (
    "process.crashed",
    "process.paused",
    "process.stopped",
    "http.answer_lost",
    "http.request_lost",
    "http.refused",
)


@cache
def services() -> Mapping[str, Any]:
    """Every service there is, by name."""
    points = sorted(entry_points(group="invoiceos.services"), key=lambda one: one.name)
    return {point.name: point.load() for point in points}


@dataclass
class CallFaults:
    """Probabilities, each for one HTTP request."""

    request_lost: float = 0
    answer_lost: float = 0


@dataclass(eq=False)
class Process:
    """A service and its present incarnation."""

    name: str
    service: Any
    settings: Any
    node: Node
    app: Any = None
    main: asyncio.Task[None] | None = None
    crashes: int = 0


class Cluster:
    """Processes, each with one node at a time."""

    def __init__(
        self,
        loop: SimLoop,
        chooser: random.Random,
        gate: Gate,
        kafka: SimKafka,
        settings: Callable[[str, type], Any],
        history: History,
        reached: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._chooser = chooser
        self._gate = gate
        self._kafka = kafka
        self._history = history
        self._reached = reached
        self.faults = CallFaults()
        self.processes: dict[str, Process] = {}
        self._open_calls: dict[asyncio.Future[Any], Node] = {}
        self.dead: list[Node] = []
        gate.on_crash = self.crash
        self._world = context_of(None)
        for name, service in services().items():
            self.processes[name] = Process(
                name, service, settings(name, service.settings), Node(name)
            )

    def start(self, name: str) -> None:
        """Begin a new incarnation."""
        process = self.processes[name]
        process.node = Node(name, process.node.incarnation + 1)
        process.app = None
        process.main = self._loop.create_task(
            self._main(process, process.node), context=context_of(process.node)
        )
        self._history.note(self._loop.time(), process.node, "started")

    async def _main(self, process: Process, node: Node) -> None:
        try:
            app = build(process.service, process.settings)
            async with app.router.lifespan_context(app):
                process.app = app
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self._reached("process.stopped")
            self._history.note(self._loop.time(), node, "stopped")
            self._bury(process, node)
        except Exception as error:
            self._history.note(self._loop.time(), node, f"did not start {type(error).__name__}")
            self._bury(process, node)

    def stop(self, name: str) -> None:
        """Ask a process to end: no further requests, what is in flight is finished; then anew."""
        process = self.processes[name]
        if process.app is None or process.main is None or process.node.paused:
            return
        self._history.note(self._loop.time(), process.node, "stopping")
        process.app = None
        self._loop.call_later(
            self._chooser.uniform(0, 0.5), process.main.cancel, context=context_of(process.node)
        )

    def crash(self, node: Node) -> None:
        """End an incarnation in the middle of whatever it does; another begins a little later."""
        if not node.alive:
            return
        process = self.processes[node.name]
        process.crashes += 1
        self._reached("process.crashed")
        self._history.note(self._loop.time(), node, "crashed")
        self._bury(process, node)

    def _bury(self, process: Process, node: Node) -> None:
        node.alive = False
        node.held.clear()
        process.app = None
        self.dead.append(node)
        self._gate.crashed(node)
        self._kafka.crashed(node)
        for future in [f for f, owner in self._open_calls.items() if owner is node]:
            self._end_call(future, ConnectionResetError("the service died"))
        delay = self._chooser.uniform(0.2, 4)
        self._loop.call_later(delay, self.start, process.name, context=self._world)

    def pause(self, node: Node, seconds: float) -> bool:
        """Let a process do nothing for a while; it does not notice. False when it cannot be now."""
        turns = self._gate.running + self._gate.blocked
        if not node.alive or node.paused or any(turn.node is node for turn in turns):
            return False
        node.paused = True
        self._reached("process.paused")
        self._history.note(self._loop.time(), node, f"paused {seconds:.3f}")
        self._loop.call_later(seconds, self._resume, node, context=self._world)
        return True

    def _resume(self, node: Node) -> None:
        if node.alive:
            self._history.note(self._loop.time(), node, "resumed")
            self._loop.resume(node)

    @property
    def all_up(self) -> bool:
        """Whether every process has opened everything."""
        return all(one.app is not None and not one.node.paused for one in self.processes.values())

    async def call(
        self, name: str, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """An HTTP request in memory; raises `ConnectionError` when no answer comes."""
        process = self.processes[name]
        await asyncio.sleep(self._chooser.uniform(0.0002, 0.003))
        if process.app is None or self._lost(self.faults.request_lost):
            self._reached("http.refused" if process.app is None else "http.request_lost")
            raise ConnectionRefusedError(name)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._open_calls[future] = process.node
        self._loop.create_task(
            self._serve(process.app, (method, target, headers, body), future),
            context=context_of(process.node),
        )
        return await future

    async def _serve(
        self, app: Any, request: tuple[str, str, Mapping[str, str], bytes], future: Any
    ) -> None:
        method, target, headers, body = request
        path, _, query = target.partition("?")
        raw = [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()]
        if body or method in ("POST", "PATCH", "PUT"):
            raw.append((b"content-length", b"%d" % len(body)))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": raw,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
        }
        answer: dict[str, Any] = {"status": 500, "headers": [], "body": b""}
        asked = False

        async def receive() -> Any:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer["status"], answer["headers"] = message["status"], message["headers"]
            else:
                answer["body"] += message.get("body", b"")

        try:
            await app(scope, receive, send)
        except Exception as error:
            self._history.note(self._loop.time(), None, f"{method} {path} {error!r}"[:200])
        if self._lost(self.faults.answer_lost):
            self._reached("http.answer_lost")
            self._end_call(future, ConnectionResetError("the answer was lost"))
            return
        found = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in answer["headers"]}
        self._end_call(future, (answer["status"], found, answer["body"]))

    def _lost(self, probability: float) -> bool:
        return probability > 0 and self._chooser.random() < probability

    def _end_call(self, future: asyncio.Future[Any], outcome: Any) -> None:
        self._open_calls.pop(future, None)
        if future.done():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def runtime(self, name: str) -> Any:
        """The service's runtime, while it runs."""
        app = self.processes[name].app
        return None if app is None else app.state.runtime
