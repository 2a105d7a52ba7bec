"""Run seeds: `python -m tests.simulator --seeds 1-200` (see docs/reliability.md).

Ends with 1 when a seed broke an invariant, when a seed repeated gave another history, or when some
fault kind was never reached although there were seeds enough.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

LOCAL = Path(".local")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", default="1-100", help="7, 1-100, or 5,9,20-30")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=0, help="stop starting seeds after this")
    parser.add_argument("--kept", action="store_true", help="run the kept plans instead")
    parser.add_argument("--history", action="store_true", help="print the history of one seed")
    parser.add_argument(
        "--shrink", action="store_true", help="make a failing seed small and keep it"
    )
    parser.add_argument("--break", dest="broken", default="", help="plant faults of ours; comma")
    parser.add_argument("--first", action="store_true", help="end with the first broken seed")
    chosen = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulator", *sys.argv[1:]])
    return _run(chosen)


def _seeds(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _plans(chosen: Any) -> list[dict[str, Any]]:
    from tests.simulator.fates import Plan
    from tests.simulator.worker import KEPT

    if chosen.kept:
        return [json.loads(path.read_text())["plan"] for path in sorted(KEPT.glob("*.json"))]
    return [Plan.of(seed).as_json() for seed in _seeds(chosen.seeds)]


def _run(chosen: Any) -> int:
    """1 when a seed was broken; of several planted faults, when each was noticed."""
    from tests.simulator.database import make_template, server
    from tests.simulator.simulation import prepare_process

    plans = _plans(chosen)
    prepare_process()
    with TemporaryDirectory(prefix="invoiceos-simulator-") as folder, server(Path(folder)) as url:
        make_template(url)
        failed = [_reported(url, plans, chosen, broken) for broken in chosen.broken.split(",")]
    return 1 if all(failed) else 0


def _reported(url: str, plans: list[dict[str, Any]], chosen: Any, broken: str) -> bool:
    """Whether the plans failed, with this fault of ours planted; the report is written."""
    from tests.simulator.breaking import HARDER
    from tests.simulator.report import Report

    plans = [plan | {"kafka": plan["kafka"] | HARDER.get(broken, {})} for plan in plans]
    report = Report(planned=len(plans))
    end = time.monotonic() + chosen.minutes * 60 if chosen.minutes else None
    if broken:
        print(f"planted: {broken}")
    for outcome in _outcomes(url, plans, chosen, broken, end):
        report.add(outcome)
        if outcome.findings and chosen.first:
            break
    LOCAL.mkdir(exist_ok=True)
    (LOCAL / "simulation.json").write_text(json.dumps(report.as_json(), indent=2))
    print(report.as_text())
    return report.failed


def _outcomes(
    url: str, plans: list[dict[str, Any]], chosen: Any, broken: str, end: float | None
) -> Iterator[Any]:
    from tests.simulator import worker

    jobs = min(chosen.jobs, len(plans))
    # Forks: what is loaded here does not have to be loaded again.
    context = multiprocessing.get_context("fork")
    with context.Pool(
        jobs, worker.begin, (url, context.Value("i", 0), chosen.history, broken)
    ) as pool:
        try:
            work = ((place, plan, end, chosen.shrink) for place, plan in enumerate(plans))
            for outcome in pool.imap_unordered(worker.one, work):
                if outcome is not None:
                    yield outcome
        except KeyboardInterrupt:
            print("stopped; what was finished is reported")


if __name__ == "__main__":
    sys.exit(main())
