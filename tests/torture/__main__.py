"""`make torture`, or `python -m tests.torture`: real faults on real processes, under load."""

from __future__ import annotations

import asyncio
import importlib
import logging
import pkgutil
import random
import shutil
import signal
import time
from typing import Annotated, Any

import tests.torture as package
import typer
from rich.console import Console
from rich.markup import escape
from tests.torture.arena import Arena, Fault, running_arena
from tests.torture.campaign import Campaign, Limits
from tests.torture.client import loading
from tests.torture.report import Report

from invoiceos_local.state import data_folder

console = Console(highlight=False, soft_wrap=True)
SHORT = (
    "killed.at_failpoint",
    "killed.at_await",
    "killed.at_random",
    "paused.past_lease",
    "events.doubled_and_shuffled",
    "events.poison",
    "consumers.join_and_leave",
    "broker.killed",
    "database.stopped",
    "chain.reorganised",
)
"""Faults of the short set, where they are there."""
SHORT_SECONDS = 210
"""Of strikes; the start, the last judgement and the end come to some 90 s more."""


def every_fault() -> dict[str, Fault]:
    """The faults of all modules `faults_*`, by name."""
    found: dict[str, Fault] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("faults_"):
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
            found |= {fault.name: fault for fault in loaded.FAULTS}
    return found


def main(
    *,
    minutes: Annotated[float | None, typer.Option(help="Of strikes")] = None,
    rounds: Annotated[int | None, typer.Option(help="Of strikes")] = None,
    only: Annotated[str, typer.Option(help="Names of faults, or their beginnings; comma")] = "",
    seed: Annotated[int | None, typer.Option(help="Repeats the choices of a run")] = None,
    judge_every: Annotated[int, typer.Option(help="Rounds between two judgements")] = 10,
    short: Annotated[bool, typer.Option(help="The set for each change: five minutes")] = False,
    names: Annotated[bool, typer.Option("--list", help="Only name the faults")] = False,
) -> None:
    """Tortures. Exit code 1 when something broke, or when a fault never struck."""
    known = every_fault()
    if names:
        for fault in known.values():
            console.print(f"[bold]{fault.name}[/]  {escape(fault.sentence)}")
        return
    chosen = _choose(known, only, short=short)
    if short and minutes is None and rounds is None:
        minutes = SHORT_SECONDS / 60
    if minutes is None and rounds is None:
        rounds = len(chosen)
    limits = Limits(None if minutes is None else minutes * 60, rounds, judge_every)
    report = Report(random.SystemRandom().randrange(10**6) if seed is None else seed)
    report.missing = {f.name: why for f in chosen if (why := f.missing()) is not None}
    logging.disable(logging.CRITICAL)  # clients of the broker complain about what we do to it
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    _torture(chosen, limits, report)
    report.show(console, chosen)
    target = data_folder() / "torture.json"
    report.save(target, chosen)
    console.print(f"written: {target}")
    if not report.is_clean(chosen):
        raise typer.Exit(1)


def _choose(known: dict[str, Fault], only: str, *, short: bool) -> list[Fault]:
    wanted = [name for name in only.split(",") if name] or (list(SHORT) if short else [""])
    chosen = [f for f in known.values() if any(f.name.startswith(name) for name in wanted)]
    if not chosen:
        raise typer.BadParameter(f"no fault begins with {only}; there are {', '.join(known)}")
    return chosen


def _torture(chosen: list[Fault], limits: Limits, report: Report) -> None:
    folder = data_folder() / "torture"
    shutil.rmtree(folder / "stack", ignore_errors=True)
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.0f} s[/]  {escape(line)}")

    say(f"seed {report.seed}")
    try:
        with running_arena(folder, say) as arena:
            report.struck = arena.struck
            able = [fault for fault in chosen if fault.name not in report.missing]
            asyncio.run(_campaign(arena, able, limits, report, say))
    except KeyboardInterrupt:
        report.ended_early = True
        say("interrupted")


async def _campaign(
    arena: Arena, able: list[Fault], limits: Limits, report: Report, say: Any
) -> None:
    chooser = random.Random(report.seed)
    journal = arena.folder / "journal.jsonl"
    async with loading(arena, journal, random.Random(report.seed + 1)) as load:
        report.work, arena.load = load.counts, load
        await Campaign(arena, load, able, chooser, limits, report, say).run()


if __name__ == "__main__":
    typer.run(main)
