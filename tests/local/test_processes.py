"""Whom the local stack ends, and whom it must not: numbers of processes come again."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from invoiceos_local.processes import Command, Processes, sweep

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process, at the head of a group of its own."""
    process = subprocess.Popen(SLEEP, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def lives_on(process: subprocess.Popen[bytes]) -> bool:
    """Whether it is still there when a signal has had the time to end it."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.3)
    return process.poll() is None


def test_whoever_has_the_number_of_a_process_that_is_gone_is_left_alone(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    processes = Processes(tmp_path)
    time.sleep(0.05)  # Two processes of one number never begin in one tick of the clock.
    gone = processes.spawn("gone", Command([sys.executable, "-c", "pass"]))
    gone.wait(30)
    processes.stop(replace(gone, identity=replace(gone.identity, pid=stranger.pid)), 1)
    assert lives_on(stranger)
    listed = [{"name": "gone", "pid": stranger.pid, "started": gone.identity.started}]
    (tmp_path / "processes.json").write_text(json.dumps(listed))
    assert sweep(tmp_path) == []
    assert lives_on(stranger)


def test_what_is_left_of_a_group_ends_with_its_leader(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time;"
        " time.sleep(600)']); print(child.pid, flush=True)"
    )
    processes = Processes(tmp_path)
    leader = processes.spawn("leader", Command([sys.executable, "-c", parent]))
    assert leader.wait(30) == 0
    left = int(leader.log.read_text())
    os.kill(left, 0)
    processes.stop(leader, 1)
    for _ in range(1000):
        state = Path(f"/proc/{left}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] in "ZX":
            return
    pytest.fail("the child of a leader that is gone lives on")
