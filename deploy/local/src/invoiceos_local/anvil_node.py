"""A chain in one process of anvil, and the few questions its owner asks it."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from invoiceos_local.anvil import anvil_binary
from invoiceos_local.ports import LOOPBACK, free_port
from invoiceos_local.processes import Child, Command, Processes, wait_until

START_TIMEOUT_SECONDS = 60
_SAVE_EVERY_SECONDS = 15
_CALL_TIMEOUT_SECONDS = 5


class AnvilNode:
    """A chain whose state lies in `<folder>/<name>`; blocks come with each transaction by default.

    `block_seconds` makes them come by the clock instead.
    """

    NAME: str
    TITLE: str
    MODE: Sequence[str]
    """How anvil is told which chain this is."""

    def __init__(
        self, processes: Processes, port: int | None = None, *, block_seconds: float | None = None
    ) -> None:
        self._processes = processes
        self._folder = processes.folder / self.NAME
        self._port = port or free_port()
        self._block_seconds = block_seconds
        self._child: Child | None = None

    @property
    def rpc_url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    def prepare(self) -> None:
        """What the chain needs on it before anyone uses it."""

    def start(self) -> None:
        """Returns when the chain answers and is prepared."""
        self._folder.mkdir(parents=True, exist_ok=True)
        arguments = [
            *(str(anvil_binary()), *self.MODE, "--host", LOOPBACK, "--port", str(self._port)),
            *("--state", str(self._folder / "state.json")),
            *("--state-interval", str(_SAVE_EVERY_SECONDS)),
        ]
        if self._block_seconds is not None:
            arguments += ["--block-time", f"{self._block_seconds:g}"]
        command = Command(arguments, folder=self._folder, death_signal=signal.SIGINT)
        self._child = self._processes.spawn(self.NAME, command)
        wait_until(lambda: answers(self.rpc_url), self._child, self.TITLE, START_TIMEOUT_SECONDS)
        self.prepare()

    def send(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send(number)

    def is_alive(self) -> bool:
        return self._child is not None and self._child.is_alive()

    def stop(self) -> None:
        """anvil saves its state when it is interrupted."""
        if self._child is not None:
            self._processes.stop(self._child, first=signal.SIGINT)
            self._child = None


class Refused(Exception):
    """The node's own error answer."""


def call(rpc_url: str, method: str, *parameters: object) -> Any:
    """One question; raises `Refused` for an error answer."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
    request = urllib.request.Request(rpc_url, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_CALL_TIMEOUT_SECONDS) as response:
        answer = json.load(response)
    if "error" in answer:
        raise Refused(f"{method}: {answer['error'].get('message')}")
    return answer["result"]


def answers(rpc_url: str) -> bool:
    """Whether a node at this address names its chain."""
    try:
        return int(call(rpc_url, "eth_chainId"), 16) > 0
    except (OSError, Refused, ValueError):
        return False


def wait_for(condition: Callable[[], bool], title: str) -> None:
    """Waits until something on a chain is so."""
    wait_until(condition, None, title, START_TIMEOUT_SECONDS)
