"""Requests over raw keep-alive sockets: the generator must cost little, it shares the cores."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.load.measure import p50_p99

Make = Callable[[int], tuple[bytes, bytes]]
"""From a running number to the head's own lines and the body of a request."""


@dataclass(slots=True)
class Load:
    """What came of the requests of one window."""

    wall: float = 0.0
    seconds: list[float] = field(default_factory=list)
    failures: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return len(self.seconds)

    @property
    def rate(self) -> float:
        return self.accepted / self.wall if self.wall else 0.0

    def latency(self) -> dict[str, float]:
        return p50_p99(self.seconds)

    def explain(self) -> str:
        if not self.failures:
            return ""
        status, body = self.failures[0]
        return f"{len(self.failures)} refused, the first with {status}: {body[:300]!r}"


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str) -> Connection:
        place = urlsplit(url)
        return cls(*await asyncio.open_connection(place.hostname, place.port))

    def close(self) -> None:
        self._writer.close()

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send, and wait for the whole answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, lower = int(head[9:12]), head.lower()
        place = lower.find(b"content-length:")
        if place >= 0:
            length = int(lower[place + 15 : lower.index(b"\r", place)])
            return status, await self._reader.readexactly(length)
        if b"transfer-encoding: chunked" in lower:
            return status, await self._chunks()
        return status, b""

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            body += (await self._reader.readexactly(size + 2))[:-2]
            if size == 0:
                return body


def request_bytes(
    method: str, path: str, headers: Mapping[str, str] | bytes, body: bytes = b""
) -> bytes:
    """A request; `headers` may be ready-made lines."""
    if not isinstance(headers, bytes):
        headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return b"%s %s HTTP/1.1\r\nhost: bench\r\n%scontent-length: %d\r\n\r\n%s" % (
        method.encode(),
        path.encode(),
        headers,
        len(body),
        body,
    )


async def post_for(
    url: str, path: str, make: Make, *, clients: int, seconds: float = 0, count: int = 0
) -> Load:
    """Post back to back with so many clients, for a time or until so many were sent."""
    load, numbers = Load(), itertools.count()
    connections = [await Connection.open(url) for _ in range(clients)]
    began = time.perf_counter()
    end = began + seconds

    async def client(connection: Connection) -> None:
        while True:
            number = next(numbers)
            if number >= count if count else time.perf_counter() >= end:
                return
            headers, body = make(number)
            request = request_bytes("POST", path, headers, body)
            sent = time.perf_counter()
            status, answer = await connection.ask(request)
            if 200 <= status < 300:
                load.seconds.append(time.perf_counter() - sent)
            else:
                load.failures.append((status, answer))

    try:
        await asyncio.gather(*map(client, connections))
    finally:
        load.wall = time.perf_counter() - began
        for connection in connections:
            connection.close()
    return load
