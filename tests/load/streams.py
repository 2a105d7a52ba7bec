"""What happened and when, read off the topics and off a webhook receiver; no API is polled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.load.controls import broker

from invoiceos_contracts import EVENTS, Event, topics

Seen = dict[str, float]
"""Public id of the invoice to the moment (perf_counter) its fact was first seen."""


@dataclass(slots=True)
class Watcher:
    """Notes when each fact of each invoice became visible; keeps the bodies of `keep`."""

    keep: Collection[type[Event]] = ()
    seen: dict[str, Seen] = field(default_factory=lambda: defaultdict(dict))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    kept: dict[tuple[str, str], Any] = field(default_factory=dict)
    on_fact: Callable[[Any], None] | None = None
    """Called with each kept fact at once."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, record: Any, now: float) -> None:
        headers = dict(record.headers)
        kind = headers["ce_type"].decode()
        flow = headers["ce_correlationid"].decode()
        self.counts[kind] += 1
        self.seen[kind].setdefault(flow, now)
        event = EVENTS.get(kind)
        if event is not None and event in self.keep:
            fact = event.read(record.value)
            self.kept[kind, flow] = fact
            if self.on_fact is not None:
                self.on_fact(fact)

    async def run(self, reader: Any) -> None:
        while True:
            polled = await reader.getmany(timeout_ms=1000, max_records=2000)
            now = time.perf_counter()
            for records in polled.values():
                for record in records:
                    self.note(record, now)
            if polled:
                self._changed.set()

    def when(self, kind: type[Event], flow: str) -> float | None:
        return self.seen[kind.TYPE].get(flow)

    async def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for something that must come true; says what did not."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            counts = {kind.split(".", 1)[1]: number for kind, number in self.counts.items()}
            raise TimeoutError(
                f"{what} did not come within {seconds:g} s; seen: {counts}"
            ) from None

    async def fact(self, kind: type[Event], flow: str, seconds: float = 15) -> float:
        """The moment a fact of an invoice was seen."""
        seen = self.seen[kind.TYPE]
        await self.until(lambda: flow in seen, seconds, f"{kind.__name__} of {flow}")
        return seen[flow]

    async def all_of(self, kind: type[Event], flows: Collection[str], seconds: float) -> float:
        """The moment the last of these invoices' facts was seen."""
        seen, wanted = self.seen[kind.TYPE], set(flows)
        what = f"{kind.__name__} of {len(wanted)} invoices"
        await self.until(lambda: len(seen) >= len(wanted) and wanted <= seen.keys(), seconds, what)
        return max(seen[flow] for flow in wanted)


@asynccontextmanager
async def watching(bootstrap: str, keep: Collection[type[Event]] = ()) -> AsyncIterator[Watcher]:
    """Watch every topic of the platform from now on."""
    names = [spec.name for spec in topics() if not spec.name.endswith(".dlq")]
    watcher = Watcher(keep)
    async with broker.consumer(bootstrap, *names) as reader:
        task = asyncio.create_task(watcher.run(reader))
        try:
            yield watcher
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@dataclass(slots=True)
class Receiver:
    """A webhook endpoint that answers 200 and notes when each event of each invoice came."""

    url: str = ""
    seen: dict[str, Seen] = field(default_factory=lambda: defaultdict(dict))
    count: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, body: bytes) -> None:
        event = json.loads(body)
        flow = event["data"].get("invoice_id")
        self.count += 1
        if flow:
            self.seen[event["type"]].setdefault(flow, time.perf_counter())
        self._changed.set()

    async def fact(self, kind: type[Event], flow: str, seconds: float = 15) -> float:
        async with asyncio.timeout(seconds):
            while flow not in self.seen[kind.TYPE]:
                self._changed.clear()
                await self._changed.wait()
        return self.seen[kind.TYPE][flow]

    async def all_of(self, kind: type[Event], flows: Collection[str], seconds: float) -> float:
        wanted = set(flows)
        async with asyncio.timeout(seconds):
            while not wanted <= self.seen[kind.TYPE].keys():
                self._changed.clear()
                await self._changed.wait()
        return max(self.seen[kind.TYPE][flow] for flow in wanted)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on loopback."""
    receiver = Receiver()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError)
        with contextlib.suppress(*ended):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                place = head.index(b"content-length:") + 15
                body = await reader.readexactly(int(head[place : head.index(b"\r", place)]))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                receiver.note(body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()
