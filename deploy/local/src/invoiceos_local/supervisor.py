"""`make up` and `make down`: a stack in the background, one for each data folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from invoiceos_local.errors import NotReady
from invoiceos_local.processes import Identity, sweep
from invoiceos_local.state import State, read_supervisor, write_supervisor

_POLL_SECONDS = 0.05
_STOP_TIMEOUT_SECONDS = 45
Say = Callable[[str], None]


def up(folder: Path, say: Say) -> State:
    """Starts the stack unless it runs; returns when it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder):
        try:
            supervisor = read_supervisor(folder) or _launch(folder)
            return _await_ready(folder, supervisor, say)
        except KeyboardInterrupt:
            say("Interrupted: ending what was started")
            _end(folder)
            raise


def down(folder: Path) -> bool:
    """Ends the stack and whatever a crash has left of it; tells whether there was anything."""
    if not folder.exists():
        return False
    return _end(folder)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two `up` at once: the second waits and finds the stack running."""
    with (folder / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _launch(folder: Path) -> Identity:
    state = State.load(folder)
    state.status, state.error, state.progress = "starting", "", []
    state.save(folder)
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    with (logs / "supervisor.log").open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "invoiceos_local", "run"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "INVOICEOS_DATA": str(folder)},
        )
    write_supervisor(folder, started.pid)
    identity = read_supervisor(folder)
    if identity is None:
        raise NotReady(_supervisor_gone(folder))
    return identity


def _await_ready(folder: Path, supervisor: Identity, say: Say) -> State:
    said = 0
    while True:
        alive = supervisor.is_alive()
        state = State.load(folder)
        for line in state.progress[said:]:
            say(line)
        said = len(state.progress)
        if state.status == "ready" and alive:
            return state
        if state.status == "failed":
            raise NotReady(state.error)
        if not alive:
            raise NotReady(_supervisor_gone(folder))
        time.sleep(_POLL_SECONDS)


def _supervisor_gone(folder: Path) -> str:
    log = folder / "logs" / "supervisor.log"
    words = log.read_text(errors="replace").strip()[-2000:] if log.exists() else ""
    return f"the supervisor ended before the stack was ready; its log is {log}:\n{words}"


def _end(folder: Path) -> bool:
    supervisor = read_supervisor(folder)
    if supervisor is not None:
        _end_supervisor(supervisor)
    left = sweep(folder)
    state = State.load(folder)
    if supervisor is not None or state.status != "stopped":
        state.status, state.services = "stopped", {}
        state.save(folder)
    return supervisor is not None or bool(left)


def _end_supervisor(supervisor: Identity) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(supervisor.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_SECONDS
    while supervisor.is_alive():
        if time.monotonic() > deadline:
            os.kill(supervisor.pid, signal.SIGKILL)
            return
        time.sleep(_POLL_SECONDS)
