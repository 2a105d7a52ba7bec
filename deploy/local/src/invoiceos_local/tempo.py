"""A local Tempo chain: anvil in Tempo mode, its first account registered as a virtual master."""

from __future__ import annotations

import json
import signal
import urllib.request
from typing import Any

from invoiceos_local.anvil import ANVIL_VERSION, anvil_binary
from invoiceos_local.ports import LOOPBACK, free_port
from invoiceos_local.processes import Child, Command, Processes, wait_until
from invoiceos_local.tempo_facts import (
    CHAIN_ID,
    MASTER_ADDRESS,
    MASTER_ID,
    MASTER_SALT,
    VIRTUAL_MARK,
    VIRTUAL_REGISTRY,
)

__all__ = ["ANVIL_VERSION", "Tempo", "answers", "register_master"]

_START_TIMEOUT_SECONDS = 60
_SAVE_EVERY_SECONDS = 15
_CALL_TIMEOUT_SECONDS = 5
_REGISTRATION_GAS = 1_000_000
# registerVirtualMaster(bytes32) and resolveRecipient(address)
_REGISTER, _RESOLVE = "0x5c559d20", "0xfbea9d67"


class Tempo:
    """A chain whose state lies in `<folder>/tempo`; blocks come with each transaction by default.

    `block_seconds` makes them come by the clock instead.
    """

    def __init__(
        self, processes: Processes, port: int | None = None, *, block_seconds: float | None = None
    ) -> None:
        self._processes = processes
        self._folder = processes.folder / "tempo"
        self._port = port or free_port()
        self._block_seconds = block_seconds
        self._child: Child | None = None

    @property
    def rpc_url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Returns when the chain answers and its virtual master is registered."""
        self._folder.mkdir(parents=True, exist_ok=True)
        arguments = [
            *(str(anvil_binary()), "--network", "tempo", "--hardfork", "t4"),
            *("--host", LOOPBACK, "--port", str(self._port), "--chain-id", str(CHAIN_ID)),
            *("--state", str(self._folder / "state.json")),
            *("--state-interval", str(_SAVE_EVERY_SECONDS)),
        ]
        if self._block_seconds is not None:
            arguments += ["--block-time", f"{self._block_seconds:g}"]
        command = Command(arguments, folder=self._folder, death_signal=signal.SIGINT)
        self._child = self._processes.spawn("tempo", command)
        wait_until(
            lambda: answers(self.rpc_url), self._child, "The Tempo chain", _START_TIMEOUT_SECONDS
        )
        register_master(self.rpc_url)

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


class _Refused(Exception):
    """The node's own error answer."""


def _call(rpc_url: str, method: str, *parameters: object) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
    request = urllib.request.Request(rpc_url, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_CALL_TIMEOUT_SECONDS) as response:
        answer = json.load(response)
    if "error" in answer:
        raise _Refused(f"{method}: {answer['error'].get('message')}")
    return answer["result"]


def answers(rpc_url: str) -> bool:
    """Whether a node at this address names its chain."""
    try:
        return int(_call(rpc_url, "eth_chainId"), 16) > 0
    except (OSError, _Refused, ValueError):
        return False


def register_master(rpc_url: str) -> None:
    """Makes the first account a virtual master unless it is one; anvil holds that account's key."""
    if _is_registered(rpc_url):
        return
    transaction = {
        "from": MASTER_ADDRESS,
        "to": VIRTUAL_REGISTRY,
        "gas": hex(_REGISTRATION_GAS),
        "data": _REGISTER + MASTER_SALT.hex(),
    }
    _call(rpc_url, "eth_sendTransaction", transaction)
    wait_until(lambda: _is_registered(rpc_url), None, "The virtual master", _START_TIMEOUT_SECONDS)


def _is_registered(rpc_url: str) -> bool:
    probe = MASTER_ID + VIRTUAL_MARK.hex() + "00" * 6
    question = {"to": VIRTUAL_REGISTRY, "data": _RESOLVE + probe.rjust(64, "0")}
    try:
        answer = str(_call(rpc_url, "eth_call", question, "latest"))
    except _Refused:
        return False
    return answer[-40:].lower() == MASTER_ADDRESS.removeprefix("0x").lower()
