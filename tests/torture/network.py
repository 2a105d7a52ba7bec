"""The wires between the services and what they stand on, through a toxiproxy that can be told to
cut, delay or tear them. Whoever tortures or judges goes around it.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from tests.torture import tools

from invoiceos_local.kafka import Front
from invoiceos_local.ports import LOOPBACK, accepts_connections, free_port
from invoiceos_local.processes import Child, Command, Processes, wait_until
from invoiceos_local.resolver import Infrastructure

Wire = Literal["kafka", "postgres", "tempo"]
WIRES: tuple[Wire, ...] = ("kafka", "postgres", "tempo")
_START_SECONDS = 20
_CALL_SECONDS = 10


@dataclass(frozen=True)
class Toxic:
    """What is done to the bytes of a wire; `stream` is upstream (requests) or downstream."""

    kind: str
    stream: Literal["upstream", "downstream"] = "downstream"
    attributes: Mapping[str, int] = field(default_factory=dict)


class Network:
    """The proxy's process and its wires."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._port = free_port()
        self._child: Child | None = None
        self._ports: dict[Wire, int] = {wire: free_port() for wire in WIRES}
        self._made = False
        self.front = Front(port=free_port(), advertised_port=self._ports["kafka"])

    def start(self) -> None:
        arguments = [str(tools.toxiproxy()), "-host", LOOPBACK, "-port", str(self._port)]
        self._child = self._processes.spawn("toxiproxy", Command(arguments))
        wait_until(
            lambda: accepts_connections(self._port), self._child, "toxiproxy", _START_SECONDS
        )

    def reroute(self, found: Infrastructure) -> Infrastructure:
        """The addresses that lead through the wires, which exist from the first call on."""
        if not self._made:
            self._lay("kafka", f"{LOOPBACK}:{self.front.port}")
            self._lay("postgres", urlsplit(found.postgres_url).netloc.rpartition("@")[2])
            self._lay("tempo", urlsplit(found.tempo_rpc_url).netloc)
            self._made = True
        return replace(
            found,
            kafka_bootstrap=f"{LOOPBACK}:{self._ports['kafka']}",
            postgres_url=_at(found.postgres_url, self._ports["postgres"]),
            tempo_rpc_url=_at(found.tempo_rpc_url, self._ports["tempo"]),
        )

    def _lay(self, wire: Wire, upstream: str) -> None:
        listen = f"{LOOPBACK}:{self._ports[wire]}"
        self._call("POST", "/proxies", name=wire, listen=listen, upstream=upstream, enabled=True)

    @contextmanager
    def cut(self, wire: Wire) -> Iterator[None]:
        """Connections end and new ones are refused inside the block."""
        self._call("POST", f"/proxies/{wire}", enabled=False)
        try:
            yield
        finally:
            self._call("POST", f"/proxies/{wire}", enabled=True)

    @contextmanager
    def poisoned(self, wire: Wire, *toxics: Toxic) -> Iterator[None]:
        """The wire of old and new connections is poisoned inside the block."""
        names = []
        try:
            for toxic in toxics:
                name = f"{toxic.kind}-{toxic.stream}"
                self._call(
                    "POST",
                    f"/proxies/{wire}/toxics",
                    name=name,
                    type=toxic.kind,
                    stream=toxic.stream,
                    attributes=dict(toxic.attributes),
                )
                names.append(name)
            yield
        finally:
            for name in names:
                self._call("DELETE", f"/proxies/{wire}/toxics/{name}")

    def _call(self, method: str, path: str, **content: object) -> None:
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self._port}{path}",
            json.dumps(content).encode() if content else None,
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=_CALL_SECONDS):
            pass


def _at(url: str, port: int) -> str:
    """The URL with another port of this machine."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}{at}{LOOPBACK}:{port}"))
