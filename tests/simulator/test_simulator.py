"""The simulator itself: seeds are clean, repeatable, and it notices what is broken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.simulator.breaking import BREAKS
from tests.simulator.fates import Plan
from tests.simulator.simulation import given

ROOT = Path(__file__).parents[2]
# How long seeds take is the machine's affair; what hangs is ended all the same.
pytestmark = pytest.mark.timeout(600)


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulator", *arguments],
        check=False,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("INVOICEOS_")},
        capture_output=True,
        text=True,
        timeout=580,
    )


def test_seeds_are_clean_and_the_same_seed_gives_the_same_history():
    done = simulate("--seeds", "1-2,1", "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("seed ")]
    assert len(lines) == 3
    assert lines[2] == lines[0]


def test_a_broken_backbone_is_noticed():
    done = simulate("--seeds", "1-12", "--jobs", "1", "--break", ",".join(BREAKS), "--first")
    assert done.returncode == 1, done.stdout + done.stderr
    runs = done.stdout.split("planted: ")[1:]
    assert [run.partition("\n")[0] for run in runs] == list(BREAKS)
    assert all("BROKEN" in run for run in runs), done.stdout


def test_plans_that_failed_once_are_clean():
    done = simulate("--kept", "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("seed", range(1, 40, 6))
def test_a_plan_is_the_same_after_a_trip_through_a_file(seed):
    plan = Plan.of(seed)
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan


def test_every_simpler_plan_is_another_one():
    plan = Plan.of(9)
    simpler = list(plan.simpler())
    assert simpler
    assert plan not in simpler


BREACH = {"kind": "chain", "asset": "PATHUSD", "difference_minor": 30}


@pytest.mark.parametrize(
    ("name", "row", "is_given"),
    [
        ("reserve.no_breach_open", BREACH, True),
        ("reserve.no_breach_open", {**BREACH, "difference_minor": 60}, True),
        ("reserve.no_breach_open", {**BREACH, "difference_minor": 31}, False),
        ("reserve.no_breach_open", {**BREACH, "difference_minor": 20}, True),
        ("reserve.no_breach_open", {**BREACH, "difference_minor": 40}, False),
        ("reserve.no_breach_open", {**BREACH, "difference_minor": -30}, False),
        ("reserve.no_breach_open", {**BREACH, "kind": "supply"}, False),
        ("ledger.entries_balanced", BREACH, False),
    ],
)
def test_a_breach_is_excused_by_what_strangers_gave_and_by_nothing_else(name, row, is_given):
    assert given(name, [row], [10, 20, 30]) is is_given
