"""Our own programs, forked from a process that has imported them already.

An import of a service is two seconds of work for the machine, and tests start services by the
dozen. The child is a process like any other: it has a session and a number of its own, is killed,
paused and waited for, and begins with the settings it was given and with nothing else.
"""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from invoiceos_local.processes import Command

PROGRAM = str(Path(sys.executable).with_name("invoiceos"))
TOY = "toy_service"
_SET_PARENT_DEATH_SIGNAL = 1
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["testkit.preloaded"])


class WarmProcess:
    """A running program; answers to what we ask of `subprocess.Popen`."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        folder: Path | None = None,
    ) -> None:
        self.arguments = list(arguments)
        asked = (self.arguments, dict(environment), str(log), str(folder or Path.cwd()))
        # A daemon is ended when these tests end, whatever becomes of them.
        self._process = _context.Process(target=_become, args=asked, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once there is one."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self.arguments, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Signal the process, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def spawn(command: Command, log: Path) -> WarmProcess | None:
    """Start an `invoiceos` command; None for what only a fresh process can be."""
    program, *arguments = command.arguments
    fresh = command.account is not None or "LD_PRELOAD" in command.environment
    if program != PROGRAM or fresh or sys.platform != "linux":
        return None
    return WarmProcess([program, *arguments], command.environment, log, command.folder)


def run(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> str:
    """Run a program to its end; what it wrote. Fails with that when it fails."""
    process = WarmProcess(arguments, environment, log)
    code = process.wait(120)
    said = log.read_text()
    assert code == 0, said
    return said


def _become(arguments: list[str], environment: dict[str, str], log: str, folder: str) -> None:
    """The life of a child, from the fork to its exit."""
    os.setsid()
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(arguments)
    _main(arguments)


def _main(arguments: list[str]) -> Any:
    from chassis import application, cli
    from messaging import failpoints

    failpoint, mark = "INVOICEOS_FAILPOINT", "INVOICEOS_FAILPOINT_MARK"
    failpoints.arm(os.environ.get(failpoint, ""), os.environ.get(mark, ""))
    if arguments == [TOY]:
        from toy_service.app import service

        application.serve(service)
        return None
    return cli.main()
