"""The gateway's way to the services, in memory: what aiohttp would be asked, and how it fails."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import aiohttp
from tests.simulator.cluster import Cluster
from yarl import URL

from gateway.edge.forwarding import Forwarder

_PATIENCE_S = 35.0
"""`upstream_timeout_s` as it is by default."""


class _Answer:
    """What the forwarder reads of a response."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.raw_headers = tuple((k.encode(), v.encode("latin-1")) for k, v in headers.items())
        self.content_length = len(body)
        self._body = body

    async def read(self) -> bytes:
        return self._body


class _Request:
    """One request, as an asynchronous context."""

    def __init__(self, cluster: Cluster, name: str, parts: tuple[str, str, Any, bytes]) -> None:
        self._cluster, self._name, self._parts = cluster, name, parts

    async def __aenter__(self) -> _Answer:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return _Answer(*await self._cluster.call(self._name, *self._parts))
        except ConnectionRefusedError as error:
            key: Any = SimpleNamespace(host=self._name, port=80, ssl=True, is_ssl=False)
            raise aiohttp.ClientConnectorError(key, error) from error
        except ConnectionError as error:
            raise aiohttp.ServerDisconnectedError from error

    async def __aexit__(self, *_: object) -> None:
        return None


class _Session:
    """What stands for the forwarder's `aiohttp.ClientSession`."""

    def __init__(self, cluster: Cluster, names: Mapping[int, str]) -> None:
        self._cluster, self._names = cluster, names

    def request(
        self, method: str, url: URL, *, headers: Mapping[str, str], data: Any, **_: Any
    ) -> _Request:
        parts = urlsplit(str(url))
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        name = self._names[parts.port or 0]
        return _Request(self._cluster, name, (method, target, headers, data or b""))


@contextmanager
def installed(cluster: Cluster, names: Mapping[int, str]) -> Iterator[None]:
    """Every forwarder's requests go to the cluster; `names` are the services by port."""
    session = _Session(cluster, names)
    with mock.patch.object(Forwarder, "session", property(lambda _: session)):
        yield
