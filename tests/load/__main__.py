"""`make bench`, or `python -m tests.load [case ...]`: ours and the control in turns, in one run."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.markup import escape
from tests.load import report
from tests.load.cases import CASES, INFRASTRUCTURE, PLATFORM, Case, Run
from tests.load.measure import Outcome
from tests.load.place import Place

from invoiceos_local.state import data_folder

console = Console(highlight=False, soft_wrap=True)


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Of {', '.join(CASES)}; all when none")
    ] = None,
    *,
    quick: Annotated[bool, typer.Option(help="Fewer and shorter rounds: two minutes")] = False,
    running: Annotated[
        bool, typer.Option(help="Use what runs instead of a stack of its own")
    ] = False,
    write_docs: Annotated[
        bool, typer.Option(help="Only put the saved figures into the docs")
    ] = False,
    check: Annotated[bool, typer.Option(help="Exit code 2 when a target is not reached")] = False,
) -> None:
    """Measures. Exit code 1 when a case failed or its books do not agree."""
    target = data_folder() / "bench.json"
    if write_docs:
        console.print(f"written: {report.write_document(target)}")
        return
    unknown = sorted(set(names or []) - CASES.keys())
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}; there are {', '.join(CASES)}")
    chosen = [case for name, case in CASES.items() if not names or name in names]
    outcomes = _run_all(chosen, target, quick=quick, running=running)
    console.print(f"\nwritten: {target}")
    if not all(outcome is not None and all(outcome.books.values()) for outcome in outcomes):
        raise typer.Exit(1)
    if check and any(r.reached is False for o in outcomes if o is not None for r in o.ratios):
        raise typer.Exit(2)


def _run_all(
    chosen: list[Case], target: Path, *, quick: bool, running: bool
) -> list[Outcome | None]:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # topics of its own are new to it

    def say(line: str) -> None:
        console.print(f"  [dim]{time.monotonic() - began:5.0f} s  {escape(line)}[/]")

    began = time.monotonic()
    place = Place(running=running, say=say)
    try:
        return [_run_one(case, Run(place, say, quick), target) for case in chosen]
    finally:
        place.close()


def _run_one(case: Case, run: Run, target: Path) -> Outcome | None:
    run.say(f"{case.name}: {case.question}")
    began = time.monotonic()
    try:
        if case.needs == PLATFORM:
            run.place.platform()
        elif case.needs == INFRASTRUCTURE:
            run.place.infrastructure()
        outcome = _measure(case, run)
    except Exception as error:
        took = time.monotonic() - began
        console.print(f"[bold red]{case.name} failed:[/] {escape(repr(error))}")
        report.save(target, {case.name: report.failed_json(error, took, quick=run.quick)})
        return None
    took = time.monotonic() - began
    report.show(console, case.name, outcome, took)
    found: dict[str, Any] = report.as_json(outcome, took, quick=run.quick)
    report.save(target, {case.name: found})
    return outcome


def _measure(case: Case, run: Run) -> Outcome:
    async def bounded() -> Outcome:
        async with asyncio.timeout(case.seconds_max):
            return await case.function()(run)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


if __name__ == "__main__":
    typer.run(main)
