"""Child processes that never outlive their purpose.

Every child leads a session of its own, so that its whole group can be ended; is killed by the
kernel (Linux) when this process dies; and is written to `processes.json`, so that a later run finds
what a crash left.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from invoiceos_local.errors import NotReady

_LAUNCHER = Path(__file__).with_name("launch.py")
_POLL_SECONDS = 0.02
# The kernel's parent is the thread, not the process: children must be born in a thread that stays.
_birthplace = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawn")


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The identity of a running process, or nothing when there is none."""
        started = _start_mark(pid)
        return None if started is None else cls(pid, started)

    def is_alive(self) -> bool:
        return _start_mark(self.pid) == self.started


def _start_mark(pid: int) -> str | None:
    """When the process started, as text that only has to be compared; zombies count as gone."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return None if not shown or shown.startswith("Z") else shown.partition(" ")[2].strip()


@dataclass(frozen=True)
class Command:
    """What to run; `account` is who root becomes for it."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: Path | None = None
    account: str | None = None
    reach_everything: bool = False
    death_signal: signal.Signals = signal.SIGKILL

    def launcher_arguments(self) -> list[str]:
        return [
            *(sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())),
            str(int(self.death_signal)),
            self.account or "-",
            "reach" if self.reach_everything else "-",
            *self.arguments,
        ]


class Started(Protocol):
    """What is asked of a `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


Spawner = Callable[[Command, Path], Started | None]
"""Another way to start a command, its output appended to the file; None where it has none."""


@dataclass
class Child:
    """A started process."""

    name: str
    identity: Identity
    log: Path
    _popen: Started

    def exit_code(self) -> int | None:
        return self._popen.poll()

    def is_alive(self) -> bool:
        return self.exit_code() is None

    def send(self, number: signal.Signals) -> None:
        """Signals the process alone, not its group."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(self.identity.pid, number)

    def wait(self, timeout_seconds: float) -> int | None:
        """The exit code, or nothing when it still runs after the time."""
        try:
            return self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self, lines: int = 8) -> str:
        """The end of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


class Processes:
    """The children of one stack; their logs and their list lie in `folder`."""

    def __init__(self, folder: Path, spawner: Spawner | None = None) -> None:
        self.folder = folder
        self._spawner = spawner
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._children: list[Child] = []
        self._lock = threading.Lock()

    def spawn(self, name: str, command: Command) -> Child:
        """Starts a process whose output is appended to `logs/<name>.log`."""
        return _birthplace.submit(self._spawn, name, command).result()

    def _spawn(self, name: str, command: Command) -> Child:
        log = self.logs / f"{name}.log"
        warm = self._spawner(command, log) if self._spawner else None
        popen = warm or _launch(command, log)
        identity = Identity.of(popen.pid) or Identity(popen.pid, "gone")
        child = Child(name, identity, log, popen)
        with self._lock:
            self._children.append(child)
            self._save()
        return child

    def run(self, name: str, command: Command, timeout_seconds: float = 120) -> None:
        """Runs a process to its end and raises with the end of its log when it fails."""
        child = self.spawn(name, command)
        code = child.wait(timeout_seconds)
        last_words = child.last_words()
        self.stop(child, grace_seconds=1)
        if code != 0:
            what = "took too long" if code is None else f"ended with {code}"
            raise NotReady(f"{name} {what}; its log is {child.log}:\n{last_words}")

    def stop(
        self, child: Child, grace_seconds: float = 10, first: signal.Signals = signal.SIGTERM
    ) -> None:
        """Asks the process to end, then kills what is left of its group."""
        child.send(first)
        child.wait(grace_seconds)
        _kill_group(child.identity)
        child.wait(5)
        with self._lock:
            if child in self._children:
                self._children.remove(child)
                self._save()

    def stop_all(self, grace_seconds: float = 10) -> None:
        """Ends all children, the youngest first."""
        while self._children:
            self.stop(self._children[-1], grace_seconds)

    def _save(self) -> None:
        listed = [{"name": child.name, **asdict(child.identity)} for child in self._children]
        write_private(self.folder / "processes.json", json.dumps(listed))


def _launch(command: Command, log: Path) -> Started:
    with log.open("ab") as output:
        return subprocess.Popen(
            command.launcher_arguments(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(command.environment),
            cwd=command.folder,
            start_new_session=True,
        )


def _kill_group(leader: Identity) -> bool:
    """Kills what is left of a group; whether anything was.

    A group whose leader is gone is still ours: its number is not given to a new process while the
    group lives. When the group is gone too somebody else may have the number by now.
    """
    if _start_mark(leader.pid) not in {None, leader.started}:
        return False
    try:
        os.killpg(leader.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def sweep(folder: Path) -> list[str]:
    """Kills what an earlier run with this folder left behind; returns the names."""
    listing = folder / "processes.json"
    if not listing.exists():
        return []
    listed = json.loads(listing.read_text())
    left = [one["name"] for one in listed if _kill_group(Identity(one["pid"], one["started"]))]
    listing.unlink()
    return left


def wait_until(
    ready: Callable[[], bool], child: Child | None, name: str, timeout_seconds: float
) -> None:
    """Waits for `ready`; raises with the log's end when the child dies or the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if child is not None and not child.is_alive():
            raise NotReady(
                f"{name} ended with {child.exit_code()}; "
                f"its log is {child.log}:\n{child.last_words()}"
            )
        if time.monotonic() > deadline:
            words = f"; its log is {child.log}:\n{child.last_words()}" if child else ""
            raise NotReady(f"{name} was not ready after {timeout_seconds:g} s{words}")
        time.sleep(_POLL_SECONDS)


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    staging.replace(path)
