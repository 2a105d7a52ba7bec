"""A failpoint kills where it is armed, and nowhere else."""

import signal
import subprocess
import sys

import pytest

from messaging import failpoints

WORK = """
import asyncio, importlib.util, sys
spec = importlib.util.spec_from_file_location("failpoints", sys.argv[1])
failpoints = importlib.util.module_from_spec(spec)
spec.loader.exec_module(failpoints)

async def step(number):
    await asyncio.sleep(0)
    print(number, flush=True)

async def work():
    for number in range(20):
        await step(number)
    failpoints.failpoint("all.done")
    asyncio.current_task().get_coro().cr_running
    async with asyncio.timeout(5):
        await asyncio.gather(*(step(100 + number) for number in range(3)))

with asyncio.Runner() as runner:
    failpoints.count_steps(runner.get_loop())
    runner.run(work())
    print(runner.get_loop().get_task_factory() is not None)
"""


def run(tmp_path, failpoint, mark=""):
    environment = {"INVOICEOS_FAILPOINT": failpoint, "INVOICEOS_FAILPOINT_MARK": mark}
    done = subprocess.run(
        [sys.executable, "-c", WORK, failpoints.__file__],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize(("steps", "printed"), [(1, 0), (2, 0), (3, 1), (12, 10)])
def test_a_process_dies_before_the_step_that_was_named(tmp_path, steps, printed):
    code, lines = run(tmp_path, f"await:{steps}")
    assert code == -signal.SIGKILL
    assert lines == [str(number) for number in range(printed)]


def test_steps_of_other_tasks_count_too(tmp_path):
    code, lines = run(tmp_path, "await:23")
    assert code == -signal.SIGKILL
    assert lines == [str(number) for number in range(20)]


def test_a_process_that_never_comes_so_far_lives_and_behaves_the_same(tmp_path):
    code, lines = run(tmp_path, "await:1000000")
    assert code == 0
    assert lines == [*(str(number) for number in range(20)), "100", "101", "102", "True"]


def test_nothing_is_wrapped_unless_steps_are_armed(tmp_path):
    code, lines = run(tmp_path, "")
    assert (code, lines[-1]) == (0, "False")


def test_a_named_point_kills_when_it_is_met_for_the_nth_time(tmp_path):
    assert run(tmp_path, "all.done")[0] == -signal.SIGKILL
    assert run(tmp_path, "all.done:2")[0] == 0
    assert run(tmp_path, "never.met")[0] == 0


def test_a_mark_is_written_on_the_way_out_and_disarms_the_next_life(tmp_path):
    mark = tmp_path / "mark"
    assert run(tmp_path, "await:5", str(mark))[0] == -signal.SIGKILL
    assert mark.read_text() == "await"
    assert run(tmp_path, "await:5", str(mark))[0] == 0
