"""How long until everything is ready, against how long Kafka alone takes to listen."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

from tests.load.cases import Run
from tests.load.measure import Outcome, Ratio, Series, alternate, ratios
from tests.load.place import plan

from invoiceos_local.resolver import Choices, infrastructure
from invoiceos_local.stack import running_stack

_NOTE = (
    "First start: empty folder, so PostgreSQL is initialised, seven schemas are migrated"
    " and the topics are made; programs and jars were there already."
)


async def run(run: Run) -> Outcome:
    """The whole case; both begin with an empty folder, nothing is downloaded."""
    whole, alone = Series("the whole stack to ready", "s"), Series("Kafka alone to listening", "s")
    again = Series("the whole stack to ready, second start of a folder", "s")
    folder = run.place.folder / "start"

    async def ours() -> None:
        shutil.rmtree(folder / "stack", ignore_errors=True)
        whole.add(await asyncio.to_thread(_stack, folder / "stack"))

    async def control() -> None:
        shutil.rmtree(folder / "kafka", ignore_errors=True)
        alone.add(await asyncio.to_thread(_kafka, folder / "kafka"))

    await alternate(1 if run.quick else 2, [control, ours], run.say)
    if not run.quick:
        again.add(await asyncio.to_thread(_stack, folder / "stack"))
    shutil.rmtree(folder, ignore_errors=True)
    times = ratios(whole.values, alone.values)
    return Outcome(
        [series.measure() for series in (whole, again, alone) if series.values],
        [Ratio("whole stack / Kafka alone", times, "P21", at_most=3.0)],
        notes=[_NOTE],
    )


def _stack(folder: Path) -> float:
    began = time.perf_counter()
    with running_stack(folder, plan()):
        return time.perf_counter() - began


def _kafka(folder: Path) -> float:
    began = time.perf_counter()
    with infrastructure(folder, {"kafka"}, choices=Choices(own=True)):
        return time.perf_counter() - began
