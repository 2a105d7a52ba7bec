"""A process that runs seeds, on a database of its own."""

import json
import signal
import time
from pathlib import Path
from typing import Any

from tests.simulator.apart import end_with_parent
from tests.simulator.breaking import BREAKS
from tests.simulator.database import Databases
from tests.simulator.fates import Plan
from tests.simulator.shrinking import smaller
from tests.simulator.simulation import simulate

# What a seed would load at its first need is here before the fork, so that none pays for it.
import testkit.preloaded  # noqa: F401

KEPT = Path(__file__).parent / "kept"
"""Plans that failed once, made small; they are run for ever."""
REPEAT_EVERY = 20
"""Every so many seeds one is run twice."""
_databases: Any = None
_show = False


def begin(url: str, counter: Any, show: bool, broken: str) -> None:
    """Once a process; it ends with the one that asked for it."""
    global _databases, _show
    end_with_parent()
    if broken:
        BREAKS[broken]().__enter__()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with counter.get_lock():
        counter.value += 1
        number = counter.value
    _databases, _show = Databases(url, f"simulator_{number}"), show


def one(work: tuple[int, dict[str, Any], float | None, bool]) -> Any:
    """Run a plan; None when the time is over."""
    place, plain, end, shrink = work
    if end is not None and time.monotonic() > end:
        return None
    plan = Plan.from_json(plain)
    outcome = simulate(plan, _databases, keep_all=_show)
    if place % REPEAT_EVERY == 0 and not outcome.findings:
        again = simulate(plan, _databases)
        if again.digest != outcome.digest:
            outcome.findings.append(f"not deterministic: {outcome.digest} and then {again.digest}")
    if _show:
        print("\n".join(outcome.history))
    if outcome.findings and shrink:
        small = smaller(plan, lambda one: simulate(one, _databases).findings)
        kept = {"plan": small.as_json(), "found": outcome.findings[:3]}
        KEPT.mkdir(exist_ok=True)
        (KEPT / f"{plan.seed}.json").write_text(json.dumps(kept, indent=2, default=str) + "\n")
    outcome.history = []
    return outcome
