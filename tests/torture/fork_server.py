"""A service that dies several times a second: imported once, then forked, killed, forked again.

Stands in for the `invoiceos` command of a stack. While the file `storm` lies in the folder that
TORTURE_FOLDER names, each child is armed; without it one child runs in peace. What each child died
of is appended to `<service>.deaths` in that folder.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
import signal
import sys
import time
from pathlib import Path
from types import FrameType

LIFE_SECONDS = 4.0
"""An armed child that has not come by its point by then is killed where it is."""
STEPS = 30, 4000
"""Task steps of a child's life: to be ready takes some hundreds."""
COMMON = (
    "transaction.flushed",
    "transaction.committed",
    "relay.read",
    "relay.sent",
    "relay.acked",
    "relay.deleted",
    "consumer.marked",
    "consumer.handled",
    "consumer.committed",
    "offsets.committing",
)
OWN = {
    "ephemeral-manager": ("timer.fired",),
    "reserve-ledger": ("ledger.entered", "ledger.stated", "reserve.stated"),
    "notification": ("webhooks.claimed", "webhooks.attempted", "mails.sent"),
}
_SET_PARENT_DEATH_SIGNAL = 1
_POLL_SECONDS = 0.01


def choose(service: str, dice: random.Random) -> str:
    """Where the next child dies: mostly at some await, else at a named point, else any moment."""
    way = dice.random()
    if way < 0.7:
        low, high = STEPS
        return f"await:{round(low * (high / low) ** dice.random())}"
    if way < 0.9:
        return f"{dice.choice(COMMON + OWN.get(service, ()))}:{dice.randint(1, 3)}"
    return ""


class ForkServer:
    """The parent of one service's children."""

    def __init__(self, service: str) -> None:
        from chassis import application
        from chassis.cli import service_named

        self._name = service
        self._service = service_named(service)
        self._serve = application.serve
        folder = Path(os.environ["TORTURE_FOLDER"])
        self._storm = folder / "storm"
        self._deaths = folder / f"{service}.deaths"
        self._dice = random.Random(f"{os.environ['TORTURE_SEED']} {service}")
        self._child = 0
        self._ending = False
        gc.collect()
        gc.freeze()

    def run(self) -> int:
        """Fork until SIGTERM; the exit code of the last child."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        while True:
            armed = self._storm.exists()
            died_of, code = self._one_life(choose(self._name, self._dice) if armed else None)
            if self._ending:
                return max(code, 0)
            with self._deaths.open("a") as file:
                file.write(f"{died_of if code == -signal.SIGKILL else f'ended {code}'}\n")
            if code != -signal.SIGKILL:
                time.sleep(0.5)

    def _end(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._ending = True
        if self._child:
            os.kill(self._child, number)

    def _one_life(self, failpoint: str | None) -> tuple[str, int]:
        """What the child died of, and its exit code, negative for a signal."""
        self._child = os.fork()
        if not self._child:
            self._live(failpoint or "")
        lasts = LIFE_SECONDS if failpoint else self._dice.uniform(0.2, LIFE_SECONDS)
        until = time.monotonic() + lasts
        died_of = failpoint or "moment"
        while True:
            pid, status = os.waitpid(self._child, os.WNOHANG)
            if pid:
                self._child = 0
                return died_of, os.waitstatus_to_exitcode(status)
            armed = failpoint is not None
            over = armed and time.monotonic() > until
            if not self._ending and (over or armed != self._storm.exists()):
                died_of = "moment"
                os.kill(self._child, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)

    def _live(self, failpoint: str) -> None:
        """Become the service; never returns."""
        from messaging import failpoints

        code = 1
        try:
            ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            random.seed()
            failpoints.arm(failpoint)
            self._serve(self._service)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def main(arguments: list[str]) -> int:
    if arguments[:1] != ["serve"]:
        program = str(Path(sys.executable).with_name("invoiceos"))
        os.execv(program, [program, *arguments])
    return ForkServer(arguments[1]).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
