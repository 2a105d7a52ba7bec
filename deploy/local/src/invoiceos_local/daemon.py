"""The process that holds the stack: starts it, keeps it alive, writes down how it is, ends it."""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from invoiceos_local.environment import GATEWAY, SANDBOX
from invoiceos_local.errors import NotReady, Unavailable
from invoiceos_local.processes import sweep
from invoiceos_local.seed import demo_tenant
from invoiceos_local.stack import GATEWAY_PORT, SANDBOX_PORT, Plan, Stack
from invoiceos_local.state import State, write_supervisor

_WRITE_DOWN_EVERY_SECONDS = 2.0


class _AskedToEnd(BaseException):
    """SIGTERM or SIGINT came; not an Exception, so that no handler of errors takes it."""


class Daemon:
    """One run of the stack of a data folder."""

    def __init__(self, folder: Path, plan: Plan | None = None) -> None:
        self._folder = folder
        self._plan = plan
        self._state = State.load(folder)
        self._changed = threading.Lock()

    def run(self, pid: int) -> int:
        """Holds the stack until it is asked to end; returns the exit code."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_supervisor(self._folder, pid)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._asked)
        self._state.status, self._state.error, self._state.progress = "starting", "", []
        self._save()
        stack: Stack | None = None
        try:
            sweep(self._folder)
            _keep_former_logs(self._folder / "logs")
            stack = Stack(self._folder, self._plan or _default_plan(self._state), self._say)
            self._start(stack)
            self._watch(stack)
        except _AskedToEnd:
            self._state.status = "stopped"
        except (Unavailable, NotReady) as error:
            self._state.status, self._state.error = "failed", str(error)
        finally:
            self._ignore_signals()
            if stack is not None:
                stack.stop()
            self._state.services = {}
            self._save()
        return 0 if self._state.status == "stopped" else 1

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        self._ignore_signals()
        raise _AskedToEnd

    def _ignore_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def _start(self, stack: Stack) -> None:
        stack.start()
        state = self._state
        state.urls, state.ports = stack.urls, dict(stack.ports)
        state.infrastructure = asdict(stack.infrastructure)
        state.administration = stack.administration_env()
        state.environment = {name: stack.env_for(name) for name in stack.ports}
        if GATEWAY in stack.ports:
            state.tenant = demo_tenant(stack, state.tenant)
        state.services, state.status = stack.overview(), "ready"
        self._save()

    def _watch(self, stack: Stack) -> None:
        pause = threading.Event()
        while not pause.wait(_WRITE_DOWN_EVERY_SECONDS):
            overview = stack.overview()
            if overview != self._state.services:
                self._state.services = overview
                self._save()

    def _say(self, line: str) -> None:
        print(line, flush=True)
        self._state.progress.append(line)
        self._save()

    def _save(self) -> None:
        with self._changed:
            self._state.save(self._folder)


def _default_plan(state: State) -> Plan:
    """All that is installed, at the ports of the last run where those are free."""
    wishes = {GATEWAY: GATEWAY_PORT, SANDBOX: SANDBOX_PORT, **state.ports}
    return Plan(ports=wishes, restart_dead=True, auditor=True, sandbox=True)


def _keep_former_logs(logs: Path) -> None:
    """The logs of the last run stay beside the new ones, under `.log.1`."""
    for log in logs.glob("*.log"):
        if log.name != "supervisor.log":
            log.replace(log.with_suffix(".log.1"))
